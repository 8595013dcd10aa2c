from __future__ import annotations

import math

import numpy as np
import pytest

from adaptgan.metrics.soft_neighborhood import SoftNeighborhoodDensity, soft_neighborhood_density
from adaptgan.metrics.validators import ModelOutputs


def naive(points: np.ndarray, temperature: float) -> float:
    """Equations 1 to 3 of Saito 2021, in loops."""
    total = 0.0
    for i, one in enumerate(points):
        weights = []
        for j, other in enumerate(points):
            if i != j:
                cosine = sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))
                weights.append(math.exp(cosine / temperature))
        shares = [weight / sum(weights) for weight in weights]
        total -= sum(share * math.log(share) for share in shares if share > 0)
    return total / len(points)


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_equals_the_loops(temperature: float) -> None:
    points = np.random.default_rng(0).dirichlet(np.ones(4) * 0.3, 30)
    assert soft_neighborhood_density(points, temperature) == pytest.approx(naive(points, temperature))


def test_closed_forms() -> None:
    """All alike: log(N − 1). Groups that share nothing, at a small temperature: log of the others in the group."""
    assert soft_neighborhood_density(np.ones((7, 3)), 0.05) == pytest.approx(math.log(6))
    groups = np.repeat(np.eye(4), 5, axis=0)
    assert soft_neighborhood_density(groups, 0.02) == pytest.approx(math.log(4), abs=1e-6)


def test_lengths_do_not_matter_and_zero_is_allowed() -> None:
    points = np.random.default_rng(0).normal(size=(12, 3))
    lengths = np.random.default_rng(1).uniform(0.1, 9, (12, 1))
    assert soft_neighborhood_density(points * lengths, 0.05) == pytest.approx(soft_neighborhood_density(points, 0.05))
    assert math.isfinite(soft_neighborhood_density(np.zeros((4, 2)), 0.05))


def test_what_is_compared_is_an_option() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(3), 20)
    features = np.random.default_rng(1).normal(size=(20, 6))
    outputs = ModelOutputs(p, features)
    assert SoftNeighborhoodDensity()(outputs, 0) == pytest.approx(naive(p, 0.05))
    assert SoftNeighborhoodDensity("features")(outputs, 0) == pytest.approx(naive(features, 0.05))
    assert SoftNeighborhoodDensity("features")(ModelOutputs(p), 0) is None
    assert SoftNeighborhoodDensity()(ModelOutputs(p[:1]), 0) is None


def test_a_part_of_many_images() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    score = SoftNeighborhoodDensity(images=25)
    first, second, third = (score(ModelOutputs(p), seed) for seed in (0, 0, 1))
    assert first == second != third
    assert first is not None and first <= math.log(24)
