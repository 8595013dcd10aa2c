"""Precision and recall, density and coverage: what they share is in adaptgan/metrics/neighbors.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch_fidelity.metric_prc import prc_features_to_metric

from adaptgan.errors import DataError
from adaptgan.metrics import neighbors
from adaptgan.metrics.density_coverage import DensityCoverage
from adaptgan.metrics.precision_recall import PrecisionRecall

Sets = tuple[np.ndarray, np.ndarray]


@pytest.fixture(params=[1024, 37], ids=["one block", "blocks"])
def sets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sets:
    monkeypatch.setattr(neighbors, "BLOCK", request.param)
    rng = np.random.default_rng(5)
    return rng.normal(0.4, 0.8, (210, 6)), rng.normal(size=(170, 6))


def by_sklearn(a: np.ndarray, b: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """All four, from scikit-learn's exact neighbours."""

    def radii(points: np.ndarray) -> np.ndarray:
        return NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(points).kneighbors(points)[0][:, -1]

    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    in_real, in_generated = apart <= radii(b)[None], apart <= radii(a)[:, None]
    return in_real.any(1).mean(), in_generated.any(0).mean(), in_real.sum(1).mean() / k, in_real.any(0).mean()


@pytest.mark.parametrize("k", [1, 3, 5])
def test_equal_an_independent_implementation(sets: Sets, k: int) -> None:
    precision, recall, density, coverage = by_sklearn(*sets, k)
    assert 0.1 < recall < precision < 1 and 0.1 < coverage < 1
    found = PrecisionRecall(k)(*sets, seed=0)
    assert found == pytest.approx({"precision": precision, "recall": recall}, rel=1e-12)
    found = DensityCoverage(k)(*sets, seed=0)
    assert found == pytest.approx({"density": density, "coverage": coverage}, rel=1e-12)
    theirs = prc_features_to_metric(*(torch.from_numpy(x) for x in sets), prc_neighborhood=k, verbose=False)
    assert theirs["precision"] == pytest.approx(precision, rel=1e-6)
    assert theirs["recall"] == pytest.approx(recall, rel=1e-6)


def test_by_hand() -> None:
    """Real points 0, 1, 2, 10 on a line with k = 1: balls [−1, 1], [0, 2], [1, 3], [2, 18]."""
    real, generated = np.array([[0.0], [1.0], [2.0], [10.0]]), np.array([[-0.5], [1.5], [17.0], [30.0]])
    # Of the generated, −0.5 is in 1 ball, 1.5 in 2, 17 in the outlier's, 30 in none.
    assert DensityCoverage(1)(generated, real, seed=0) == {"density": 1.0, "coverage": 1.0}
    # Balls of the generated: [−2.5, 1.5], [−0.5, 3.5], [4, 30] and [17, 43].
    assert PrecisionRecall(1)(generated, real, seed=0) == {"precision": 0.75, "recall": 1.0}
    assert PrecisionRecall(1)(real, generated, seed=0) == {"precision": 1.0, "recall": 0.75}


def test_coverage_of_equal_distributions_has_a_closed_form() -> None:
    """E = 1 − Π (N − i) / (2N − i), i = 1…k, and the density is 1 on average (Naeem 2020, §3.3)."""
    rng = np.random.default_rng(1)
    n, k = 300, 3
    found = [DensityCoverage(k)(rng.normal(size=(n, 2)), rng.normal(size=(n, 2)), seed=0) for _ in range(40)]
    expected = 1 - np.prod([(n - i) / (2 * n - i) for i in range(1, k + 1)])
    assert np.mean([f["coverage"] for f in found]) == pytest.approx(expected, abs=0.02)
    assert np.mean([f["density"] for f in found]) == pytest.approx(1, abs=0.05)


def test_a_collapse_keeps_precision_and_loses_recall_and_coverage() -> None:
    rng = np.random.default_rng(2)
    real, one = rng.normal(size=(300, 4)), np.zeros((300, 4))
    assert PrecisionRecall()(one, real, seed=0) == {"precision": 1.0, "recall": 0.0}
    found = DensityCoverage()(one, real, seed=0)
    assert found["coverage"] < 0.2 and found["density"] > 1


def test_copies_count_whatever_rounding_makes_of_their_distance() -> None:
    """Balls of radius 0, around points that come more than k times, hold their copies, far from the origin too."""
    points = np.random.default_rng(3).normal(1e3, 1, (30, 7))
    real = np.repeat(points, 5, 0)
    assert PrecisionRecall()(points, real, seed=0)["precision"] == 1.0
    assert DensityCoverage(3)(points, real, seed=0) == pytest.approx({"density": 5 / 3, "coverage": 1.0})
    near = points + 1e-3
    assert PrecisionRecall()(near, real, seed=0)["precision"] == 0.0


def test_bad_shapes_are_named() -> None:
    with pytest.raises(DataError, match=r"Precision and recall.*\(9, 2\) and \(9, 3\)"):
        PrecisionRecall()(np.zeros((9, 2)), np.zeros((9, 3)), seed=0)
    with pytest.raises(DataError, match="at least 6 .*found 9 and 5"):
        DensityCoverage()(np.zeros((9, 2)), np.zeros((5, 2)), seed=0)
