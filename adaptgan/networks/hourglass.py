"""A translator with a narrow waist: an image goes in, noise joins where it is smallest, another image comes out."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.layers import pyramid, start_small

SLOPE = 0.2


class HourglassTranslator(nn.Module):
    """DCGAN's generator (Radford 2015) behind an encoder of its own shape; z joins at the waist, the base (4×4).

    (N, C, H, W) in [-1, 1] and noise z (N, Z) -> (N, C', H, W) in [-1, 1]. 4×4 convolutions of stride 2 halve the
    image down to the base and transposed ones double it again; BatchNorm in all but the first and the last. With few
    `skips` little of where things were gets past the waist, so that it may draw them anew: it moves pixels.

    Args:
        data: the images' shape, any base · 2^n, and that of the paired ones, C', where there are any.
        noise: Z.
        channels: of the first level; each level below has twice as many.
        max_channels: at most this many.
        skips: how many maps of the encoder the decoder also sees (Ronneberger 2015), the smallest first.
    """

    def __init__(
        self,
        data: DataInfo,
        noise: Annotated[int, Field(ge=1)] = 32,
        channels: Annotated[int, Field(ge=1)] = 64,
        max_channels: Annotated[int, Field(ge=1)] = 512,
        skips: Annotated[int, Field(ge=0)] = 1,
    ) -> None:
        super().__init__()
        levels, height, width = pyramid(data)
        if skips >= levels:
            raise ParamsError(
                f"hourglass_translator.skips: {skips} maps are to be handed over, and there are {levels - 1} between "
                f"images of {data.height}×{data.width} pixels and the waist of {height}×{width}. Ask for fewer."
            )
        self.n_noise, self.skips = noise, skips
        self.waist = (min(max_channels, channels * 2 ** (levels - 1)), height, width)
        widths = [min(max_channels, channels * 2**level) for level in range(levels)]
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inside, outside, 4, 2, 1, bias=level == 0), *_normed(outside, level > 0))
            for level, (inside, outside) in enumerate(zip([data.channels, *widths], widths, strict=False))
        )
        self.spread = nn.Linear(noise, self.waist[0] * height * width)
        self.join = nn.Sequential(
            nn.Conv2d(2 * widths[-1], widths[-1], 3, padding=1, bias=False), nn.BatchNorm2d(widths[-1]), nn.ReLU(True)
        )
        outsides = [*reversed(widths[:-1]), data.paired or data.channels]
        self.up = nn.ModuleList()
        for index, (inside, outside) in enumerate(zip(reversed(widths), outsides, strict=True)):
            seen = inside * (2 if 0 < index <= skips else 1)
            last = index == levels - 1
            layer = nn.ConvTranspose2d(seen, outside, 4, 2, 1, bias=last)
            self.up.append(layer if last else nn.Sequential(layer, nn.BatchNorm2d(outside), nn.ReLU(True)))
        start_small(self)

    def forward(self, images_NCHW: torch.Tensor, noise_NZ: torch.Tensor) -> torch.Tensor:
        """Images of the other domain, in (-1, 1)."""
        maps = [images_NCHW]
        for layer in self.down:
            maps.append(layer(maps[-1]))
        waist = maps.pop()
        x = self.join(torch.cat([waist, self.spread(noise_NZ).view(-1, *self.waist).to(waist.dtype)], 1))
        for index, layer in enumerate(self.up):
            x = layer(torch.cat([x, maps[-index]], 1) if 0 < index <= self.skips else x)
        made_NCHW: torch.Tensor = x.float().tanh()
        return made_NCHW


def _normed(channels: int, norm: bool) -> list[nn.Module]:
    return [*([nn.BatchNorm2d(channels)] if norm else []), nn.LeakyReLU(SLOPE)]
