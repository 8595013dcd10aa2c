"""SRResNet and SRGAN's discriminator against figure 4 written out, layer by layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from adaptgan.networks.srgan import SRGANDiscriminator, SRResNet, enlarged
from adaptgan.testing import tiny_info

IMAGES = torch.rand(3, 1, 10, 14, generator=torch.Generator().manual_seed(0)) * 2 - 1


def layers_of(network: nn.Module, *kinds: type[nn.Module]) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, kinds)]


@pytest.mark.parametrize(("scale", "norm"), [(2, "batch"), (4, "batch"), (4, "none")])
def test_srresnet_is_figure_4(scale: int, norm: str) -> None:
    torch.manual_seed(0)
    network = SRResNet(tiny_info(), scale=scale, channels=6, blocks=2, norm=norm)
    convs, activations = iter(layers_of(network, nn.Conv2d)), iter(layers_of(network, nn.PReLU))
    norms = iter(layers_of(network, nn.BatchNorm2d))

    def conv(x: torch.Tensor) -> torch.Tensor:
        layer = next(convs)
        return F.conv2d(x, layer.weight, layer.bias, padding=layer.kernel_size[0] // 2)

    def norm_(x: torch.Tensor) -> torch.Tensor:
        if norm == "none":
            return x
        layer = next(norms)
        return F.batch_norm(x, None, None, layer.weight, layer.bias, training=True)

    def prelu(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x, next(activations).weight * x)

    first = x = prelu(conv(IMAGES))
    for _ in range(2):
        x = x + norm_(conv(prelu(norm_(conv(x)))))
    x = first + norm_(conv(x))
    for _ in range(scale // 2):
        x = conv(x)
        n, c, h, w = x.shape
        # Pixel shuffle, equation 4 of Shi 2016, by hand.
        x = x.view(n, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // 4, 2 * h, 2 * w)
        x = prelu(x)
    expected = conv(x)
    torch.testing.assert_close(network.train()(IMAGES), expected)
    assert expected.shape == (3, 1, 10 * scale, 14 * scale)
    assert not list(convs) and not list(norms) and not list(activations)


def test_its_size_is_the_papers() -> None:
    """Figure 4 counted by hand for colour images: 9×9 and 3×3 kernels, no bias before BatchNorm, one slope a PReLU."""
    network = SRResNet(tiny_info(channels=3))
    stem, out = 3 * 64 * 81 + 64 + 1, 64 * 3 * 81 + 3
    block = 2 * (64 * 64 * 9 + 2 * 64) + 1
    double = 64 * 256 * 9 + 256 + 1
    expected = stem + 16 * block + (64 * 64 * 9 + 2 * 64) + 2 * double + out
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


def test_it_starts_without_a_checkerboard() -> None:
    torch.manual_seed(0)
    double = SRResNet(tiny_info(), scale=2, channels=6, blocks=1).enlarge[0]
    x = torch.randn(2, 6, 5, 4)
    made = double(x)
    torch.testing.assert_close(made, F.interpolate(made[..., ::2, ::2], scale_factor=2, mode="nearest"))
    assert made[..., ::2, ::2].std() > 0.1


@pytest.mark.parametrize("scale", [2, 4])
def test_the_bicubic_skip_is_pillows(scale: int) -> None:
    network = SRResNet(tiny_info(), scale=scale, channels=4, blocks=1, skip="bicubic").eval()
    small = (255 * torch.rand(9, 7, generator=torch.Generator().manual_seed(1))).round()
    size = (7 * scale, 9 * scale)
    expected = np.asarray(Image.fromarray(small.numpy()).resize(size, Image.Resampling.BICUBIC))
    made = 127.5 * (enlarged(small[None, None] / 127.5 - 1, scale) + 1)
    np.testing.assert_allclose(made[0, 0].numpy(), expected, atol=1e-3)
    nn.init.zeros_(network.out.weight)
    x = IMAGES
    torch.testing.assert_close(network(x), enlarged(x, scale))
    start = SRResNet(tiny_info(), scale=scale, channels=4, blocks=1, skip="bicubic").eval()
    assert 0 < (start(x) - enlarged(x, scale)).abs().max() < 0.1


@pytest.mark.parametrize(("size", "norm"), [(32, "batch"), (20, "none")])
def test_the_discriminator_is_figure_4(size: int, norm: str) -> None:
    torch.manual_seed(0)
    network = SRGANDiscriminator(tiny_info(size=size, channels=3), channels=4, hidden=12, norm=norm)
    convs, norms = iter(layers_of(network, nn.Conv2d)), iter(layers_of(network, nn.BatchNorm2d))
    images = torch.rand(3, 3, size, size)
    x, widths = images, []
    for number in range(8):
        layer = next(convs)
        x = F.conv2d(x, layer.weight, layer.bias, stride=1 + number % 2, padding=1)
        if number and norm == "batch":
            after = next(norms)
            x = F.batch_norm(x, None, None, after.weight, after.bias, training=True)
        x = F.leaky_relu(x, 0.2)
        widths.append(x.shape[1])
    first, last = layers_of(network, nn.Linear)
    expected = last(F.leaky_relu(first(x.flatten(1)), 0.2))
    logits, maps = network.train()(images, features=True)
    torch.testing.assert_close(logits[:, 0], expected)
    torch.testing.assert_close(maps[-1], x)
    torch.testing.assert_close(network(images), logits)
    assert widths == [4, 4, 8, 8, 16, 16, 32, 32]
    assert network.by_batch == (norm == "batch") and not list(convs) and not list(norms)


def test_a_full_size_discriminator() -> None:
    network = SRGANDiscriminator(tiny_info(size=96, channels=3))
    assert [conv.out_channels for conv in layers_of(network, nn.Conv2d)] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [linear.in_features for linear in layers_of(network, nn.Linear)] == [512 * 6 * 6, 1024]
