"""Generators that turn images into images: a residual one (Johnson 2016; Zhu 2017) and a U-Net (Isola 2017)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.layers import start_small
from adaptgan.networks.normalization import Norm, normalization
from adaptgan.networks.residual import UpConv2d

Upsampling = Literal["transposed", "resize"]
Positive = Annotated[int, Field(ge=1)]

DROPPED = 3
"""Innermost decoder layers of the U-Net that have dropout."""


class ResNetTranslator(nn.Module):
    """c7s1-64, d128, d256, R256 × n, u128, u64, c7s1-3, tanh (Zhu 2017, appendix 7.2). (N, C, H, W) -> (N, C', H, W).

    d and u halve and double the sides; R is x + norm(conv(relu(norm(conv(x))))) of 3×3 convolutions. Norm and ReLU
    follow all but the last; borders are reflected; weights start from N(0, 0.02). Any sides divisible by 4.

    Args:
        data: the images' shape, and that of the paired ones, C', where there are any.
        channels: of the first layer.
        blocks: n; without, the papers': 9 for images of 256 pixels and more, 6 for smaller ones.
        upsampling: `transposed` convolutions, the papers', or `resize`: neighbours repeated, then a convolution, which
            leaves no checkerboard (Odena 2016).
        norm: what normalizes; `instance` has nothing to learn.
    """

    def __init__(
        self,
        data: DataInfo,
        channels: Positive = 64,
        blocks: Positive | None = None,
        upsampling: Upsampling = "transposed",
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        if data.height % 4 or data.width % 4 or min(data.height, data.width) < 8:
            raise ParamsError(
                f"resnet_translator halves the sides twice and has images of {data.height}×{data.width} pixels. "
                "Ingest them with a `size` of multiples of 4, at least 8, such as [32, 32]."
            )
        if blocks is None:
            blocks = 9 if min(data.height, data.width) >= 256 else 6
        one, two, four = channels, 2 * channels, 4 * channels
        self.stem = nn.Sequential(_reflected(data.channels, one, 7, norm), *_active(norm, one))
        self.first_down = nn.Conv2d(one, two, 3, stride=2, padding=1, bias=norm == "none")
        self.first_norm = nn.Sequential(*_active(norm, two))
        self.second_down = nn.Conv2d(two, four, 3, stride=2, padding=1, bias=norm == "none")
        self.second_norm = nn.Sequential(*_active(norm, four))
        self.blocks = nn.ModuleList(_TranslatorBlock(four, norm) for _ in range(blocks))
        self.up = nn.Sequential(
            _doubled(four, two, 3, upsampling, norm),
            *_active(norm, two),
            _doubled(two, one, 3, upsampling, norm),
            *_active(norm, one),
        )
        self.out = nn.Conv2d(one, data.paired or data.channels, 7, padding=3, padding_mode="reflect")
        self.feature_channels = (data.channels, two, four, four, four)
        start_small(self)

    def forward(
        self,
        images_NCHW: torch.Tensor,
        features: bool = False,
        decode: bool = True,
    ) -> torch.Tensor | tuple[torch.Tensor, list[torch.Tensor]] | list[torch.Tensor]:
        """Translated images in [-1, 1].

        Args:
            images_NCHW: in [-1, 1].
            features: also give the encoder's maps, of `feature_channels`, that CUT compares (Park 2020, §C.1): the
                pixels, both downsampling convolutions, the first and the middle block.
            decode: False gives the maps alone and leaves out what comes after the middle block.

        Returns:
            Images; with `features` (images, maps); without `decode` the maps.
        """
        first = self.first_down(self.stem(images_NCHW))
        second = self.second_down(self.first_norm(first))
        x = self.second_norm(second)
        maps = [images_NCHW, first, second]
        middle = len(self.blocks) // 2
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index == 0:
                maps.append(x)
            if index == middle:
                maps.append(x)
                if not decode:
                    return maps
        translated_NCHW = self.out(self.up(x)).float().tanh()
        return (translated_NCHW, maps) if features else translated_NCHW


class UNetTranslator(nn.Module):
    """A U-Net of 4×4 convolutions of stride 2 (Isola 2017, appendix 6.1.1). (N, C, H, W) -> (N, C', H, W), tanh.

    Encoder C64-C128-C256-C512-C512-…, LeakyReLU 0.2, down to a single pixel where the sides allow it; the decoder is
    its mirror, ReLU, and each of its layers also sees the encoder's map of its size. The first, the innermost and the
    last layer have no norm (the first two as in the paper's code). Weights start from N(0, 0.02).

    Dropout is the model's noise. In training it comes from torch's generator; numbers that are given decide it in its
    place, each image's its own, in training or not; when evaluated without them there is none.

    Args:
        data: the images' shape, and that of the paired ones, C', where there are any.
        channels: of the first layer; deeper ones have up to 8 times as many.
        depth: how often the sides are halved; without, as often as they can be: 8 times at 256×256, 5 at 32×32.
        dropout: share of the features that are dropped in the three innermost layers of the decoder.
        upsampling: `transposed` convolutions, the paper's, or `resize`: neighbours repeated, then a 3×3 convolution,
            which leaves no checkerboard (Odena 2016).
        norm: what normalizes. The paper's is by the batch, at test time too, and at its batch size of 1 that is
            `instance`; `batch` uses running statistics when evaluated.
    """

    def __init__(
        self,
        data: DataInfo,
        channels: Positive = 64,
        depth: Annotated[int, Field(ge=2)] | None = None,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
        upsampling: Upsampling = "transposed",
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        possible = _halvings(data.height, data.width)
        if possible < (depth or 2):
            raise ParamsError(
                f"unet_translator: images of {data.height}×{data.width} pixels can be halved {possible} times, and "
                f"this network needs {depth or 2}. Give a smaller `depth`, or ingest images with a `size` of "
                "base · 2^depth, such as [32, 32]."
            )
        depth = depth or possible
        widths = [channels * min(8, 2**level) for level in range(depth)]
        self.dropout, self.widths = dropout, widths
        self.down = nn.ModuleList([nn.Conv2d(data.channels, widths[0], 4, 2, 1)])
        self.up = nn.ModuleList([_doubled(2 * widths[0], data.paired or data.channels, 4, upsampling, "none")])
        for level, (finer, coarser) in enumerate(zip(widths, widths[1:], strict=False), 1):
            innermost = level == depth - 1
            plain: Norm = "none" if innermost else norm
            conv = nn.Conv2d(finer, coarser, 4, 2, 1, bias=plain == "none")
            self.down.append(nn.Sequential(conv, normalization(plain, coarser)))
            up = _doubled(coarser if innermost else 2 * coarser, finer, 4, upsampling, norm)
            self.up.insert(0, nn.Sequential(up, normalization(norm, finer)))
        start_small(self)

    def forward(self, images_NCHW: torch.Tensor, noise_NZ: torch.Tensor | None = None) -> torch.Tensor:
        """Translated images in [-1, 1].

        Args:
            images_NCHW: in [-1, 1].
            noise_NZ: uniform in [0, 1), `n_noise` numbers for each image: those below the share are dropped.
        """
        draws = [] if noise_NZ is None else noise_NZ.split(self._dropped(*images_NCHW.shape[2:]), 1)
        skips: list[torch.Tensor] = []
        x = images_NCHW
        for level, layer in enumerate(self.down):
            # In place: skips are stored activated, and the decoder's ReLU makes the same of them as of the plain ones.
            x = layer(x if level == 0 else F.leaky_relu_(x, 0.2))
            skips.append(x)
        x = skips.pop().relu_()
        for level, layer in enumerate(self.up):
            x = layer(x)
            if level < len(draws):
                kept = draws[level].view(x.shape) >= self.dropout
                x = x * (kept / (1 - self.dropout)).to(x.dtype)
            elif level < DROPPED and skips:
                x = F.dropout(x, self.dropout, self.training)
            if skips:
                x = torch.cat([x, skips.pop()], 1).relu_()
        return x.float().tanh()

    def n_noise(self, height: int, width: int) -> int:
        """How many numbers decide the dropout of one image of this size, Z; 0 without dropout."""
        return sum(self._dropped(height, width)) if self.dropout else 0

    def _dropped(self, height: int, width: int) -> list[int]:
        """Values in each map that dropout sees, the innermost first."""
        finer = list(enumerate(self.widths, 1))[-2::-1]  # maps are halved so often, and have so many channels
        return [channels * (height >> level) * (width >> level) for level, channels in finer[:DROPPED]]


class _TranslatorBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), borders reflected. (N, C, H, W) -> the same."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _reflected(channels, channels, 3, norm),
            *_active(norm, channels),
            _reflected(channels, channels, 3, norm),
            normalization(norm, channels),
        )

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        result_NCHW: torch.Tensor = x_NCHW + self.layers(x_NCHW)
        return result_NCHW


def _active(norm: Norm, channels: int) -> list[nn.Module]:
    # Without a norm, in place would change the map that was asked for as a feature.
    return [normalization(norm, channels), nn.ReLU(inplace=norm != "none")]


def _reflected(inside: int, outside: int, kernel: int, norm: Norm) -> nn.Conv2d:
    """A convolution that keeps the size. A norm subtracts the mean, and a bias with it, so there is none before one."""
    return nn.Conv2d(inside, outside, kernel, padding=kernel // 2, padding_mode="reflect", bias=norm == "none")


def _doubled(inside: int, outside: int, kernel: int, upsampling: Upsampling, norm: Norm) -> nn.Module:
    """Twice the sides: a transposed convolution, or repeated neighbours and a 3×3 one."""
    if upsampling == "resize":
        return UpConv2d(inside, outside, 3, padding=1, bias=norm == "none")
    return nn.ConvTranspose2d(inside, outside, kernel, 2, 1, output_padding=kernel % 2, bias=norm == "none")


def _halvings(height: int, width: int) -> int:
    """How often both sides can be halved."""
    count = 0
    while not (height % 2 or width % 2):
        height, width, count = height // 2, width // 2, count + 1
    return count
