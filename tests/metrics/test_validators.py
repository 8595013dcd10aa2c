from __future__ import annotations

import math

import numpy as np
import pytest

from adaptgan.metrics.validators import (
    BatchNuclearNorm,
    ClassAMI,
    Entropy,
    InformationMaximization,
    ModelOutputs,
    SourceAccuracy,
    entropy,
)
from adaptgan.plugins import components

SURE = np.repeat(np.eye(4), 5, axis=0)  # 20 images, each class 5 times, no doubt
UNIFORM = np.full((20, 4), 0.25)
COLLAPSED = np.eye(4)[np.zeros(20, int)]  # sure, and always the same answer


def test_entropy_closed_forms() -> None:
    np.testing.assert_allclose(entropy(np.array([[1.0, 0.0], [0.5, 0.5]])), [0.0, np.log(2)])


def test_entropy_as_a_score_by_loops() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(5), 40)
    total = 0.0
    for row in p:
        for value in row:
            total += value * math.log(value)
    assert Entropy()(ModelOutputs(p), 0) == pytest.approx(total / 40)
    assert Entropy()(ModelOutputs(UNIFORM), 0) == pytest.approx(-math.log(4))
    assert Entropy()(ModelOutputs(SURE), 0) == Entropy()(ModelOutputs(COLLAPSED), 0) == 0  # blind to a collapse


def test_information_maximization_closed_forms() -> None:
    score = InformationMaximization()
    assert score(ModelOutputs(SURE), 0) == pytest.approx(np.log(4))
    assert score(ModelOutputs(UNIFORM), 0) == pytest.approx(0)
    assert score(ModelOutputs(COLLAPSED), 0) == pytest.approx(0)


def test_information_maximization_of_a_known_mixture() -> None:
    """Two answers, p and its mirror: H(1/2) − H(p)."""
    p = np.array([[0.9, 0.1], [0.1, 0.9]])
    h = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert InformationMaximization()(ModelOutputs(p), 0) == pytest.approx(np.log(2) - h)


def test_nuclear_norm_closed_forms() -> None:
    score = BatchNuclearNorm()
    assert score(ModelOutputs(SURE), 0) == pytest.approx(1.0)  # K singular values √(N/K)
    assert score(ModelOutputs(UNIFORM), 0) == pytest.approx(1 / 4)  # one, √(N/K)
    assert score(ModelOutputs(COLLAPSED), 0) == pytest.approx(1 / 2)  # one, √N


def test_nuclear_norm_equals_the_trace_of_the_root() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(4), 30)
    roots = np.sqrt(np.linalg.eigvalsh(p.T @ p))
    assert BatchNuclearNorm()(ModelOutputs(p), 0) == pytest.approx(roots.sum() / np.sqrt(30 * 4))


def test_class_ami_ends() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), 25)
    features = 20 * np.eye(4)[truth] + rng.normal(size=(100, 4))
    renamed = np.eye(4)[(truth + 1) % 4]  # the same grouping by other names
    assert ClassAMI()(ModelOutputs(renamed, features), 0) == pytest.approx(1.0)
    unrelated = np.eye(4)[rng.integers(0, 4, 100)]
    found = ClassAMI()(ModelOutputs(unrelated, features), 0)
    assert found is not None and abs(found) < 0.1


def test_class_ami_survives_a_collapse() -> None:
    """All features equal: one cluster; scikit-learn must not be asked for more."""
    found = ClassAMI()(ModelOutputs(COLLAPSED, np.ones((20, 3))), 0)
    assert found is not None and np.isfinite(found)


def test_source_accuracy_is_what_training_measured() -> None:
    assert SourceAccuracy()(ModelOutputs(SURE, source_accuracy=0.97), 0) == 0.97
    assert SourceAccuracy()(ModelOutputs(SURE), 0) is None
    assert ClassAMI()(ModelOutputs(SURE), 0) is None


@pytest.mark.parametrize("name", ["source_accuracy", "information_maximization", "batch_nuclear_norm", "class_ami"])
def test_are_components(name: str) -> None:
    score = components().build("validator", name)
    assert score(ModelOutputs(SURE, SURE + 0.0, 1.0), 0) == pytest.approx(np.log(4) if name.startswith("inf") else 1.0)


@pytest.mark.parametrize(("name", "needs"), [("entropy", False), ("snd", False), ("dev", True)])
def test_others_are_components_too(name: str, needs: bool) -> None:
    score = components().build("validator", name)
    assert getattr(score, "needs_source", False) == needs
    points = np.random.default_rng(0).normal(size=(20, 4))
    found = score(ModelOutputs(SURE, points, 1.0, SURE, SURE.argmax(1), points, points), 0)
    assert found is not None and np.isfinite(found)


@pytest.mark.parametrize("name", ["kid", "a_distance"])
def test_metrics_are_components(name: str) -> None:
    rng = np.random.default_rng(0)
    found = components().build("metric", name)(rng.normal(size=(20, 2)), rng.normal(size=(20, 2)), 0)
    assert name in found
