"""PixelDA's networks: the paper's shapes, noise of each image's own, a discriminator disturbed in training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptgan.errors import ParamsError
from adaptgan.networks.pixel_da import PixelDADiscriminator, PixelDAGenerator
from adaptgan.testing import tiny_info

INFO = tiny_info(3)


def images(n: int = 4) -> torch.Tensor:
    return torch.rand(n, 3, 32, 32) * 2 - 1


def test_the_paper_s_generator() -> None:
    """Noise of 10 to one plane of 32 × 32 with BatchNorm, 3×3 to 64, 6 blocks of two, 1×1 to 3, counted by hand."""
    spread = 10 * 32 * 32 + 2 * 32 * 32
    blocks = 6 * 2 * (64 * 64 * 9 + 2 * 64)
    expected = spread + (4 * 64 * 9 + 64) + blocks + (64 * 3 + 3)
    assert sum(p.numel() for p in PixelDAGenerator(INFO).parameters()) == expected


@pytest.mark.parametrize(
    "options", [{}, {"tiled": True}, {"norm": "instance"}, {"norm": "none", "fold": 2, "planes": 3}]
)
def test_noise_changes_its_own_image_alone(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    network = PixelDAGenerator(INFO, channels=8, blocks=1, **options).eval()  # type: ignore[arg-type]
    nn.init.normal_(network.out.weight, std=1.0)
    x, z = images(), torch.rand(4, 10) * 2 - 1
    other = z.clone()
    other[2] = -other[2]
    one, two = network(x, z), network(x, other)
    changed = [not torch.allclose(a, b, atol=1e-5) for a, b in zip(one, two, strict=True)]
    assert changed == [False, False, True, False]
    assert one.shape == x.shape


def test_tiled_noise_reaches_every_pixel_alike() -> None:
    """Without planes and without an image, what is left of the noise is one colour away from the border."""
    torch.manual_seed(0)
    network = PixelDAGenerator(INFO, channels=8, blocks=1, tiled=True).eval()
    nn.init.normal_(network.out.weight, std=1.0)
    nn.init.zeros_(network.spread[1].weight)  # type: ignore[arg-type]
    made = network(torch.zeros(2, 3, 32, 32), torch.rand(2, 10) * 2 - 1)
    inner = made[:, :, 4:-4, 4:-4]
    torch.testing.assert_close(inner, inner[:, :, :1, :1].expand_as(inner))
    assert not torch.allclose(inner[0], inner[1], atol=1e-3)


def test_a_fold_must_divide_the_image() -> None:
    with pytest.raises(ParamsError, match="fold 3 does not divide images of 32×32"):
        PixelDAGenerator(INFO, fold=3)


def test_other_channels_come_out_where_the_target_has_others() -> None:
    network = PixelDAGenerator(tiny_info(1, paired=3), channels=8, blocks=1)
    assert network(torch.zeros(2, 1, 32, 32), torch.zeros(2, 10)).shape == (2, 3, 32, 32)


def test_the_paper_s_discriminator() -> None:
    """64 at 32 × 32, then 128, 256, 512 down to 4 × 4, and a unit that sees it all."""
    network = PixelDADiscriminator(INFO)
    logits, maps = network(images(), features=True)
    assert logits.shape == (4, 1, 1)
    assert [tuple(found.shape[1:]) for found in maps] == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]
    assert network.head.in_features == 512 * 16


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_it_is_disturbed_in_training_as_much_as_it_says(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    network = PixelDADiscriminator(INFO, channels=8, dropout=0.25, noise=0.5)
    x = torch.ones(16, 8, 32, 32).contiguous(memory_format=memory_format)
    seen = network.disturbed(x)
    # Kept values are scaled up, so the mean stays; the variance is that of dropout, p / (1 − p), and of the noise.
    assert seen.mean().item() == pytest.approx(1.0, abs=0.01)
    assert seen.var().item() == pytest.approx(0.25 / 0.75 + 0.25, rel=0.03)
    assert not torch.allclose(seen[0], seen[1])
    assert torch.equal(network.eval().disturbed(x), x)
