"""Residual networks: fused resamplings, the papers' layer lists, the projection."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.layers import as_map
from adaptgan.networks.residual import DownBlock, DownConv2d, Layers, UpBlock, UpConv2d
from adaptgan.networks.resnet import ResNetDiscriminator, ResNetGenerator

GREY = DataInfo(1, 32, 32, ("a", "b", "c"))
WIDE = DataInfo(3, 24, 48, ("a", "b"))


@pytest.mark.parametrize("size", [(8, 10), (2, 3)])
def test_fused_resampling_is_the_same_function(size: tuple[int, int]) -> None:
    """Large maps take the fused way, small ones the plain; values and gradients are those of two separate layers."""
    torch.manual_seed(0)
    up, down = UpConv2d(3, 5, 3, padding=1).double(), DownConv2d(3, 5, 3, padding=1).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    big = torch.randn(2, 3, 2 * size[0], 2 * size[1], dtype=torch.float64, requires_grad=True)
    pairs = [
        (up, x, F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), up.weight, up.bias, padding=1)),
        (down, big, F.avg_pool2d(F.conv2d(big, down.weight, down.bias, padding=1), 2)),
    ]
    for layer, input_, expected in pairs:
        found = layer(input_)
        assert found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-10)
        weights = torch.randn_like(expected)
        wanted = [input_, layer.weight, layer.bias]
        for mine, theirs in zip(
            torch.autograd.grad((found * weights).sum(), wanted),
            torch.autograd.grad((expected * weights).sum(), wanted),
            strict=True,
        ):
            assert torch.allclose(mine, theirs, rtol=1e-9)


def test_blocks_by_hand() -> None:
    """In the papers' order: the shortcut is resampled before (G), pooled after (D) its 1×1 convolution."""
    torch.manual_seed(0)
    x = torch.randn(3, 4, 6, 6, dtype=torch.float64)
    up = UpBlock(4, 5, Layers(), nn.BatchNorm2d).double()
    larger = F.interpolate(up.first_norm(x).relu(), scale_factor=2)
    y = F.conv2d(larger, up.first.weight, up.first.bias, padding=1)
    y = up.second(up.second_norm(y).relu())
    assert torch.allclose(up(x), y + up.shortcut(F.interpolate(x, scale_factor=2)), rtol=1e-9)
    for first, wide, between in ((False, False, 4), (False, True, 5), (True, False, 5)):
        down = DownBlock(4, 5, Layers(), first=first, wide=wide).double()
        y = F.conv2d((x if first else x.relu()), down.first.weight, down.first.bias, padding=1).relu()
        assert y.shape[1] == between
        y = F.avg_pool2d(F.conv2d(y, down.second.weight, down.second.bias, padding=1), 2)
        assert torch.allclose(down(x), y + F.avg_pool2d(down.shortcut(x), 2), rtol=1e-9)
    flat = DownBlock(4, 4, Layers(), down=False).double()
    assert torch.allclose(flat(x), x + flat.second(flat.first(x.relu()).relu()))


@pytest.mark.parametrize("info", [GREY, WIDE, DataInfo(1, 28, 28)])
def test_any_size(info: DataInfo) -> None:
    generator, discriminator = ResNetGenerator(info, channels=4, noise=5), ResNetDiscriminator(info, channels=4)
    images = generator(torch.randn(2, 5))
    assert images.shape == (2, info.channels, info.height, info.width) and images.abs().max() <= 1
    logits, features = discriminator(images, features=True)
    assert logits.shape == (2,) and features.shape == (2, discriminator.n_features)


def test_the_papers_networks() -> None:
    """Miyato 2018, tables 4 (32²) and 5 (128²): channels of each convolution."""
    colour = DataInfo(3, 32, 32)
    assert _channels(ResNetGenerator(colour, channels=8)) == [8, 8, 8]
    assert _channels(ResNetDiscriminator(colour, channels=4, levels=2, flat=2)) == [4, 4, 4, 4]
    large = DataInfo(3, 128, 128)
    assert _channels(ResNetGenerator(large, channels=2, widest=16)) == [32, 16, 8, 4, 2]
    assert _channels(ResNetDiscriminator(large, channels=2, widest=16)) == [2, 4, 8, 16, 32, 32]
    assert ResNetGenerator(large, channels=2, widest=16).linear.out_features == 4 * 4 * 32


