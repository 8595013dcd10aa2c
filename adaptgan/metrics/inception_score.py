"""Inception Score (Salimans 2016): are the images each of a clear class, and all classes there."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from adaptgan.errors import DataError
from adaptgan.metrics.validators import entropy


def inception_score(probabilities_NK: np.ndarray) -> float:
    """IS = exp E_x KL(p(y|x) ‖ p(y)) with p(y) = E_x p(y|x); that is exp(H(p(y)) − E_x H(p(y|x))).

    Args:
        probabilities_NK: p(y|x) of N images; rows sum to 1.

    Returns:
        In [1, K]: 1 when all predictions are alike, K when each is sure and all classes are equally many.
    """
    p = np.asarray(probabilities_NK, np.float64)
    return float(np.exp(entropy(p.mean(0)) - entropy(p).mean()))


class InceptionScore:
    """The Inception Score of the judged images; the real ones have no part in it. Known for its faults.

    They are (Barratt & Sharma 2018): it never looks at a real image, so one sure image per class, repeated, has the
    highest score of all; it knows only the classifier's classes, and of images that have others it says nothing; it
    moves with the classifier's weights, and a generator that fools the classifier wins; it grows with the number of
    images in a split. Compare values of one classifier and equally many images, and never without a measure that looks
    at real images. The floor's value is what real images reach.

    It wants probabilities: of an extractor that gives some, such as `model` or `inception_v3`.

    Args:
        splits: the score is the mean over so many parts of the images, in random order (the paper's 10).
    """

    wants: ClassVar[str] = "probabilities"

    def __init__(self, splits: Annotated[int, Field(ge=1)] = 10) -> None:
        self.splits = splits

    def __call__(self, probabilities_a_NK: np.ndarray, probabilities_b_NK: np.ndarray, seed: int) -> dict[str, float]:
        """Score the first set's predictions.

        Returns:
            `inception_score` in [1, K], the mean over the splits, and `inception_score_std`, its standard deviation.

        Raises:
            DataError: there are fewer images than splits.
        """
        if len(probabilities_a_NK) < self.splits:
            raise DataError(
                f"The Inception Score in {self.splits} splits needs as many images; found {len(probabilities_a_NK)}."
            )
        order = np.random.default_rng(seed).permutation(len(probabilities_a_NK))
        scores = [inception_score(probabilities_a_NK[part]) for part in np.array_split(order, self.splits)]
        return {"inception_score": float(np.mean(scores)), "inception_score_std": float(np.std(scores))}
