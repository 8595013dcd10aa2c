from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from adaptgan.metrics.spaces import PixelPCA, scale_to_unit


@pytest.mark.parametrize("count", [20, 200])
def test_pixel_pca_spans_what_scikit_learns_does(count: int) -> None:
    """Fewer images than pixels, and more; signs of components are free, so inner products are compared."""
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (count, 1, 6, 6), dtype=np.uint8)
    other = rng.integers(0, 256, (15, 1, 6, 6), dtype=np.uint8)
    scikit = PCA(5, svd_solver="full").fit(real.reshape(count, -1) / 127.5 - 1)
    theirs = scikit.transform(other.reshape(15, -1) / 127.5 - 1)
    ours = PixelPCA(real, 5)(other)
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-8)


def test_equal_images_have_no_direction() -> None:
    real = np.full((5, 1, 2, 2), 9, np.uint8)
    assert PixelPCA(real)(real).tolist() == [[0.0]] * 5


def test_scale_is_common_and_the_references() -> None:
    reference, other = scale_to_unit(np.array([[3.0, 4.0], [0.0, 5.0]]), np.array([[1.0, 0.0]]))
    assert np.mean(reference**2) == pytest.approx(1.0)
    np.testing.assert_allclose(other, [[1 / np.sqrt(12.5), 0.0]])


def test_all_zero_features_stay() -> None:
    assert scale_to_unit(np.zeros((2, 2)))[0].tolist() == [[0.0, 0.0], [0.0, 0.0]]
