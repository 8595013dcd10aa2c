"""SRGAN's networks: SRResNet, and the discriminator that judges large images (Ledig et al. 2017, figure 4)."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.networks.normalization import Norm, normalization

Positive = Annotated[int, Field(ge=1)]


class SRResNet(nn.Module):
    """Small images to large ones. (N, C, H, W) in [-1, 1] -> (N, C, sH, sW), of no bounds: clamp what you show.

    9×9 convolution, PReLU; residual blocks of 3×3 convolution, norm, PReLU, 3×3 convolution, norm; 3×3 convolution and
    norm around which the first maps are added again; for each doubling a 3×3 convolution to four times the channels,
    pixel shuffle (Shi 2016), PReLU; 9×9 convolution. Fully convolutional: images of any size. The convolutions before a
    shuffle start alike for the four pixels of a block, so that there is no checkerboard at the start (Aitken 2017).

    Args:
        data: the images' channels.
        scale: s, how many times as high and wide the images become.
        channels: features of every layer; the paper has 64.
        blocks: residual blocks; the paper has 16.
        norm: `batch` is the paper's; `none` leaves it out, which later work found sharper and free of artefacts
            (Lim 2017; Wang 2018, ESRGAN).
        skip: `bicubic` adds the enlarged image to the result, so that the network learns what bicubic interpolation
            lacks; `none` is the paper's.
    """

    def __init__(
        self,
        data: DataInfo,
        scale: Literal[2, 4] = 4,
        channels: Positive = 64,
        blocks: Positive = 16,
        norm: Norm = "batch",
        skip: Literal["none", "bicubic"] = "none",
    ) -> None:
        super().__init__()
        self.scale, self.skip = scale, skip
        self.stem = nn.Sequential(nn.Conv2d(data.channels, channels, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(*(_Block(channels, norm) for _ in range(blocks)))
        self.last = nn.Sequential(_conv(channels, norm), normalization(norm, channels))
        self.enlarge = nn.Sequential(*(_Double(channels) for _ in range(int(math.log2(scale)))))
        self.out = nn.Conv2d(channels, data.channels, 9, padding=4)
        if skip == "bicubic":  # nearly nothing is added at first
            nn.init.normal_(self.out.weight, std=1e-3)
            nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Images `scale` times as high and wide."""
        x_NCHW = self.stem(images_NCHW)
        x_NCHW = x_NCHW + self.last(self.blocks(x_NCHW))
        large_NCHW: torch.Tensor = self.out(self.enlarge(x_NCHW)).float()
        return large_NCHW + enlarged(images_NCHW, self.scale) if self.skip == "bicubic" else large_NCHW


class SRGANDiscriminator(nn.Module):
    """Large images, real or made -> one logit each, as a map of one: (N, C, H, W) -> (N, 1, 1); positive means real.

    3×3 convolutions with 64, 64, 128, 128, 256, 256, 512, 512 channels, every second of stride 2, BatchNorm after all
    but the first, LeakyReLU 0.2; two dense layers look at what is left.

    Args:
        data: the images' shape.
        channels: of the first two layers; each further pair has twice as many, up to 8 times.
        levels: pairs of convolutions, the second of which halves the maps (odd sides round up); the paper has 4.
        hidden: width of the first dense layer.
        norm: `none`, the last of the choices, ties no image of a batch to another.
    """

    def __init__(
        self,
        data: DataInfo,
        channels: Positive = 64,
        levels: Positive = 4,
        hidden: Positive = 1024,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.by_batch = norm == "batch"
        layers: list[nn.Module] = []
        inside, height, width = data.channels, data.height, data.width
        for level in range(levels):
            outside = channels * min(8, 2**level)
            for stride in (1, 2):
                plain: Norm = norm if layers else "none"
                # A norm subtracts the mean, and a bias with it.
                conv = nn.Conv2d(inside, outside, 3, stride, padding=1, bias=plain == "none")
                layers.append(nn.Sequential(conv, normalization(plain, outside), nn.LeakyReLU(0.2, inplace=True)))
                inside = outside
            height, width = (height + 1) // 2, (width + 1) // 2
        self.layers = nn.ModuleList(layers)
        flat = inside * height * width
        self.judge = nn.Sequential(nn.Linear(flat, hidden), nn.LeakyReLU(0.2, inplace=True), nn.Linear(hidden, 1))

    def forward(
        self, images_NCHW: torch.Tensor, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, list[torch.Tensor]]:
        """A logit for each image, (N, 1, 1).

        Args:
            images_NCHW: of the size it was built for.
            features: also give the maps after each convolution.
        """
        maps: list[torch.Tensor] = []
        for layer in self.layers:
            images_NCHW = layer(images_NCHW)
            maps.append(images_NCHW)
        logits_N11: torch.Tensor = self.judge(images_NCHW.flatten(1)).float()[:, :, None]
        return (logits_N11, maps) if features else logits_N11


def enlarged(images_NCHW: torch.Tensor, scale: int) -> torch.Tensor:
    """Bicubic interpolation (Keys' kernel with a = −½, as Pillow and MATLAB have it), float32: (N, C, sH, sW)."""
    # Without antialias, which changes nothing else when enlarging, a is −¾.
    return F.interpolate(images_NCHW.float(), scale_factor=scale, mode="bicubic", antialias=True)


class _Block(nn.Module):
    """x + norm(conv(PReLU(norm(conv(x)))))."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _conv(channels, norm),
            normalization(norm, channels),
            nn.PReLU(),
            _conv(channels, norm),
            normalization(norm, channels),
        )

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        y_NCHW: torch.Tensor = self.layers(x_NCHW)
        return x_NCHW + y_NCHW


class _Double(nn.Module):
    """3×3 convolution to 4 times the channels, pixel shuffle by 2, PReLU. (N, F, H, W) -> (N, F, 2H, 2W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.activation = nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PReLU()
        bias = self.conv.bias
        assert bias is not None
        with torch.no_grad():
            # Output channels 4c … 4c + 3 are the four pixels of a block of channel c: they start as copies.
            self.conv.weight.copy_(self.conv.weight[::4].repeat_interleave(4, 0))
            bias.copy_(bias[::4].repeat_interleave(4, 0))

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        y_NCHW: torch.Tensor = self.activation(F.pixel_shuffle(self.conv(x_NCHW), 2))
        return y_NCHW


def _conv(channels: int, norm: Norm) -> nn.Module:
    return nn.Conv2d(channels, channels, 3, padding=1, bias=norm == "none")
