"""Residual blocks of generators and discriminators (Miyato 2018, figures 8 and 9), and how their layers are made."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.networks.spectral import spectral_norm

FUSED_FROM = 64
"""Positions of the smaller map from which a resampling is fused with its convolution; below, making the kernel costs
more than it saves."""


@dataclass(frozen=True)
class Layers:
    """Makes the layers of one network alike; biases start at 0.

    Attributes:
        init: first values of weights: `glorot`, uniform (Glorot 2010; Miyato's code), or `orthogonal` (Saxe 2014;
            Brock 2019).
        spectral: whether every layer is spectrally normalized.
    """

    init: Literal["glorot", "orthogonal"] = "glorot"
    spectral: bool = False

    def conv(
        self,
        inside: int,
        outside: int,
        kernel: int = 3,
        *,
        sampling: Literal["", "up", "down"] = "",
        bias: bool = True,
        gain: float = 1.0,
    ) -> nn.Module:
        """A convolution that keeps the size, or doubles or halves it (3×3 only); `gain` is of `glorot`."""
        kind = {"up": UpConv2d, "down": DownConv2d, "": nn.Conv2d}[sampling]
        layer = kind(inside, outside, kernel, padding=kernel // 2, bias=bias)
        return self._ready(layer, gain)

    def linear(self, inside: int, outside: int, *, bias: bool = True) -> nn.Module:
        """A fully connected layer."""
        return self._ready(nn.Linear(inside, outside, bias=bias))

    def embedding(self, count: int, width: int) -> nn.Module:
        """A vector for each class."""
        return self._ready(nn.Embedding(count, width))

    def _ready(self, layer: nn.Module, gain: float = 1.0) -> nn.Module:
        weight, bias = layer.weight, getattr(layer, "bias", None)
        assert isinstance(weight, nn.Parameter)
        if self.init == "orthogonal":
            nn.init.orthogonal_(weight)
        else:
            nn.init.xavier_uniform_(weight, gain)
        if isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)
        return spectral_norm(layer) if self.spectral else layer


class UpBlock(nn.Module):
    """↑x + conv(relu(norm(conv(↑relu(norm(x)))))), ↑ the nearest neighbour's. (N, I, H, W) -> (N, O, 2H, 2W).

    Args:
        inside: I.
        outside: O.
        layers: makes the convolutions; the one on the shortcut is 1×1.
        norm: makes a normalization of so many channels, called with the map and whatever the block is given beside it.
    """

    def __init__(self, inside: int, outside: int, layers: Layers, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.first_norm, self.second_norm = norm(inside), norm(outside)
        self.first = layers.conv(inside, outside, sampling="up", gain=math.sqrt(2))
        self.second = layers.conv(outside, outside, gain=math.sqrt(2))
        self.shortcut = layers.conv(inside, outside, 1)

    def forward(self, x_NCHW: torch.Tensor, *condition: torch.Tensor) -> torch.Tensor:
        """A map of twice the size."""
        y_NCHW: torch.Tensor = self.first(self.first_norm(x_NCHW, *condition).relu_())
        y_NCHW = self.second(self.second_norm(y_NCHW, *condition).relu_())
        # A 1×1 convolution and ↑ commute: this order is a quarter of the work.
        return y_NCHW + F.interpolate(self.shortcut(x_NCHW), scale_factor=2, mode="nearest")


class DownBlock(nn.Module):
    """x↓ + (conv(relu(conv(relu(x)))))↓, ↓ the mean of 2×2. (N, I, H, W) -> (N, O, H/2, W/2).

    Args:
        inside: I.
        outside: O.
        layers: makes the convolutions; the one on the shortcut is 1×1, and not there where nothing changes the shape.
        down: whether to halve at all.
        first: the block that sees the image, which takes no ReLU of it.
        wide: channels between the two convolutions: O (Brock 2019), else I (Miyato's code); the first block has O.
    """

    def __init__(
        self, inside: int, outside: int, layers: Layers, *, down: bool = True, first: bool = False, wide: bool = False
    ) -> None:
        super().__init__()
        between = outside if first or wide else inside
        self.first = layers.conv(inside, between, gain=math.sqrt(2))
        self.second = layers.conv(between, outside, sampling="down" if down else "", gain=math.sqrt(2))
        self.shortcut = layers.conv(inside, outside, 1) if down or inside != outside else nn.Identity()
        self.down, self.sees_image = down, first

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """A map of half the size, or the same."""
        y_NCHW: torch.Tensor = self.first(x_NCHW if self.sees_image else x_NCHW.relu())
        y_NCHW = self.second(y_NCHW.relu_())
        shortcut: torch.Tensor = self.shortcut(F.avg_pool2d(x_NCHW, 2) if self.down else x_NCHW)
        return y_NCHW + shortcut


class UpConv2d(nn.Conv2d):
    """Nearest-neighbour upsampling by 2, then the 3×3 convolution. (N, I, H, W) -> (N, O, 2H, 2W).

    On large maps as one transposed 4×4 convolution of stride 2, which is the same function (Karras 2017's code):
    16 products per input position in place of 36, and no upsampled copy.
    """

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """The upsampled and convolved map."""
        if x_NCHW.shape[2] * x_NCHW.shape[3] < FUSED_FROM:
            return super().forward(F.interpolate(x_NCHW, scale_factor=2, mode="nearest"))
        kernel = spread_kernel(self.weight.flip(2, 3)).transpose(0, 1)
        return F.conv_transpose2d(x_NCHW, kernel, self.bias, stride=2, padding=1)


class DownConv2d(nn.Conv2d):
    """The 3×3 convolution, then the mean of 2×2. (N, I, 2H, 2W) -> (N, O, H, W).

    On large maps as one 4×4 convolution of stride 2, which is the same function: 16 products per result in place of 36.
    """

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """The convolved and pooled map."""
        if x_NCHW.shape[2] * x_NCHW.shape[3] < 4 * FUSED_FROM:
            return F.avg_pool2d(super().forward(x_NCHW), 2)
        return F.conv2d(x_NCHW, spread_kernel(self.weight) / 4, self.bias, stride=2, padding=1)


def spread_kernel(weight_OI33: torch.Tensor) -> torch.Tensor:
    """The kernel convolved with a 2×2 block of ones, (O, I, 4, 4)."""
    wider = F.pad(weight_OI33, (1, 0)) + F.pad(weight_OI33, (0, 1))
    return F.pad(wider, (0, 0, 1, 0)) + F.pad(wider, (0, 0, 0, 1))


def widths(levels: int, channels: int, widest: int) -> list[int]:
    """Channels of each level, the finest first: twice as many with each halving, up to `widest` times the finest's."""
    return [channels * min(2**level, widest) for level in range(levels)]
