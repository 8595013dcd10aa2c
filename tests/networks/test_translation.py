"""The translators' generators against the papers' architectures, written out in plain torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.layers import to_channels_last
from adaptgan.networks.translation import ResNetTranslator, UNetTranslator

INFO = DataInfo(3, 32, 32)


def images(count: int = 4, channels: int = 3, height: int = 32, width: int = 32) -> torch.Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def resnet_of_the_paper(channels: int, blocks: int) -> nn.Sequential:
    """As Zhu 2017's code has it, with padding layers of its own, and biases that the norms take away."""

    def block(width: int) -> nn.Module:
        class Residual(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                conv = (nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width))
                again = (nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width))
                self.layers = nn.Sequential(*conv, nn.ReLU(), *again)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x + self.layers(x)

        return Residual()

    c = channels
    return nn.Sequential(
        *(nn.ReflectionPad2d(3), nn.Conv2d(3, c, 7), nn.InstanceNorm2d(c), nn.ReLU()),
        *(nn.Conv2d(c, 2 * c, 3, 2, 1), nn.InstanceNorm2d(2 * c), nn.ReLU()),
        *(nn.Conv2d(2 * c, 4 * c, 3, 2, 1), nn.InstanceNorm2d(4 * c), nn.ReLU()),
        *(block(4 * c) for _ in range(blocks)),
        *(nn.ConvTranspose2d(4 * c, 2 * c, 3, 2, 1, output_padding=1), nn.InstanceNorm2d(2 * c), nn.ReLU()),
        *(nn.ConvTranspose2d(2 * c, c, 3, 2, 1, output_padding=1), nn.InstanceNorm2d(c), nn.ReLU()),
        *(nn.ReflectionPad2d(3), nn.Conv2d(c, 3, 7), nn.Tanh()),
    )


class UNetOfThePaper(nn.Module):
    """As Isola 2017's code has it, level by level, activations out of place, dropout aside; batch size 1."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        widths = [min(channels * 2**level, 8 * channels) for level in range(depth)]
        self.encoder = nn.ModuleList(nn.Conv2d(i, o, 4, 2, 1) for i, o in zip([3, *widths], widths, strict=False))
        inside = [widths[-1], *(2 * width for width in reversed(widths[:-1]))]
        outside = [*reversed(widths[:-1]), 3]
        self.decoder = nn.ModuleList(nn.ConvTranspose2d(i, o, 4, 2, 1) for i, o in zip(inside, outside, strict=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        norm = nn.functional.instance_norm
        maps = [self.encoder[0](x)]
        for level, conv in enumerate(self.encoder[1:], 1):
            x = conv(nn.functional.leaky_relu(maps[-1], 0.2))
            maps.append(x if level == len(self.encoder) - 1 else norm(x))
        x = norm(self.decoder[0](maps[-1].relu()))
        for deconv, skip in zip(self.decoder[1:-1], reversed(maps[1:-1]), strict=True):
            x = norm(deconv(torch.cat([x, skip], 1).relu()))
        return self.decoder[-1](torch.cat([x, maps[0]], 1).relu()).tanh()


def convolutions(network: nn.Module) -> Iterator[Any]:
    return (layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d))


def share_weights(mine: nn.Module, theirs: nn.Module) -> None:
    pairs = zip(convolutions(mine), convolutions(theirs), strict=True)
    for one, other in pairs:
        assert one.weight.shape == other.weight.shape
        other.weight.data.copy_(one.weight.data.mul_(5))  # larger than the start, so that all of it matters
        if one.bias is not None:
            other.bias.data.copy_(nn.init.normal_(one.bias.data))


def slopes(network: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    network.zero_grad()
    (network(x) * torch.linspace(-1, 1, x.numel()).view_as(x)).sum().backward()
    return [layer.weight.grad for layer in convolutions(network)]


def assert_alike(mine: nn.Module, theirs: nn.Module, x: torch.Tensor) -> None:
    torch.testing.assert_close(mine(x), theirs(x), rtol=1e-4, atol=1e-4)
    for one, other in zip(slopes(mine, x), slopes(theirs, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * other.abs().max().item())


def test_the_residual_one_is_the_papers() -> None:
    torch.manual_seed(0)
    mine, theirs = ResNetTranslator(INFO, channels=4, blocks=2), resnet_of_the_paper(4, 2)
    share_weights(mine, theirs)
    assert_alike(mine, theirs, images())


@pytest.mark.parametrize("depth", [2, 5])
def test_the_u_net_is_the_papers(depth: int) -> None:
    torch.manual_seed(0)
    mine, theirs = UNetTranslator(INFO, channels=4, depth=depth, dropout=0.0), UNetOfThePaper(4, depth)
    share_weights(mine, theirs)
    assert_alike(mine, theirs, images())


def test_sizes_of_the_papers() -> None:
    """The numbers of weights that the authors' programs print, less the biases in front of norms."""
    with torch.device("meta"):
        residual, unet = ResNetTranslator(DataInfo(3, 256, 256)), UNetTranslator(DataInfo(3, 256, 256))
        unet_batch = UNetTranslator(DataInfo(3, 256, 256), norm="batch")

    def size(network: nn.Module) -> int:
        return sum(parameter.numel() for parameter in network.parameters())

    before_norms = 64 + 128 + 256 + 9 * 2 * 256 + 128 + 64
    assert round((size(residual) + before_norms) / 1e6, 3) == 11.378
    assert len(unet.down) == len(unet.up) == 8
    # Theirs has no bias in the first and the innermost convolution either.
    assert round((size(unet_batch) - 64 - 512) / 1e6, 3) == 54.414
    assert size(unet_batch) > size(unet)


