"""A small U-Net (Ronneberger 2015)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo


class ConvSegmenter(nn.Module):
    """A U-Net: stages of two 3×3 convolutions with BatchNorm and ReLU, halved down to the last width and back up again.

    (N, C, H, W) in [-1, 1] -> logits of every pixel (N, K, H, W); with `features=True` also the bottleneck's mean over
    the image (N, F), which methods that compare domains align. Any height and width of at least 2^(stages - 1).

    Args:
        data: shape and classes of pixels.
        widths: channels of each stage; the last is the bottleneck's, F.
    """

    def __init__(self, data: DataInfo, widths: tuple[int, ...] = (16, 32, 64)) -> None:
        super().__init__()
        least = 2 ** (len(widths) - 1)
        if not widths or min(data.height, data.width) < least:
            raise ValueError(
                f"{len(widths)} widths need images of at least {least}×{least}, these are {data.height}×{data.width}"
            )
        self.down = nn.ModuleList(
            _stage(inside, width) for inside, width in zip((data.channels, *widths), widths, strict=False)
        )
        pairs = list(zip(widths, widths[1:], strict=False))
        self.up = nn.ModuleList(_stage(width + below, width) for width, below in reversed(pairs))
        self.head = nn.Conv2d(widths[0], data.n_outputs, 1)
        self.n_features = widths[-1]

    def forward(
        self, images_NCHW: torch.Tensor, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, K, H, W), and the features (N, F) when asked."""
        x = images_NCHW
        skips: list[torch.Tensor] = []
        for number, stage in enumerate(self.down):
            x = stage(F.max_pool2d(x, 2) if number else x)
            skips.append(x)
        features_NF = skips.pop().mean((2, 3))
        for stage in self.up:
            skip = skips.pop()
            x = stage(torch.cat([F.interpolate(x, skip.shape[2:]), skip], 1))
        logits_NKHW: torch.Tensor = self.head(x)
        return (logits_NKHW, features_NF) if features else logits_NKHW


def _stage(inside: int, outside: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inside, outside):
        layers += [nn.Conv2d(channels, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]
    return nn.Sequential(*layers)
