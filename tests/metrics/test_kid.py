from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel
from torch_fidelity.metric_kid import kid_features_to_metric

from adaptgan.errors import DataError
from adaptgan.metrics.kid import KID, polynomial_mmd2


def by_double_loop(a: np.ndarray, b: np.ndarray) -> float:
    """The definition, term by term, in float64."""
    d = a.shape[1]

    def mean(xs: np.ndarray, ys: np.ndarray, skip_equal: bool) -> float:
        terms = [
            (float(np.dot(x, y)) / d + 1.0) ** 3
            for i, x in enumerate(xs)
            for j, y in enumerate(ys)
            if not (skip_equal and i == j)
        ]
        return sum(terms) / len(terms)

    return mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False)


def by_library(a: np.ndarray, b: np.ndarray) -> float:
    """The same with scikit-learn's kernel; the pairs of a point with itself are masked out."""
    others_a, others_b = ~np.eye(len(a), dtype=bool), ~np.eye(len(b), dtype=bool)
    within = (
        polynomial_kernel(a, degree=3, coef0=1)[others_a].mean()
        + polynomial_kernel(b, degree=3, coef0=1)[others_b].mean()
    )
    return float(within - 2 * polynomial_kernel(a, b, degree=3, coef0=1).mean())


@pytest.fixture
def features() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.normal(size=(23, 5)), rng.normal(0.4, 1.3, size=(17, 5))


def test_equals_the_double_loop(features: tuple[np.ndarray, np.ndarray]) -> None:
    assert polynomial_mmd2(*features) == pytest.approx(by_double_loop(*features), rel=1e-12)


def test_equals_a_librarys_kernel(features: tuple[np.ndarray, np.ndarray]) -> None:
    assert polynomial_mmd2(*features) == pytest.approx(by_library(*features), rel=1e-10)


def test_subsets_agree_with_the_library_on_the_same_draws(features: tuple[np.ndarray, np.ndarray]) -> None:
    rng = np.random.default_rng(11)
    theirs = []
    for _ in range(4):
        a = features[0][rng.choice(23, 9, replace=False)]
        b = features[1][rng.choice(17, 9, replace=False)]
        theirs.append(by_library(a, b))
    ours = KID(subsets=4, subset_size=9)(*features, seed=11)
    assert ours["kid"] == pytest.approx(np.mean(theirs), rel=1e-10)
    assert ours["kid_std"] == pytest.approx(np.std(theirs), rel=1e-8)


def test_equals_torch_fidelity_on_whole_sets() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(40, 6)), rng.normal(0.3, 1.2, (40, 6))
    theirs = kid_features_to_metric(
        *(torch.from_numpy(x) for x in (a, b)), kid_subsets=3, kid_subset_size=40, verbose=False
    )
    assert KID(subsets=3, subset_size=40)(a, b, seed=0)["kid"] == pytest.approx(
        theirs["kernel_inception_distance_mean"], rel=1e-10
    )


def test_is_unbiased() -> None:
    """Over many pairs of small samples of one distribution, the mean is 0 within its standard error."""
    rng = np.random.default_rng(0)
    values = [polynomial_mmd2(rng.normal(size=(8, 3)), rng.normal(size=(8, 3))) for _ in range(3000)]
    assert abs(np.mean(values)) < 3.5 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0  # a biased estimate, a squared norm, never is


def test_expectation_has_a_closed_form() -> None:
    """In one dimension k(x, y) = (xy + 1)³, so the MMD² is a sum over the moments' differences."""
    rng = np.random.default_rng(1)
    shift = 0.5
    # Moments of N(0, 1): 0, 1, 0; of N(s, 1): s, 1 + s², 3s + s³. Kernel weights: 3, 3, 1.
    expected = 3 * shift**2 + 3 * shift**4 + (3 * shift + shift**3) ** 2
    found = KID(subsets=40, subset_size=400)(rng.normal(size=(20000, 1)), rng.normal(shift, 1, (20000, 1)), seed=0)
    assert found["kid"] == pytest.approx(expected, rel=0.2)


def test_same_seed_same_number(features: tuple[np.ndarray, np.ndarray]) -> None:
    kid = KID(subsets=3, subset_size=6)
    assert kid(*features, seed=5) == kid(*features, seed=5)
    assert kid(*features, seed=5) != kid(*features, seed=6)


def test_bad_shapes_are_named() -> None:
    with pytest.raises(DataError, match=r"\(4, 2\) and \(4, 3\)"):
        KID()(np.zeros((4, 2)), np.zeros((4, 3)), seed=0)
    with pytest.raises(DataError, match="at least 2"):
        KID()(np.zeros((1, 2)), np.zeros((4, 2)), seed=0)
