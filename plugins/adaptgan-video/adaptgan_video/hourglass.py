"""The blocks that all three networks of the First Order Motion Model are made of."""

from __future__ import annotations

import torch
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.normalization import Norm, normalization
from adaptgan.networks.residual import DownConv2d, UpConv2d


def same(inside: int, outside: int, norm: Norm, kernel: int = 3) -> nn.Sequential:
    """Convolution, norm, ReLU, at the same size."""
    conv = nn.Conv2d(inside, outside, kernel, padding=kernel // 2, bias=norm == "none")
    return nn.Sequential(conv, normalization(norm, outside), nn.ReLU())


def halved(inside: int, outside: int, norm: Norm) -> nn.Sequential:
    """Convolution and mean of 2×2, norm, ReLU."""
    conv = DownConv2d(inside, outside, 3, padding=1, bias=norm == "none")
    return nn.Sequential(conv, normalization(norm, outside), nn.ReLU())


def doubled(inside: int, outside: int, norm: Norm) -> nn.Sequential:
    """Repeated neighbours and convolution, norm, ReLU."""
    conv = UpConv2d(inside, outside, 3, padding=1, bias=norm == "none")
    return nn.Sequential(conv, normalization(norm, outside), nn.ReLU())


class Hourglass(nn.Module):
    """A U-Net whose decoder sees the encoder's map of each size. (N, I, H, W) -> (N, O, H, W), O = `channels`.

    Args:
        inside: I.
        channels: of the first level; each level below has twice as many, up to `most`.
        levels: how often the sides are halved.
        norm: what normalizes.
        most: most channels of a level.
    """

    def __init__(self, inside: int, channels: int, levels: int, norm: Norm, most: int) -> None:
        super().__init__()
        widths = [min(most, channels * 2**level) for level in range(levels + 1)]
        self.stem = same(inside, channels, norm)
        self.down = nn.ModuleList(halved(a, b, norm) for a, b in zip(widths, widths[1:], strict=False))
        self.up = nn.ModuleList(
            doubled(b if level == levels - 1 else 2 * b, a, norm)
            for level, (a, b) in reversed(list(enumerate(zip(widths, widths[1:], strict=False))))
        )
        self.join = same(2 * channels, channels, norm)

    def forward(self, x_NIHW: torch.Tensor) -> torch.Tensor:
        """Features as large as what is given."""
        maps = [self.stem(x_NIHW)]
        for layer in self.down:
            maps.append(layer(maps[-1]))
        x = maps.pop()
        for layer in self.up:
            x = torch.cat([layer(x), maps.pop()], 1)
        joined_NCHW: torch.Tensor = self.join(x)
        return joined_NCHW


def halvings(data: DataInfo, reduce: int, levels: int | None, who: str) -> int:
    """How often a network halves images that were shrunk by `reduce` before: `levels`, or as often as leaves 3 pixels.

    Raises:
        ParamsError: they cannot be halved so often.
    """
    if data.height % reduce or data.width % reduce:
        raise ParamsError(
            f"{who}.reduce: images of {data.height}×{data.width} pixels cannot be shrunk {reduce} times. Give a "
            "divisor of both sides."
        )
    height, width, possible = data.height // reduce, data.width // reduce, 0
    while not (height % 2 or width % 2) and min(height, width) >= 6 and possible < (levels or 5):
        height, width, possible = height // 2, width // 2, possible + 1
    if possible < (levels or 1):
        raise ParamsError(
            f"{who}.levels: images of {data.height}×{data.width} pixels, shrunk {reduce} times, can be halved "
            f"{possible} times, and {levels or 1} are asked for. Give fewer, or ingest images with a `size` of "
            "base · 2^n, such as [64, 64]."
        )
    return possible
