"""Which classes a classifier finds among generated images, beside those it finds among real ones."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from adaptgan.errors import DataError
from adaptgan.metrics.validators import entropy


class ClassBalance:
    """How evenly the predicted classes are spread. A collapse shows here before any distance tells what it is.

    With p_k the share of images whose likeliest class is k, e^H(p) is the number of classes that p amounts to:

        class_balance = e^(H(p generated) − H(p real))

    It wants probabilities: of an extractor that gives some, such as `model`. Variety within a class is not seen.
    """

    wants: ClassVar[str] = "probabilities"

    def __call__(self, probabilities_a_NK: np.ndarray, probabilities_b_NK: np.ndarray, seed: int) -> dict[str, float]:
        """Compare the judged set's predictions with those of the real one; nothing is random.

        Returns:
            `class_balance` in [1/K, K], 1 when the classes are as even as the real ones'; `largest_class`, the share of
            the commonest class, in [1/K, 1]; `missing_classes`, how many of the classes found among real images are
            found in no generated one.

        Raises:
            DataError: a set is empty, or the numbers of classes differ.
        """
        shapes = np.shape(probabilities_a_NK), np.shape(probabilities_b_NK)
        if any(len(shape) != 2 or not shape[0] for shape in shapes) or shapes[0][1] != shapes[1][1]:
            raise DataError(f"Class balance compares two (N, K) arrays of the same K; found {shapes[0]}, {shapes[1]}.")
        a_K, b_K = _shares(probabilities_a_NK), _shares(probabilities_b_NK)
        return {
            "class_balance": float(np.exp(entropy(a_K) - entropy(b_K))),
            "largest_class": float(a_K.max()),
            "missing_classes": float(np.sum((b_K > 0) & (a_K == 0))),
        }


def _shares(probabilities_NK: np.ndarray) -> np.ndarray:
    """The share of images whose likeliest class is k, (K,)."""
    count, classes = probabilities_NK.shape
    shares_K: np.ndarray = np.bincount(np.asarray(probabilities_NK).argmax(1), minlength=classes) / count
    return shares_K
