"""Scores of a classifier on labelled images, with the uncertainty that their number leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Z95 = 1.959963984540054
"""The 97.5% quantile of the standard normal."""


def accuracy(labels_N: np.ndarray, predictions_N: np.ndarray) -> float:
    """The share of predictions that equal their label."""
    return float(np.mean(np.asarray(labels_N) == np.asarray(predictions_N)))


def confusion(labels_N: np.ndarray, predictions_N: np.ndarray, n_classes: int) -> np.ndarray:
    """Counts, (K, K) int64: row = true class, column = predicted class."""
    counts_KK = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(counts_KK, (np.asarray(labels_N), np.asarray(predictions_N)), 1)
    return counts_KK


def per_class(labels_N: np.ndarray, predictions_N: np.ndarray, classes: Sequence[str]) -> dict[str, float | None]:
    """Accuracy within each true class; None for a class without images."""
    counts_KK = confusion(labels_N, predictions_N, len(classes))
    totals_K = counts_KK.sum(1)
    return {name: float(counts_KK[k, k] / totals_K[k]) if totals_K[k] else None for k, name in enumerate(classes)}


def wilson_interval(correct: int, total: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927); stays inside [0, 1] and behaves near its ends."""
    if total == 0:
        return 0.0, 1.0
    share = correct / total
    scale = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / scale
    margin = z / scale * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    # At 0 and `total` the exact bound is 0 or 1; rounding would leave it a hair off.
    low = 0.0 if correct == 0 else float(centre - margin)
    high = 1.0 if correct == total else float(centre + margin)
    return low, high


def paired_difference(
    labels_N: np.ndarray, before_N: np.ndarray, after_N: np.ndarray, z: float = Z95
) -> tuple[float, float, float]:
    """How much accuracy changes between two classifiers on the same images.

    The images are shared, so only those on which the two disagree carry information (McNemar 1947); the interval is
    the normal one for a paired difference of proportions.

    Returns:
        The difference after − before, and the low and high end of its interval.
    """
    right_before = np.asarray(before_N) == np.asarray(labels_N)
    right_after = np.asarray(after_N) == np.asarray(labels_N)
    total = len(right_before)
    won, lost = int(np.sum(right_after & ~right_before)), int(np.sum(right_before & ~right_after))
    difference = (won - lost) / total
    error = np.sqrt(won + lost - (won - lost) ** 2 / total) / total
    return difference, float(difference - z * error), float(difference + z * error)
