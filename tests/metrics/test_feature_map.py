from __future__ import annotations

import numpy as np

from adaptgan.metrics.feature_map import embed


def groups(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    truth = np.arange(count) % 3
    return 12 * np.eye(8)[truth] + np.random.default_rng(seed).normal(size=(count, 8)), truth


def test_neighbours_in_space_are_neighbours_in_the_plane() -> None:
    (a, mine), (b, theirs) = groups(0, 60), groups(1, 45)
    plane_a, plane_b = embed([a, b])
    assert (plane_a.shape, plane_b.shape) == ((60, 2), (45, 2))
    both = np.concatenate([plane_a, plane_b])
    assert both.min() == 0
    assert both.max() == 1
    for point, label in zip(plane_b, theirs, strict=True):
        nearest = np.argmin(np.square(plane_a - point).sum(1))
        assert mine[nearest] == label


def test_nothing_is_left_to_chance() -> None:
    a, _ = groups(0, 40)
    np.testing.assert_array_equal(embed([a, a[:9]])[0], embed([a, a[:9]])[0])


def test_features_of_any_scale_and_few_points() -> None:
    """Scale decides nothing; a few points, one direction, or none at all, are still placed."""
    a, _ = groups(0, 30)
    np.testing.assert_allclose(embed([a])[0], embed([a * 1e4])[0], atol=1e-3)
    assert np.isfinite(embed([a[:2], a[2:4]])[1]).all()
    assert np.isfinite(embed([np.arange(12.0)[:, None]])[0]).all()
    np.testing.assert_array_equal(embed([np.ones((5, 3))])[0], np.full((5, 2), 0.5))
