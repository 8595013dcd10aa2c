"""Scores of predicted values and masks, with the uncertainty that the number of images leaves."""

from __future__ import annotations

import numpy as np

RESAMPLES = 2000


def bootstrap_ratio(
    above_N: np.ndarray, below_N: np.ndarray, seed: int, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """95% percentile interval (Efron 1979) of Σ above / Σ below, where the images are what is drawn again.

    Args:
        above_N: each image's part of the numerator.
        below_N: each image's part of the denominator; ones make it a mean.
        seed: of the resampling; equal seeds draw the same images, whatever is measured.
        resamples: how many.
    """
    count = len(above_N)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    sums_R, totals_R = draws @ np.asarray(above_N, np.float64), draws @ np.asarray(below_N, np.float64)
    ratios = sums_R[totals_R > 0] / totals_R[totals_R > 0]
    low, high = np.quantile(ratios, (0.025, 0.975)) if len(ratios) else (np.nan, np.nan)
    return float(low), float(high)


def r_squared(truth_N: np.ndarray, predicted_N: np.ndarray) -> float | None:
    """1 − Σ(y − ŷ)² / Σ(y − ȳ)², with ȳ the mean of these very images; None where they are all alike.

    Below 0: worse than knowing nothing but the mean of the test set.
    """
    truth, predicted = np.asarray(truth_N, np.float64), np.asarray(predicted_N, np.float64)
    spread = np.square(truth - truth.mean()).sum()
    return float(1 - np.square(truth - predicted).sum() / spread) if spread else None


def overlaps(truth_NHW: np.ndarray, predicted_NHW: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels in the intersection and in the union of truth and prediction, each (N, K): of every image and class."""
    truth, predicted = np.asarray(truth_NHW), np.asarray(predicted_NHW)
    shared, either = [], []
    for number in range(n_classes):
        mine, theirs = truth == number, predicted == number
        shared.append((mine & theirs).sum((1, 2)))
        either.append((mine | theirs).sum((1, 2)))
    return np.stack(shared, 1), np.stack(either, 1)
