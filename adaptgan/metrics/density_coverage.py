"""Density and coverage (Naeem 2020): precision and recall that one outlier does not spoil."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from adaptgan.metrics.neighbors import inside, squared_radii, two_sets


class DensityCoverage:
    """Balls around real points only, each reaching to the k-th nearest other real point.

        density  = (balls that a generated point lies in, on average) / k
        coverage = share of balls with a generated point in them

    (Naeem 2020, eq. 3 and 4.) Density counts how many balls a point is in, so one far too large ball adds little to it;
    above 1 the generated points crowd where the real ones are dense. Coverage takes its balls from the real points,
    which have fewer outliers. For equal distributions density is 1 and coverage about 1 − 2⁻ᵏ, 0.97 for k = 5.

    Args:
        neighbors: k.
    """

    def __init__(self, neighbors: Annotated[int, Field(ge=1)] = 5) -> None:
        self.neighbors = neighbors

    def __call__(self, features_a_NF: np.ndarray, features_b_NF: np.ndarray, seed: int) -> dict[str, float]:
        """Judge the first set, the generated one, against the second, the real one; nothing is random.

        Returns:
            `density` ≥ 0, and `coverage` in [0, 1].

        Raises:
            DataError: a set has not more than k images, or the widths differ.
        """
        a, b = two_sets("Density and coverage", features_a_NF, features_b_NF, self.neighbors + 1)
        balls_N, points_M = inside(a, b, squared_radii(b, self.neighbors))
        return {"density": float(balls_N.mean() / self.neighbors), "coverage": float(np.mean(points_M > 0))}
