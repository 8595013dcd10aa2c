from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from adaptgan.errors import DataError
from adaptgan.metrics.extractors.pixels import Pixels


def test_the_real_images_decide_the_directions() -> None:
    rng = np.random.default_rng(0)
    real, other = (rng.integers(0, 256, (n, 1, 6, 5), dtype=np.uint8) for n in (60, 20))
    pixels = Pixels(components=7)
    pixels.fit(real)
    seen = pixels(other)
    theirs = PCA(7).fit(real.reshape(60, -1) / 127.5 - 1).transform(other.reshape(20, -1) / 127.5 - 1)
    np.testing.assert_allclose(np.abs(seen.features_NF), np.abs(theirs), rtol=1e-8, atol=1e-10)  # up to signs
    assert seen.probabilities_NK is None
    assert not Pixels.fixed


def test_it_must_have_seen_real_images() -> None:
    with pytest.raises(DataError, match="fit it on the real images first"):
        Pixels()(np.zeros((2, 1, 4, 4), np.uint8))
