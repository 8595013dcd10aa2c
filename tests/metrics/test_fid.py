from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from torch_fidelity.metric_fid import fid_statistics_to_metric

from adaptgan.errors import DataError
from adaptgan.metrics.fid import FID, frechet_distance


def covariance(seed: int, width: int, rank: int | None = None) -> np.ndarray:
    factor = np.random.default_rng(seed).normal(size=(width, rank or width))
    return factor @ factor.T


def test_between_normal_distributions_of_one_dimension() -> None:
    """d² = (μa − μb)² + (σa − σb)²."""
    found = frechet_distance(np.array([1.0]), np.array([[4.0]]), np.array([-2.0]), np.array([[9.0]]))
    assert found == pytest.approx(9.0 + 1.0, rel=1e-12)


def test_between_normal_distributions_with_one_set_of_axes() -> None:
    """Covariances that commute: d² = |μa − μb|² + Σ (σa − σb)², along the shared axes whatever their rotation."""
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    deviations = rng.uniform(0.1, 3, (2, 6))
    means = rng.normal(size=(2, 6))
    a, b = (rotation @ np.diag(d**2) @ rotation.T for d in deviations)
    expected = np.square(means[0] - means[1]).sum() + np.square(deviations[0] - deviations[1]).sum()
    assert frechet_distance(means[0], a, means[1], b) == pytest.approx(expected, rel=1e-12)


def test_between_normal_distributions_of_the_plane() -> None:
    """For 2×2, Tr √M = √(Tr M + 2·√det M) of M = Σa Σb, whose axes differ here."""
    a, b = np.array([[2.0, 0.7], [0.7, 1.0]]), np.array([[1.0, -0.4], [-0.4, 3.0]])
    assert not np.allclose(a @ b, b @ a)
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    expected = np.trace(a) + np.trace(b) - 2 * root
    assert frechet_distance(np.zeros(2), a, np.zeros(2), b) == pytest.approx(expected, rel=1e-12)


def test_singular_covariances_have_a_distance() -> None:
    """Two lines at an angle φ: Tr (Σa Σb)^½ = σa σb |cos φ|."""
    angle = 0.8
    a, b = np.array([1.0, 0.0, 0.0]), np.array([np.cos(angle), np.sin(angle), 0.0])
    found = frechet_distance(np.zeros(3), 4 * np.outer(a, a), np.zeros(3), 9 * np.outer(b, b))
    assert found == pytest.approx(4 + 9 - 2 * 2 * 3 * np.cos(angle), rel=1e-12)
    assert frechet_distance(np.zeros(3), np.zeros((3, 3)), np.zeros(3), 9 * np.outer(b, b)) == pytest.approx(9)


@pytest.mark.parametrize("width", [3, 40])
def test_equals_torch_fidelity_and_scipy_on_the_same_features(width: int) -> None:
    rng = np.random.default_rng(width)
    mix = rng.normal(size=(width, width))
    a, b = rng.normal(size=(300, width)) @ mix, rng.normal(0.3, 1.5, (250, width))
    theirs = fid_statistics_to_metric(
        *({"mu": x.mean(0), "sigma": np.cov(x, rowvar=False)} for x in (a, b)), verbose=False
    )
    ours = FID()(a, b, seed=0)
    assert ours["fid"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-9)
    covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(covariances[0] + covariances[1]) - 2 * np.trace(root)
    assert ours["fid"] == pytest.approx(np.real(expected), rel=1e-8)


def test_fewer_images_than_features() -> None:
    """Adding dimensions in which nothing happens changes nothing; the same sets are 0 apart."""
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(40, 12)), rng.normal(0.5, 2, (30, 12))
    directions = np.linalg.qr(rng.normal(size=(200, 12)))[0]  # 12 orthonormal directions of 200
    wide = FID()(a @ directions.T, b @ directions.T, seed=0)["fid"]
    assert wide == pytest.approx(FID()(a, b, seed=0)["fid"], rel=1e-9)
    few = rng.normal(size=(20, 200))
    assert FID()(few, few, seed=0)["fid"] == pytest.approx(0, abs=1e-9)
    assert FID()(few, few + 3, seed=0)["fid"] == pytest.approx(200 * 9, rel=1e-12)


def test_the_estimate_approaches_the_distributions_distance_from_above() -> None:
    rng = np.random.default_rng(3)
    values = [FID()(rng.normal(size=(n, 8)), rng.normal(1, 2, (n, 8)), seed=0)["fid"] for n in (30, 20000)]
    assert values[1] == pytest.approx(8 * (1 + 1), rel=0.03)
    alike = [FID()(rng.normal(size=(n, 8)), rng.normal(size=(n, 8)), seed=0)["fid"] for n in (30, 300, 20000)]
    assert alike[0] > 3 * alike[1] > 9 * alike[2] > 0


def test_one_feature() -> None:
    a, b = np.array([[0.0], [2.0]]), np.array([[1.0], [1.0]])
    assert FID()(a, b, seed=0)["fid"] == pytest.approx(2.0)  # (1 − 1)² + (√2 − 0)²


def test_bad_shapes_are_named() -> None:
    with pytest.raises(DataError, match=r"FID.*\(4, 2\) and \(4, 3\)"):
        FID()(np.zeros((4, 2)), np.zeros((4, 3)), seed=0)
    with pytest.raises(DataError, match="at least 2 .*found 1 and 4"):
        FID()(np.zeros((1, 2)), np.zeros((4, 2)), seed=0)
