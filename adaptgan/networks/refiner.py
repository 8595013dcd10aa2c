"""SimGAN's refiner."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.networks.layers import ResidualBlock


class SimGANRefiner(nn.Module):
    """Fully convolutional residual refiner (Shrivastava 2017, appendix): no striding, no BatchNorm.

    3×3 convolution, residual blocks, 1×1 convolution, tanh. (N, C, H, W) in [-1, 1] -> the same.

    Args:
        data: the images' shape.
        channels: features of every layer; the paper has 64.
        blocks: residual blocks; the paper has 4.
        fold: work on fold × fold blocks of pixels as channels (pixel unshuffle): 2 halves the resolution inside and is
            three to four times as fast; 1 is the paper's.
        residual: 0 is the paper's tanh(r(x)); otherwise tanh(residual · x + r(x)), which starts near the identity.
    """

    def __init__(
        self, data: DataInfo, channels: int = 64, blocks: int = 4, fold: int = 1, residual: float = 0.0
    ) -> None:
        super().__init__()
        if data.height % fold or data.width % fold:
            raise ValueError(f"fold {fold} does not divide images of {data.height}×{data.width}")
        self.fold, self.residual = fold, residual
        inside = data.channels * fold * fold
        self.stem = nn.Conv2d(inside, channels, 3, padding=1)
        self.blocks = nn.Sequential(*[ResidualBlock(channels) for _ in range(blocks)])
        self.out = nn.Conv2d(channels, inside, 3 if fold > 1 else 1, padding=1 if fold > 1 else 0)
        if residual:
            nn.init.normal_(self.out.weight, std=1e-2)
            nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Refined images, in (-1, 1)."""
        x = F.pixel_unshuffle(images_NCHW, self.fold)
        x = self.out(self.blocks(self.stem(x)).relu())
        return torch.tanh(self.residual * images_NCHW + F.pixel_shuffle(x, self.fold))
