"""AUC, calibration and temperature against scikit-learn, scipy and arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from adaptgan_forensics.scores import (
    auc,
    calibration_error,
    cross_entropy,
    fit_temperature,
    probabilities,
    summary,
)
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from adaptgan.errors import DataError


@pytest.fixture
def judged() -> tuple[np.ndarray, np.ndarray]:
    """Logits that would be calibrated were they a quarter as large, with many ties."""
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, 3000).round(1)
    return 4 * honest, (rng.random(3000) < expit(honest)).astype(int)


def test_auc_is_scikit_learns(judged: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = judged
    assert auc(logits, labels) == pytest.approx(roc_auc_score(labels, logits), abs=1e-12)
    assert auc([0, 0, 0, 0], [0, 1, 0, 1]) == 0.5
    assert auc([1, 2, 3, 4], [0, 0, 1, 1]) == 1.0
    assert auc([1, 2, 3, 4], [1, 1, 0, 0]) == 0.0
    with pytest.raises(DataError, match="found 3 and 0"):
        auc([1, 2, 3], [1, 1, 1])


def test_cross_entropy_is_scikit_learns(judged: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = judged
    for temperature in (1.0, 3.0):
        expected = log_loss(labels, expit(logits / temperature))
        assert cross_entropy(logits, labels, temperature) == pytest.approx(expected, rel=1e-9)
    assert np.isfinite(cross_entropy([-2000.0], [1]))


def test_temperature_minimizes_the_loss_and_leaves_the_order(judged: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = judged
    n1, n0 = labels.sum(), (1 - labels).sum()
    targets = np.where(labels, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))

    def loss(log_t: float) -> float:
        x = logits / np.exp(log_t)
        return float((targets * np.logaddexp(0, -x) + (1 - targets) * np.logaddexp(0, x)).mean())

    best = minimize_scalar(loss, bounds=(-3, 5), method="bounded", options={"xatol": 1e-9})
    t = fit_temperature(logits, labels)
    assert t == pytest.approx(np.exp(best.x), rel=1e-4)
    assert 3.6 < t < 4.4
    assert cross_entropy(logits, labels, t) < cross_entropy(logits, labels) - 0.1
    assert calibration_error(logits, labels, t) < 0.03 < 0.1 < calibration_error(logits, labels)
    cooled = probabilities(logits, t)
    np.testing.assert_array_equal(np.argsort(cooled, kind="stable"), np.argsort(logits, kind="stable"))
    assert auc(cooled, labels) == auc(logits, labels)


def test_temperature_of_extremes() -> None:
    perfect = fit_temperature([-1.0] * 50 + [1.0] * 50, [0] * 50 + [1] * 50)
    assert probabilities([1.0], perfect)[0] == pytest.approx(51 / 52)  # Platt's target, not 1
    assert fit_temperature([1.0, -1.0] * 20, [0, 1] * 20) == pytest.approx(1000)  # the wrong way round: no word of it
    with pytest.raises(DataError, match="found 0 and 2"):
        fit_temperature([1.0, 2.0], [0, 0])


def test_calibration_error_by_hand() -> None:
    logits = np.log(np.array([0.9, 0.9, 0.9, 0.9, 0.3, 0.3]) / np.array([0.1, 0.1, 0.1, 0.1, 0.7, 0.7]))
    labels = [1, 1, 1, 0, 0, 1]
    # Four decisions made with 0.9, three right; two with 0.7 (for real), one right.
    assert calibration_error(logits, labels) == pytest.approx(4 / 6 * 0.15 + 2 / 6 * 0.2)
    assert calibration_error([1e3, -1e3], [1, 0]) == 0


def test_summary(judged: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = judged
    found = summary(logits, labels, 4.0)
    assert found["accuracy"] == pytest.approx(((logits > 0) == labels).mean())
    assert found["nll"] == cross_entropy(logits, labels, 4.0) and found["ece"] == calibration_error(logits, labels, 4)