def _channels(network: nn.Module) -> list[int]:
    return [block.second.out_channels for block in network.blocks]


def test_projection_by_hand() -> None:
    torch.manual_seed(0)
    network = ResNetDiscriminator(GREY, channels=8, conditional="projection").eval()
    x, y = torch.randn(5, 1, 32, 32), torch.tensor([2, 0, 1, 1, 0])
    logits, phi = network(x, y, features=True)
    maps = network.blocks(x)
    assert torch.allclose(phi, maps.clamp(min=0).flatten(2).sum(2), rtol=1e-4)
    table, weight, bias = network.embedding.weight, network.head.weight[0], network.head.bias[0]
    for n in range(5):
        expected = phi[n] @ weight + bias + phi[n] @ table[y[n]]
        assert logits[n].item() == pytest.approx(expected.item(), rel=1e-4)
    assert torch.allclose(logits, network(x, y))
    assert not torch.allclose(logits, network(x, (y + 1) % 3))


def test_classes_change_the_images() -> None:
    torch.manual_seed(0)
    network = ResNetGenerator(GREY, channels=4, noise=5, conditional=True).eval()
    z = torch.randn(1, 5).expand(3, -1)
    same = network(z, torch.arange(3))
    assert torch.allclose(same[0], same[1], atol=1e-6)  # as if plain at the start
    with torch.no_grad():
        network.blocks[1].first_norm.gain.weight[1] *= 2
    images = network(z, torch.arange(3))
    assert not torch.allclose(images[0], images[1], atol=1e-3) and torch.allclose(images[0], images[2], atol=1e-6)


def test_spectral_normalization_of_every_layer_or_none() -> None:
    torch.manual_seed(0)
    network = ResNetDiscriminator(GREY, channels=8, conditional="projection").train()
    for _ in range(200):
        network(torch.randn(2, 1, 32, 32), torch.tensor([0, 1]))
    layers = [m for m in network.eval().modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(layers) == 13  # 4 blocks of 2 convolutions, 3 shortcuts, the head and the embedding
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)
    plain = ResNetDiscriminator(GREY, channels=8, spectral_normalization=False)
    assert not any("parametrizations" in key for key in plain.state_dict())


def test_first_values() -> None:
    """Glorot's uniform limits, with gain √2 inside the blocks, biases 0."""
    network = ResNetGenerator(GREY, channels=32)
    conv = network.blocks[0].second
    assert conv.weight.abs().max().item() == pytest.approx(math.sqrt(2) * math.sqrt(6 / (9 * 64)), rel=0.02)
    shortcut = network.blocks[0].shortcut
    assert shortcut.weight.abs().max().item() == pytest.approx(math.sqrt(6 / 64), rel=0.02)
    assert conv.bias.abs().max() == 0 and network.linear.bias.abs().max() == 0


def test_base_map_needs_no_copy() -> None:
    flat = torch.arange(2 * 12.0).view(2, 12)
    x = as_map(flat, (2, 3, 2))
    assert x.shape == (2, 2, 2, 3) and x.data_ptr() == flat.data_ptr()
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_missing_classes_are_named() -> None:
    unlabelled = DataInfo(1, 32, 32)
    with pytest.raises(ParamsError, match="resnet_generator"):
        ResNetGenerator(unlabelled, conditional=True)
    with pytest.raises(ParamsError, match="resnet_discriminator"):
        ResNetDiscriminator(unlabelled, conditional="projection")
    with pytest.raises(ParamsError, match="was given none"):
        ResNetDiscriminator(GREY, channels=4, conditional="projection")(torch.zeros(1, 1, 32, 32))
    with pytest.raises(ParamsError, match="can be halved"):
        ResNetGenerator(DataInfo(1, 33, 33))
