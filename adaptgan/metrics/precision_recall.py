"""Improved precision and recall (Kynkäänniemi 2019): are the images real ones, and are all real ones there."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from adaptgan.metrics.neighbors import inside, squared_radii, two_sets


class PrecisionRecall:
    """Two sets taken as balls: each point's reaches to its k-th nearest neighbour of the same set.

        precision = share of generated points inside some real point's ball
        recall    = share of real points inside some generated point's ball

    (Kynkäänniemi 2019, eq. 1 and 2.) Precision falls when images are poor, recall when kinds of them are missing, which
    a single distance mixes. One outlier has a large ball: a stray real image raises precision, a stray generated one
    recall. `density_coverage` mends that.

    Args:
        neighbors: k.
    """

    def __init__(self, neighbors: Annotated[int, Field(ge=1)] = 3) -> None:
        self.neighbors = neighbors

    def __call__(self, features_a_NF: np.ndarray, features_b_NF: np.ndarray, seed: int) -> dict[str, float]:
        """Judge the first set, the generated one, against the second, the real one; nothing is random.

        Returns:
            `precision` and `recall`, each in [0, 1].

        Raises:
            DataError: a set has not more than k images, or the widths differ.
        """
        a, b = two_sets("Precision and recall", features_a_NF, features_b_NF, self.neighbors + 1)
        generated_in_real_N, _ = inside(a, b, squared_radii(b, self.neighbors))
        real_in_generated_M, _ = inside(b, a, squared_radii(a, self.neighbors))
        return {
            "precision": float(np.mean(generated_in_real_N > 0)),
            "recall": float(np.mean(real_in_generated_M > 0)),
        }