def test_blocks_and_depth_follow_the_images() -> None:
    for side, blocks, depth in ((32, 6, 5), (128, 6, 7), (256, 9, 8)):
        with torch.device("meta"):
            data = DataInfo(1, side, side)
            assert len(ResNetTranslator(data).blocks) == blocks
            assert len(UNetTranslator(data).down) == depth


@pytest.mark.parametrize("kind", [ResNetTranslator, UNetTranslator])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_shapes_and_ranges(kind: Any, norm: str, upsampling: str) -> None:
    torch.manual_seed(0)
    network = kind(DataInfo(1, 28, 36, paired=3), channels=4, norm=norm, upsampling=upsampling)
    to_channels_last(network)
    for precise in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            made = network(images(2, 1, 28, 36))
        assert made.shape == (2, 3, 28, 36)
        assert made.dtype == torch.float32
        assert made.abs().max() <= 1
        made.square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_weights_start_small() -> None:
    torch.manual_seed(0)
    for network in (ResNetTranslator(INFO, channels=16, blocks=1), UNetTranslator(INFO, channels=16)):
        weights = torch.cat([layer.weight.flatten() for layer in convolutions(network)])
        assert abs(weights.std().item() - 0.02) < 5e-4
        assert abs(weights.mean().item()) < 2e-4


@pytest.mark.parametrize("kernel", [3, 4])
def test_resizing_leaves_no_checkerboard(kernel: int) -> None:
    from adaptgan.networks.translation import _doubled

    torch.manual_seed(0)
    flat = torch.ones(1, 4, 8, 8)

    def unevenness(upsampling: Any) -> float:
        return _doubled(4, 2, kernel, upsampling, "none")(flat)[:, :, 4:-4, 4:-4].std(dim=(2, 3)).max().item()

    assert unevenness("resize") < 1e-6
    assert unevenness("transposed") > 1e-2


def test_dropout_is_decided_by_each_images_own_numbers() -> None:
    torch.manual_seed(0)
    network, x = UNetTranslator(INFO, channels=4).eval(), images()
    noise = torch.rand(4, network.n_noise(32, 32))
    made = network(x, noise)
    alone = torch.cat([network(x[i : i + 1], noise[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(made, alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(made, network.train()(x, noise))
    other = network(x, torch.cat([noise[:3], torch.rand(1, noise.shape[1])]))
    assert (made != other).flatten(1).any(1).tolist() == [False, False, False, True]
    network.eval()
    assert torch.equal(network(x), network(x))
    network.train()
    assert not torch.equal(network(x), network(x))


def test_dropout_is_plain_dropout_of_the_three_innermost_maps() -> None:
    """The decoder's maps after each layer, with hooks that drop by hand, give the same images."""
    torch.manual_seed(0)
    network, x = UNetTranslator(INFO, channels=4, dropout=0.3).eval(), images()
    noise = torch.rand(4, network.n_noise(32, 32))
    made, left = network(x, noise), noise
    shapes: list[torch.Size] = []

    def drop(_layer: nn.Module, _given: Any, result: torch.Tensor) -> torch.Tensor:
        nonlocal left
        mine, left = left[:, : result[0].numel()], left[:, result[0].numel() :]
        shapes.append(result.shape)
        return torch.where(mine.reshape(result.shape) < 0.3, 0.0, result / 0.7)

    for layer in list(network.up)[:3]:
        layer.register_forward_hook(drop)
    torch.testing.assert_close(network(x), made)
    assert left.shape[1] == 0
    assert shapes == [(4, 32, 2, 2), (4, 16, 4, 4), (4, 8, 8, 8)]
    assert UNetTranslator(INFO, channels=4, dropout=0.0).n_noise(32, 32) == 0
    assert UNetTranslator(INFO, channels=4, depth=2).n_noise(32, 32) == 4 * 16 * 16


@pytest.mark.parametrize("side", [32, 64])
def test_images_of_another_size_than_it_was_built_for(side: int) -> None:
    network = UNetTranslator(INFO, channels=4, depth=3).eval()
    noise = torch.rand(4, network.n_noise(side, side))
    assert network(images(height=side, width=side), noise).shape == (4, 3, side, side)


@pytest.mark.parametrize("norm", ["instance", "none"])
def test_features_are_the_encoders_maps(norm: Any) -> None:
    torch.manual_seed(0)
    network, x = ResNetTranslator(INFO, channels=4, blocks=3, norm=norm), images()
    made, maps = network(x, features=True)
    assert [found.shape[1] for found in maps] == list(network.feature_channels)
    assert [found.shape[2] for found in maps] == [32, 16, 8, 8, 8]
    assert torch.equal(made, network(x))
    first = network.first_down(network.stem(x))
    second = network.second_down(network.first_norm(first.clone()))
    inside = network.blocks[0](network.second_norm(second.clone()))
    for found, expected in zip(maps, [x, first, second, inside, network.blocks[1](inside)], strict=True):
        assert torch.equal(found, expected)
    for found, expected in zip(network(x, decode=False), maps, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: ResNetTranslator(DataInfo(1, 30, 32)), "multiples of 4"),
        (lambda: ResNetTranslator(DataInfo(1, 4, 4)), "at least 8"),
        (lambda: UNetTranslator(DataInfo(1, 30, 32)), "30×32 pixels can be halved 1 times"),
        (lambda: UNetTranslator(DataInfo(1, 32, 32), depth=6), "needs 6"),
    ],
)
def test_images_that_do_not_fit(build: Any, told: str) -> None:
    with pytest.raises(ParamsError, match=told):
        build()
