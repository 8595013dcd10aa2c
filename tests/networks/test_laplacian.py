"""The Laplacian pyramid, against numpy, and the networks of its levels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.laplacian import LaplacianDiscriminator, LaplacianGenerator, laplacian, up

INFO = DataInfo(3, 32, 16, ("a", "b"))


def generator(conditional: bool = False) -> LaplacianGenerator:
    torch.manual_seed(0)
    return LaplacianGenerator(INFO, noise=5, smallest=4, widths=(16,), channels=4, conditional=conditional)


def discriminator(**options: object) -> LaplacianDiscriminator:
    torch.manual_seed(0)
    return LaplacianDiscriminator(INFO, smallest=4, widths=(16,), channels=4, **options).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("levels", [0, 1, 2, 3])
def test_a_pyramid_gives_its_image_back(levels: int) -> None:
    images = torch.rand(2, 3, 32, 16, dtype=torch.float64) * 2 - 1
    image, parts = laplacian(images, levels)
    assert image.shape == (2, 3, 32 >> levels, 16 >> levels)
    assert len(parts) == levels
    for residual, coarse in parts:
        torch.testing.assert_close(coarse, up(image), atol=1e-14, rtol=0)
        image = coarse + residual
    torch.testing.assert_close(image, images, atol=1e-14, rtol=0)


def test_a_pyramid_against_numpy() -> None:
    images = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    pixels = images[0, 0].numpy()
    smaller = pixels.reshape(4, 2, 4, 2).mean((1, 3))
    # Bilinear: a fine pixel's centre lies a quarter of a coarse one from the nearest, three quarters from the next.
    matrix = np.zeros((8, 4))
    for i in range(8):
        place = (i + 0.5) / 2 - 0.5
        for j in range(4):
            matrix[i, j] = max(0.0, 1 - abs(np.clip(place, 0, 3) - j))
    coarse = matrix @ smaller @ matrix.T
    image, [(residual, low)] = laplacian(images, 1)
    np.testing.assert_allclose(image[0, 0].numpy(), smaller, atol=1e-15)
    np.testing.assert_allclose(low[0, 0].numpy(), coarse, atol=1e-15)
    np.testing.assert_allclose(residual[0, 0].numpy(), pixels - coarse, atol=1e-15)


def test_images_without_detail_have_no_residuals() -> None:
    _, parts = laplacian(torch.full((1, 1, 16, 16), 0.3), 2)
    assert all(residual.abs().max() < 1e-6 for residual, _ in parts)


def test_sampling_chains_the_levels() -> None:
    g = generator()
    assert (g.levels, g.base) == (2, (3, 8, 4))
    assert g.n_noise == 5 + 16 * 8 + 32 * 16
    z = torch.randn(2, g.n_noise)
    images = g(z)
    assert images.shape == (2, 3, 32, 16)
    first, second, third = z.split([5, 16 * 8, 32 * 16], dim=1)
    empty = z[:, :0]
    image = g.coarsest(first).view(2, 3, 8, 4)
    for level, noise in zip(g.finer, (second, third), strict=True):
        image = (up(image) + level(noise, up(image), empty)).clamp(-1, 1)
    assert torch.equal(images, image)


def test_each_level_is_asked_by_itself_in_training() -> None:
    """With the chain's own coarse images it gives the chain's residuals; with others, only they change."""
    g = generator()
    z = torch.randn(2, g.n_noise)
    with torch.no_grad():
        for parameter in g.finer[-1].parameters():
            parameter.mul_(0.1)  # so that nothing is cut
        first, *_ = g(z, None, [torch.zeros(2, 3, 16, 8), torch.zeros(2, 3, 32, 16)])
        low = up(first)
        _, residual, _ = g(z, None, [low, torch.zeros(2, 3, 32, 16)])
        middle = (low + residual).clamp(-1, 1)
        again, same, last = g(z, None, [low, up(middle)])
        torch.testing.assert_close((up(middle) + last).clamp(-1, 1), g(z))
    assert torch.equal(again, first)
    assert torch.equal(same, residual)


def test_images_stay_in_range_however_large_the_residuals() -> None:
    g = generator()
    with torch.no_grad():
        g.finer[-1].layers[-1].weight.mul_(100)  # type: ignore[union-attr, index, operator]
    assert g(torch.randn(4, g.n_noise)).abs().max() == 1


def test_each_size_has_its_own_judge_and_whole_images_all_of_them() -> None:
    d = discriminator()
    images = torch.rand(3, 3, 32, 16) * 2 - 1
    coarsest, parts = laplacian(images, 2)
    single = [d(coarsest), *(d(torch.cat(pair, dim=1)) for pair in parts)]
    assert all(logits.shape == (3,) for logits in single)
    torch.testing.assert_close(d(images), torch.stack(single).sum(0))
    direct, _ = d.each[1](torch.cat(parts[0], dim=1), images[:, :0, 0, 0])
    assert torch.equal(single[1], direct)
    logits, features = d(images, features=True)
    assert torch.equal(logits, d(images))
    assert features.shape == (3, d.n_features)


def test_the_class_decides_at_every_level() -> None:
    g, d = generator(conditional=True), discriminator(conditional="concat")
    z, coarse = torch.randn(2, g.n_noise), [torch.zeros(2, 3, 16, 8), torch.zeros(2, 3, 32, 16)]
    first, second = (g(z, torch.full((2,), k), coarse) for k in range(2))
    assert all(not torch.allclose(a, b, atol=1e-4) for a, b in zip(first, second, strict=True))
    parts = [first[0], *(torch.cat(pair, dim=1) for pair in zip(first[1:], coarse, strict=True))]
    for part in parts:
        assert not torch.allclose(d(part, torch.tensor([0, 0])), d(part, torch.tensor([1, 1])), atol=1e-5)
    with pytest.raises(ParamsError, match="needs classes"):
        LaplacianGenerator(DataInfo(1, 32, 32), conditional=True)
