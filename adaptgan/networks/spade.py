"""A generator whose normalizations are told the label map (Park 2019)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.networks.labels import known_classes
from adaptgan.networks.layers import pyramid
from adaptgan.networks.normalization import InstanceNorm
from adaptgan.networks.residual import Layers, widths

Positive = Annotated[int, Field(ge=1)]


class SPADE(nn.Module):
    """(1 + γ(m)) · norm(x) + β(m), γ and β two convolutions of the label map m (Park 2019, eq. 1). Keeps the shape.

    A norm takes away what is the same all over; a layer told the classes pixel by pixel can put it back.

    Args:
        channels: C of x (N, C, H, W).
        classes: K of m (N, K, H, W), one-hot.
        hidden: channels between the two convolutions.
        norm: of the batch, or of each image; nothing in it is learned.
    """

    def __init__(self, channels: int, classes: int, hidden: int, norm: Literal["batch", "instance"]) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False) if norm == "batch" else InstanceNorm()
        layers = Layers("glorot")
        self.shared = layers.conv(classes, hidden, gain=math.sqrt(2))
        self.modulation = layers.conv(hidden, 2 * channels)

    def forward(self, x_NCHW: torch.Tensor, map_NKHW: torch.Tensor) -> torch.Tensor:
        """Normalized, then each pixel by the map around it."""
        gain_NCHW, bias_NCHW = self.modulation(self.shared(map_NKHW).relu_()).chunk(2, dim=1)
        return torch.addcmul(bias_NCHW, self.norm(x_NCHW).to(gain_NCHW.dtype), 1 + gain_NCHW)


class SPADEBlock(nn.Module):
    """x′ + conv(a(SPADE(conv(a(SPADE(x)))))), a the leaky ReLU (Park 2019, figure 4). (N, I, H, W) -> (N, O, H, W).

    x′ is x, or where the channels change conv(SPADE(x)), 1×1.

    Args:
        inside: I.
        outside: O.
        layers: makes the convolutions.
        spade: makes a SPADE of so many channels.
    """

    def __init__(self, inside: int, outside: int, layers: Layers, spade: Callable[[int], SPADE]) -> None:
        super().__init__()
        between = min(inside, outside)
        self.first_norm, self.second_norm = spade(inside), spade(between)
        self.first = layers.conv(inside, between, gain=math.sqrt(2))
        self.second = layers.conv(between, outside, gain=math.sqrt(2))
        self.changes = inside != outside
        if self.changes:
            self.shortcut_norm = spade(inside)
            self.shortcut = layers.conv(inside, outside, 1, bias=False)

    def forward(self, x_NCHW: torch.Tensor, map_NKHW: torch.Tensor) -> torch.Tensor:
        """A map of the same size."""
        y_NCHW: torch.Tensor = self.first(F.leaky_relu_(self.first_norm(x_NCHW, map_NKHW), 0.2))
        y_NCHW = self.second(F.leaky_relu_(self.second_norm(y_NCHW, map_NKHW), 0.2))
        return y_NCHW + (self.shortcut(self.shortcut_norm(x_NCHW, map_NKHW)) if self.changes else x_NCHW)


class SPADEGenerator(nn.Module):
    """A label map, one-hot (N, K, H, W) -> images (N, C, H, W) in [-1, 1] (Park 2019, figure 4 and appendix A).

    From a small map up, the neighbours repeated between SPADE blocks: one at the base, two at twice its size, one at
    each size above; then a 3×3 convolution and tanh. It starts from a convolution of the map, made as small (every
    n-th pixel), or from z. Convolutions of the blocks are spectrally normalized. 256×256 with the paper's: 64 channels,
    the widest 16 times that, from 8×8.

    Args:
        data: the images' shape, base · 2^n pixels, and the classes of pixels.
        channels: of the last block.
        widest: earlier blocks have twice as many with each halving, up to this many times.
        levels: n, how often the size is doubled; None for as many as begin with at least 4 pixels.
        hidden: channels of each SPADE between map and modulation.
        norm: of the batch (over all processes in the paper), or of each image.
        noise: Z, latents that decide the style; 0 for none: a map then has one image.
    """

    def __init__(
        self,
        data: DataInfo,
        channels: Positive = 64,
        widest: Positive = 16,
        levels: Positive | None = None,
        hidden: Positive = 128,
        norm: Literal["batch", "instance"] = "batch",
        noise: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        super().__init__()
        self.n_noise, self.n_classes = noise, known_classes(data, "spade_generator")
        levels, height, width = pyramid(data, levels, 1 if levels else 4)
        plain, normalized = Layers("glorot"), Layers("glorot", spectral=True)

        def spade(count: int) -> SPADE:
            return SPADE(count, self.n_classes, hidden, norm)

        coarse_first = widths(levels, channels, widest)[::-1]
        inside = channels * min(2 ** (levels - 1), widest)
        self.base = (inside, height, width)
        self.start = plain.linear(noise, math.prod(self.base)) if noise else plain.conv(self.n_classes, inside)
        self.head = SPADEBlock(inside, inside, normalized, spade)
        self.middle = SPADEBlock(inside, inside, normalized, spade)
        self.blocks = nn.ModuleList()
        for outside in coarse_first:
            self.blocks.append(SPADEBlock(inside, outside, normalized, spade))
            inside = outside
        self.out = plain.conv(inside, data.channels)

    def forward(self, map_NKHW: torch.Tensor, z_NZ: torch.Tensor | None = None) -> torch.Tensor:
        """Images of the maps, and of the latents if it has some.

        Args:
            map_NKHW: one-hot.
            z_NZ: latents; without, all 0.
        """
        step = 2 ** len(self.blocks)
        small_NKhw = map_NKHW[:, :, ::step, ::step]
        if self.n_noise:
            z_NZ = map_NKHW.new_zeros(len(map_NKHW), self.n_noise) if z_NZ is None else z_NZ
            x = self.start(z_NZ).view(-1, *self.base)
        else:
            x = self.start(small_NKhw)
        x = self.head(x, small_NKhw)
        for level, block in enumerate(self.blocks):
            step //= 2
            x, at_size = F.interpolate(x, scale_factor=2, mode="nearest"), map_NKHW[:, :, ::step, ::step]
            if level == 0:
                x = self.middle(x, at_size)
            x = block(x, at_size)
        images_NCHW: torch.Tensor = self.out(F.leaky_relu_(x, 0.2))
        return images_NCHW.float().tanh()
