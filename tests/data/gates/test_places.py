"""Edges and the search for a better place, against SciPy and loops in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from adaptgan.data.gates.places import REACH, boundaries, correlations, directions, edges, fit, moved


def made_up(n: int = 5, channels: int = 1, height: int = 20, width: int = 17, seed: int = 0) -> torch.Tensor:
    """Smooth random images."""
    noise = np.random.default_rng(seed).normal(size=(n, channels, height, width))
    smooth = ndimage.gaussian_filter(noise, (0, 0, 2, 2))
    return torch.from_numpy(smooth / np.abs(smooth).max()).float()


@pytest.mark.parametrize(("channels", "sigma"), [(1, 1.0), (3, 1.0), (1, 2.0)])
def test_edges_are_gradients_of_the_smoothed_image(channels: int, sigma: float) -> None:
    images = made_up(channels=channels)
    found = edges(images, sigma).numpy()
    for image, mine in zip(images.double().numpy(), found, strict=True):
        squares = 0
        for plane in image:
            smooth = ndimage.gaussian_filter(plane, sigma, mode="nearest", radius=max(1, round(3 * sigma)))
            down, across = (ndimage.correlate1d(smooth, [-0.5, 0, 0.5], axis, mode="nearest") for axis in (0, 1))
            squares = squares + down**2 + across**2
        np.testing.assert_allclose(mine, np.sqrt(squares), atol=1e-6)


def test_edges_do_not_mind_colours() -> None:
    images = made_up()
    torch.testing.assert_close(edges(-images, 1.0), edges(images, 1.0))
    torch.testing.assert_close(edges(0.3 * images - 0.5, 1.0), 0.3 * edges(images, 1.0))


def test_boundaries_are_where_classes_meet() -> None:
    masks = torch.from_numpy(np.random.default_rng(0).integers(0, 3, (4, 9, 11)))
    for mask, mine in zip(masks.numpy(), boundaries(masks, 1.0).numpy(), strict=True):
        touched = np.zeros(mask.shape)
        for y, x in np.ndindex(*mask.shape):
            for v, u in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if 0 <= v < 9 and 0 <= u < 11 and mask[v, u] != mask[y, x]:
                    touched[y, x] = 1
        np.testing.assert_allclose(mine, ndimage.gaussian_filter(touched, 1.0, mode="nearest", radius=3), atol=1e-6)
    assert boundaries(torch.zeros(1, 5, 5, dtype=torch.int64), 1.0).abs().max() == 0


def test_correlations_by_a_loop() -> None:
    one, other = made_up(seed=1)[:, 0], made_up(seed=2)[:, 0]
    found = correlations(one, other, 3).numpy()
    for n in range(len(one)):
        a, b = (value[n].double().numpy() for value in (one, other))
        a, b = (a - a.mean()) / np.linalg.norm(a - a.mean()), (b - b.mean()) / np.linalg.norm(b - b.mean())
        around = np.pad(b, 3)
        for dy in range(-3, 4):
            for dx in range(-3, 4):
                expected = (a * around[3 + dy : 23 + dy, 3 + dx : 20 + dx]).sum()
                assert found[n, 3 + dy, 3 + dx] == pytest.approx(expected, abs=1e-6)
        assert found[n, 3, 3] == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=1e-6)


def test_moved_content() -> None:
    image = torch.arange(12.0).view(1, 3, 4)
    assert moved(image, 1, -2)[0].tolist() == [[2, 3, 3, 3], [2, 3, 3, 3], [6, 7, 7, 7]]
    assert moved(image, 0, 0) is not image
    torch.testing.assert_close(moved(image, 0, 0), image)
    assert len(set(directions(2))) == 8
    assert {max(abs(dy), abs(dx)) for dy, dx in directions(2)} == {2}


def test_fit_tells_places_apart() -> None:
    """Positive up to the tolerance, negative beyond it and within reach, and nothing for maps without structure."""
    maps = edges(made_up(20, height=40, width=40, seed=3), 1.0)
    for length in range(1, 2 * REACH + 1):
        values = torch.stack([fit(maps, moved(maps, *way), 2) for way in directions(length)])
        assert (values > 0 if length <= 2 else values < 0).all()
    others = fit(maps, maps.roll(1, 0), 2)
    assert others.abs().max() < fit(maps, maps, 2).min()
    assert (fit(maps, torch.zeros_like(maps), 2) == 0).all()
    assert (fit(torch.full_like(maps, 3.0), maps, 2).abs() < 1e-3).all()


def test_each_image_for_itself() -> None:
    one, other = made_up(seed=1)[:, 0], made_up(seed=2)[:, 0]
    alone = torch.cat([fit(one[i : i + 1], other[i : i + 1], 1) for i in range(len(one))])
    torch.testing.assert_close(fit(one, other, 1), alone, atol=1e-5, rtol=0)
