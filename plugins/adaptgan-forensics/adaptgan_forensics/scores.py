"""How good a detector's logits are: whether they rank, whether they decide, whether they can be believed."""

from __future__ import annotations

import numpy as np

from adaptgan.errors import DataError

BINS = 15
"""Of the calibration error (Guo 2017)."""

STEEPEST = 1e3
"""Temperatures are looked for between its inverse and it."""


def auc(logits_N: np.ndarray, labels_N: np.ndarray) -> float:
    """Area under the ROC curve: how often a generated image has the higher logit than a real one, ties counting half.

    It is the Mann-Whitney statistic, U / (n₁ n₀) with U = Σ ranks of the generated − n₁(n₁ + 1)/2.

    Args:
        logits_N: the higher, the more like generated; any scale.
        labels_N: 1 generated, 0 real.

    Raises:
        DataError: only one of the two is there.
    """
    generated = np.asarray(labels_N, bool)
    n1, n0 = int(generated.sum()), int((~generated).sum())
    if not (n1 and n0):
        raise DataError(f"AUC compares generated images with real ones; found {n1} and {n0}.")
    _, places, counts = np.unique(np.asarray(logits_N, np.float64), return_inverse=True, return_counts=True)
    ranks_N = (counts.cumsum() - (counts - 1) / 2)[places]  # of equal values, the mean of theirs
    return float((ranks_N[generated].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def probabilities(logits_N: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """P(generated) = σ(l / T), (N,)."""
    p_N: np.ndarray = np.exp(-np.logaddexp(0.0, -np.asarray(logits_N, np.float64) / temperature))
    return p_N


def cross_entropy(logits_N: np.ndarray, labels_N: np.ndarray, temperature: float = 1.0) -> float:
    """−mean log P(truth), in nats."""
    l_N = np.asarray(logits_N, np.float64) / temperature
    return float(np.logaddexp(0.0, np.where(np.asarray(labels_N, bool), -l_N, l_N)).mean())


def calibration_error(logits_N: np.ndarray, labels_N: np.ndarray, temperature: float = 1.0) -> float:
    """The expected calibration error, Σ_m |B_m|/N · |acc(B_m) − conf(B_m)| (Guo 2017, eq. 3).

    Bins B_m are of equal width over [0, 1] and hold the images whose decision has that confidence, max(p, 1 − p).
    """
    p_N = probabilities(logits_N, temperature)
    confidence_N = np.maximum(p_N, 1 - p_N)
    right_N = (p_N > 0.5) == np.asarray(labels_N, bool)
    bins_N = np.minimum((confidence_N * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins_N, right_N - confidence_N, BINS)
    return float(np.abs(gaps).sum() / len(p_N))


def fit_temperature(logits_N: np.ndarray, labels_N: np.ndarray) -> float:
    """T > 0 that makes σ(l / T) a probability (Guo 2017, §4.2): the order of images, and so AUC, stays.

    min over T of the cross-entropy on images that the detector did not learn from. It is convex in β = 1/T, so its
    slope, Σ l (σ(βl) − t), has one root, found by bisection. Targets t are Platt's (1999): (n₁ + 1)/(n₁ + 2) and
    1/(n₀ + 2) instead of 1 and 0, without which a detector that makes no mistake would have T = 0.

    Args:
        logits_N: l.
        labels_N: 1 generated, 0 real.

    Returns:
        T between 0.001 and 1000; 1000 where the logits tell nothing, or the wrong way round.
    """
    l_N, y_N = np.asarray(logits_N, np.float64), np.asarray(labels_N, bool)
    n1, n0 = int(y_N.sum()), int((~y_N).sum())
    if not (n1 and n0):
        raise DataError(f"calibration needs generated images and real ones; found {n1} and {n0}.")
    t_N = np.where(y_N, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))
    low, high = 1 / STEEPEST, STEEPEST
    for _ in range(80):
        beta = float(np.sqrt(low * high))
        slope = (l_N * (probabilities(l_N, 1 / beta) - t_N)).sum()
        low, high = (beta, high) if slope < 0 else (low, beta)
    return 1 / float(np.sqrt(low * high))


def summary(logits_N: np.ndarray, labels_N: np.ndarray, temperature: float = 1.0) -> dict[str, float]:
    """`auc`, `accuracy` (of P > ½), `nll` and `ece`."""
    return {
        "auc": auc(logits_N, labels_N),
        "accuracy": float(((np.asarray(logits_N) > 0) == np.asarray(labels_N, bool)).mean()),
        "nll": cross_entropy(logits_N, labels_N, temperature),
        "ece": calibration_error(logits_N, labels_N, temperature),
    }
