from __future__ import annotations

import warnings
from statistics import NormalDist

import numpy as np
import pytest

from adaptgan.errors import DataError
from adaptgan.metrics.a_distance import ProxyADistance, a_distance


def test_ends_and_clipping() -> None:
    assert a_distance(0.0) == 2.0
    assert a_distance(0.5) == 0.0
    assert a_distance(0.6) == 0.0  # worse than chance is chance
    assert a_distance(0.25) == 1.0


@pytest.mark.parametrize("shift", [0.5, 1.5, 3.0])
def test_reaches_the_bayes_error_of_two_gaussians(shift: float) -> None:
    """For N(0, I) against N(shift·e, I) the best classifier is linear and errs with Φ(−shift / 2)."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6000, 4)), rng.normal(size=(6000, 4))
    b[:, 2] += shift
    bayes = NormalDist().cdf(-shift / 2)
    found = ProxyADistance()(a, b, seed=1)
    assert found["domain_error"] == pytest.approx(bayes, abs=0.015)
    assert found["a_distance"] == pytest.approx(2 * (1 - 2 * bayes), abs=0.06)


def test_equal_domains_are_about_zero() -> None:
    rng = np.random.default_rng(2)
    found = ProxyADistance()(rng.normal(size=(4000, 3)), rng.normal(size=(4000, 3)), seed=0)
    assert 0.0 <= found["a_distance"] < 0.08


def test_held_out_halves_forbid_memorizing() -> None:
    """More features than points: a linear classifier fits the training half perfectly, and must not get credit."""
    rng = np.random.default_rng(4)
    found = ProxyADistance(splits=5)(rng.normal(size=(60, 200)), rng.normal(size=(60, 200)), seed=0)
    assert found["domain_error"] > 0.35


def test_mlp_finds_what_a_line_cannot() -> None:
    """Same mean, another spread: no line separates them; the Bayes error follows from the two densities."""
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(3000, 2)), rng.normal(0, 4.0, size=(3000, 2))
    # |x|² is exponential with mean 2σ²; the best rule is a circle at |x|² = t where the densities cross.
    t = 2 * np.log(16) / (1 - 1 / 16)
    bayes = 0.5 * (np.exp(-t / 2) + 1 - np.exp(-t / 32))
    assert ProxyADistance()(a, b, seed=0)["a_distance"] < 0.2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ProxyADistance(classifier="mlp", splits=1)(a, b, seed=0)
    assert found["domain_error"] == pytest.approx(bayes, abs=0.03)


def test_takes_images_and_unequal_counts() -> None:
    rng = np.random.default_rng(6)
    found = ProxyADistance()(rng.integers(0, 90, (60, 1, 4, 4)), rng.integers(120, 255, (300, 1, 4, 4)), seed=0)
    assert found == {"a_distance": 2.0, "domain_error": 0.0}


def test_a_constant_feature_does_no_harm() -> None:
    rng = np.random.default_rng(7)
    a = np.concatenate([rng.normal(size=(100, 1)), np.ones((100, 1))], 1)
    b = np.concatenate([rng.normal(9, 1, size=(100, 1)), np.ones((100, 1))], 1)
    assert ProxyADistance()(a, b, seed=0)["a_distance"] == pytest.approx(2.0, abs=0.05)


def test_too_few_points() -> None:
    with pytest.raises(DataError, match="at least 4"):
        ProxyADistance()(np.zeros((3, 2)), np.zeros((9, 2)), seed=0)
