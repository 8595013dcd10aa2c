"""PatchGAN: the paper's layers and receptive fields, several scales, what it says of images that are too small."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.patchgan import PatchGANDiscriminator

FIELDS = {0: 1, 1: 16, 2: 34, 3: 70, 4: 142, 5: 286}


def images(side: int = 64, channels: int = 3) -> torch.Tensor:
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(("depth", "field"), FIELDS.items())
def test_a_logit_sees_a_square_of_the_papers_side(depth: int, field: int) -> None:
    torch.manual_seed(0)
    side = 64 if depth < 2 else 2 * field
    network = PatchGANDiscriminator(DataInfo(1, side, side), channels=1, depth=depth, norm="none").double()
    x = images(side, 1).double().requires_grad_()
    logits = network(x)
    logits[0, logits.shape[1] // 2, logits.shape[2] // 2].backward()
    assert x.grad is not None
    for axis in (1, 2):
        seen = (x.grad[0] != 0).any(axis).flatten().nonzero().flatten()
        assert seen[0] > 0 and seen[-1] < side - 1, "the square leaves the image: this says nothing of its side"
        assert len(seen) == seen[-1] - seen[0] + 1 == field


def test_it_is_the_papers() -> None:
    torch.manual_seed(0)
    mine = PatchGANDiscriminator(DataInfo(3, 64, 64), channels=4, depth=3, conditional=True)
    c = 4
    theirs = nn.Sequential(
        *(nn.Conv2d(6, c, 4, 2, 1), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(c, 2 * c, 4, 2, 1), nn.InstanceNorm2d(2 * c), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(2 * c, 4 * c, 4, 2, 1), nn.InstanceNorm2d(4 * c), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(4 * c, 8 * c, 4, 1, 1), nn.InstanceNorm2d(8 * c), nn.LeakyReLU(0.2)),
        nn.Conv2d(8 * c, 1, 4, 1, 1),
    )
    convs = [[layer for layer in net.modules() if isinstance(layer, nn.Conv2d)] for net in (mine, theirs)]
    for one, other in zip(*convs, strict=True):
        other.weight.data.copy_(one.weight.data)
        other.bias.data.zero_()  # of no effect in front of a norm
        if one.bias is not None:
            other.bias.data.copy_(nn.init.normal_(one.bias.data))
    x = images(channels=6)
    logits, maps = mine(x, features=True)
    torch.testing.assert_close(logits, theirs(x)[:, 0], rtol=1e-4, atol=1e-5)
    assert torch.equal(mine(x), logits)
    expected = [theirs[:end](x) for end in (2, 5, 8, 11)]
    for found, wanted in zip(maps, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_paper_has_2_769_million_weights() -> None:
    with torch.device("meta"):
        network = PatchGANDiscriminator(DataInfo(3, 256, 256), conditional=True, norm="batch")
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 3) == 2.769


def test_a_pixel_gan_is_of_1_by_1_convolutions() -> None:
    network = PatchGANDiscriminator(DataInfo(1, 8, 8), channels=4, depth=0, norm="none")
    x = images(8, 1)
    moved = x.flip(2).roll(3, 3)
    torch.testing.assert_close(network(moved), network(x).flip(1).roll(3, 2))
    widths = [layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert widths == [4, 8, 1]


def test_several_scales_are_networks_of_the_smaller_images() -> None:
    torch.manual_seed(0)
    network = PatchGANDiscriminator(DataInfo(3, 32, 32), channels=4, depth=1, scales=3)
    x = images(32)
    logits, maps = network(x, features=True)
    assert [found.shape for found in logits] == [(2, 14, 14), (2, 6, 6), (2, 2, 2)]
    assert [len(found) for found in maps] == [2, 2, 2]
    assert all(torch.equal(one, other) for one, other in zip(network(x), logits, strict=True))
    # The mean of a 3×3 neighbourhood, every other one, borders of what is inside alone.
    sums = nn.functional.conv2d(x, torch.ones(3, 1, 3, 3), padding=1, stride=2, groups=3)
    counts = nn.functional.conv2d(torch.ones(1, 1, 32, 32), torch.ones(1, 1, 3, 3), padding=1, stride=2)
    torch.testing.assert_close(network.scales[1](sums / counts)[-1][:, 0], logits[1], rtol=1e-4, atol=1e-6)


def test_spectral_normalization_bounds_every_layer() -> None:
    torch.manual_seed(0)
    network = PatchGANDiscriminator(DataInfo(1, 32, 32), channels=8, depth=2, spectral_normalization=True)
    for _ in range(200):
        network(images(32, 1))
    norms = [
        torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item()
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    assert len(norms) == 4
    assert all(norm == pytest.approx(1, abs=0.02) for norm in norms)


def test_what_it_looks_at() -> None:
    for conditional, paired, channels in ((False, 0, 1), (True, 0, 2), (False, 3, 3), (True, 3, 4)):
        network = PatchGANDiscriminator(DataInfo(1, 32, 32, paired=paired), channels=2, conditional=conditional)
        assert network(images(32, channels)).shape == (2, 2, 2)


@pytest.mark.parametrize("depth", range(6))
def test_the_smallest_images_work_and_smaller_ones_are_refused(depth: int) -> None:
    side = 3 * 2**depth if depth else 1
    options: Any = {"channels": 2, "depth": depth}
    network = PatchGANDiscriminator(DataInfo(1, side, side), **options)
    assert network(images(side, 1)).shape == (2, 1, 1)
    if depth:
        with pytest.raises(ParamsError, match=f"at least {side} pixels"):
            PatchGANDiscriminator(DataInfo(1, side, side - 1), **options)
        with pytest.raises(ParamsError, match="2 scales"):
            PatchGANDiscriminator(DataInfo(1, side, side), scales=2, **options)
