"""PixelDA's generator and discriminator (Bousmalis 2017)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.layers import start_small
from adaptgan.networks.normalization import Norm, normalization

SLOPE = 0.2

UNFOLDED = 16
"""Channels of the maps that a folded generator unfolds to."""


class PixelDAGenerator(nn.Module):
    """A residual network that sees an image and a noise vector (Bousmalis 2017, figure 2).

    (N, C, H, W) in [-1, 1] and noise z (N, Z) -> (N, C′, H, W) in [-1, 1], C′ the channels of the other domain. A fully
    connected layer, normalization and ReLU make z a further channel of the image; a 3×3 convolution, residual blocks
    and a 1×1 convolution with tanh follow, none of them strided.

    Args:
        data: the images' shape.
        channels: features of every layer; the paper has 64.
        blocks: residual blocks; the paper has 6.
        noise: Z.
        planes: channels that the noise becomes; the paper has 1.
        tiled: every pixel also sees z itself, as Z constant channels, so that light and colour of the whole image are
            easily learned from it; the paper has none.
        norm: within the blocks and after the noise's layer: by the batch as in the paper, by the image alone
            (`instance`; none after the noise's layer), or none.
        fold: work on fold × fold blocks of pixels as channels (pixel unshuffle): 2 halves the resolution inside and is
            three times as fast; 1 is the paper's. What comes out is unfolded, and a 3×3 convolution that also sees the
            image makes pixels of it, which leaves no checkerboard.
    """

    def __init__(
        self,
        data: DataInfo,
        channels: int = 64,
        blocks: int = 6,
        noise: int = 10,
        planes: int = 1,
        tiled: bool = False,
        norm: Norm = "batch",
        fold: int = 1,
    ) -> None:
        super().__init__()
        if data.height % fold or data.width % fold:
            raise ParamsError(
                f"pixel_da_generator: fold {fold} does not divide images of {data.height}×{data.width}. Use 1."
            )
        self.n_noise, self.fold, self.planes, self.tiled = noise, fold, planes, tiled
        self.size = (data.height // fold, data.width // fold)
        n_spread = planes * self.size[0] * self.size[1]
        by_batch = [nn.BatchNorm1d(n_spread)] if norm == "batch" else []
        self.spread = nn.Sequential(nn.Linear(noise, n_spread, bias=norm != "batch"), *by_batch, nn.ReLU())
        seen = data.channels * fold**2 + planes + (noise if tiled else 0)
        self.stem = nn.Conv2d(seen, channels, 3, padding=1)
        self.blocks = nn.Sequential(*[NormalizedBlock(channels, norm) for _ in range(blocks)])
        outside = data.paired or data.channels
        self.unfold = nn.Conv2d(channels, UNFOLDED * fold**2, 3, padding=1) if fold > 1 else None
        self.out = (
            nn.Conv2d(channels, outside, 1) if fold == 1 else nn.Conv2d(UNFOLDED + data.channels, outside, 3, padding=1)
        )
        start_small(self)

    def forward(self, images_NCHW: torch.Tensor, noise_NZ: torch.Tensor) -> torch.Tensor:
        """Images of the other domain, in (-1, 1)."""
        folded_NCHW = F.pixel_unshuffle(images_NCHW, self.fold)
        parts = [folded_NCHW, self.spread(noise_NZ).view(-1, self.planes, *self.size).to(folded_NCHW.dtype)]
        if self.tiled:
            parts.append(noise_NZ[:, :, None, None].expand(-1, -1, *self.size))
        x_NCHW = self.stem(torch.cat(parts, 1)).relu()
        x_NCHW = self.blocks(x_NCHW)
        if self.unfold is not None:
            fine_NCHW = F.pixel_shuffle(self.unfold(x_NCHW), self.fold).relu()
            x_NCHW = torch.cat([fine_NCHW, images_NCHW.to(fine_NCHW.dtype)], 1)
        made_NCHW: torch.Tensor = self.out(x_NCHW).float().tanh()
        return made_NCHW


class PixelDADiscriminator(nn.Module):
    """A strided network that is disturbed wherever it looks (Bousmalis 2017, figure 2 and supplement).

    (N, C, H, W) -> logits (N, 1, 1), one patch: the whole image. 3×3 convolutions, the first of stride 1, then of
    stride 2 with twice the channels each until the map is 4 pixels or fewer on a side, then one fully connected unit.
    After each, in training, a share of the features is dropped and Gaussian noise is added: without it D soon knows the
    real images by heart.

    Args:
        data: the images' shape.
        channels: of the first layer; the paper has 64.
        widest: limit on the doubled channels, in multiples of the first layer's.
        first_stride: of the first convolution; 1 is the paper's, 2 saves most of the time.
        dropout: share of features dropped; the authors' code keeps 0.9.
        noise: standard deviation of what is added.
        norm: of all layers but the first: by the batch as in the paper, or none.
    """

    def __init__(
        self,
        data: DataInfo,
        channels: int = 64,
        widest: int = 8,
        first_stride: Literal[1, 2] = 1,
        dropout: float = 0.1,
        noise: float = 0.2,
        norm: Literal["batch", "none"] = "batch",
    ) -> None:
        super().__init__()
        self.by_batch, self.noise = norm == "batch", noise
        layers: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(data.channels, channels, 3, first_stride, 1), nn.LeakyReLU(SLOPE))
        ]
        height, width = _strided(data.height, first_stride), _strided(data.width, first_stride)
        inside = channels
        while max(height, width) > 4:
            outside = min(2 * inside, widest * channels)
            norms = [nn.BatchNorm2d(outside)] if self.by_batch else []
            conv = nn.Conv2d(inside, outside, 3, 2, 1, bias=not self.by_batch)
            layers.append(nn.Sequential(conv, *norms, nn.LeakyReLU(SLOPE)))
            height, width, inside = _strided(height, 2), _strided(width, 2), outside
        self.layers = nn.ModuleList(layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(inside * height * width, 1)
        start_small(self)

    def forward(
        self, images_NCHW: torch.Tensor, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, list[torch.Tensor]]:
        """Logits (N, 1, 1), and every layer's undisturbed maps when asked."""
        x_NCHW, maps = images_NCHW, []
        for layer in self.layers:
            x_NCHW = layer(x_NCHW)
            maps.append(x_NCHW)
            x_NCHW = self.disturbed(x_NCHW)
        logits_N11: torch.Tensor = self.head(x_NCHW.flatten(1))[:, :, None]
        return (logits_N11, maps) if features else logits_N11

    def disturbed(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Dropout and noise, in training alone."""
        x_NCHW = self.dropout(x_NCHW)
        if not self.training or not self.noise:
            return x_NCHW
        n, channels, height, width = x_NCHW.shape
        # Drawn in the order in memory, channels last: eight times as fast on a CPU as `randn_like`.
        noise_NHWC = torch.randn(n, height, width, channels, device=x_NCHW.device)
        return x_NCHW + self.noise * noise_NHWC.to(x_NCHW.dtype).permute(0, 3, 1, 2)


class NormalizedBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), 3×3. (N, C, H, W) -> the same.

    Args:
        channels: C.
        norm: by the batch, by the image alone, or none.
    """

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()

        def conv() -> nn.Conv2d:  # a norm subtracts the mean, and a bias with it
            return nn.Conv2d(channels, channels, 3, padding=1, bias=norm == "none")

        self.layers = nn.Sequential(
            conv(), normalization(norm, channels), nn.ReLU(), conv(), normalization(norm, channels)
        )

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Same shape as given."""
        y_NCHW: torch.Tensor = self.layers(x_NCHW)
        return x_NCHW + y_NCHW


def _strided(size: int, stride: int) -> int:
    """What a 3×3 convolution with a border of 1 leaves of a side."""
    return (size - 1) // stride + 1
