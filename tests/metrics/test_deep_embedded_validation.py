"""DEV against a problem whose density ratio and target risk are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from adaptgan.metrics.deep_embedded_validation import DeepEmbeddedValidation, controlled_risk, density_ratio
from adaptgan.metrics.validators import ModelOutputs

SHIFT = 1.0  # source N(0, 1), target N(1, 1): the ratio at x is exp(x - 1/2)


def test_controlled_risk_by_hand() -> None:
    """w = (1, 3), ℓ = (2, 4): w·ℓ = (2, 12), Cov = 5, Var(w) = 1, η = −5, risk = 7 − 5·2 + 5."""
    assert controlled_risk(np.array([1.0, 3.0]), np.array([2.0, 4.0])) == pytest.approx(2.0)


def test_equal_weights_give_the_plain_mean() -> None:
    assert controlled_risk(np.ones(3), np.array([1.0, 2.0, 6.0])) == pytest.approx(3.0)


def test_the_variate_takes_variance_away_and_leaves_the_mean() -> None:
    """Over many draws with true weights: the same risk as plain importance weighting, less spread."""
    plain, controlled = [], []
    for seed in range(400):
        x = np.random.default_rng(seed).normal(size=200)
        weights, losses = np.exp(SHIFT * x - 0.5 * SHIFT**2), 2.0 + np.tanh(x)
        plain.append(np.mean(weights * losses))
        controlled.append(controlled_risk(weights, losses))
    at = np.random.default_rng(1).normal(SHIFT, 1.0, 400_000)
    truth = float(np.mean(2.0 + np.tanh(at)))
    assert np.mean(controlled) == pytest.approx(truth, abs=0.02)
    assert np.std(controlled) < 0.5 * np.std(plain)


def test_density_ratio_of_two_gaussians() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(0, 1, (3000, 1)), rng.normal(SHIFT, 1, (1500, 1))  # sizes differ: L/N must be right
    at = np.linspace(-1.5, 2.0, 15)[:, None]
    found = density_ratio(source, target, at, seed=0)
    np.testing.assert_allclose(np.log(found), SHIFT * at[:, 0] - 0.5 * SHIFT**2, atol=0.35)


def test_no_image_stands_for_more_than_the_whole_target() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(0, 1, (200, 2)), rng.normal(6, 1, (50, 2))
    found = density_ratio(source, target, np.array([[500.0, 500.0]]), seed=0, strengths=[100.0])
    assert found == pytest.approx([50.0])


def problem(seed: int) -> tuple[ModelOutputs, float, float]:
    """A model that gives the true class probability σ(−2x): good on the source's left, bad on the target's right."""
    rng = np.random.default_rng(seed)
    held, training, target = rng.normal(0, 1, 4000), rng.normal(0, 1, 4000), rng.normal(SHIFT, 1, 4000)

    def predict(x: np.ndarray) -> np.ndarray:
        right = 1 / (1 + np.exp(2 * x))
        return np.stack([right, 1 - right], 1)

    outputs = ModelOutputs(
        predict(target),
        target[:, None],
        0.5,
        held_out_probabilities_MK=predict(held),
        held_out_labels_M=np.zeros(len(held), np.int64),
        held_out_features_MF=held[:, None],
        training_features_LF=training[:, None],
    )
    grid = np.linspace(-9, 10, 20001)

    def risk(mean: float) -> float:
        density = np.exp(-0.5 * (grid - mean) ** 2) / math.sqrt(2 * math.pi)
        return float(np.sum(density * np.log1p(np.exp(2 * grid))) * (grid[1] - grid[0]))

    return outputs, risk(0.0), risk(SHIFT)


def test_estimates_the_targets_risk_not_the_sources() -> None:
    outputs, on_source, on_target = problem(0)
    found = DeepEmbeddedValidation(images=4000)(outputs, 0)
    assert on_target > 1.8 * on_source  # they are far apart, or this would test nothing
    assert found == pytest.approx(-on_target, rel=0.1)


def test_the_error_as_loss() -> None:
    """Of 0-1 losses the target's risk is P(x > 0) under N(1, 1)."""
    outputs, _, _ = problem(1)
    found = DeepEmbeddedValidation(loss="error", images=4000)(outputs, 0)
    assert found == pytest.approx(-0.5 * (1 + math.erf(SHIFT / math.sqrt(2))), rel=0.05)


def test_a_sure_mistake_costs_a_finite_amount() -> None:
    wrong = np.array([[1.0, 0.0]] * 20)
    points = np.random.default_rng(0).normal(size=(20, 2))
    outputs = ModelOutputs(wrong, points, 0.0, wrong, np.ones(20, np.int64), points, points)
    found = DeepEmbeddedValidation()(outputs, 0)
    assert found is not None and math.isfinite(found) and found < -10


@pytest.mark.parametrize(
    "missing", ["features_NF", "held_out_probabilities_MK", "held_out_labels_M", "training_features_LF"]
)
def test_without_what_it_needs_there_is_no_score(missing: str) -> None:
    outputs, _, _ = problem(0)
    known = {name: value for name, value in vars(outputs).items() if name != missing}
    assert DeepEmbeddedValidation()(ModelOutputs(**known), 0) is None
