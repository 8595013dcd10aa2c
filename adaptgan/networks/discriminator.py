"""Discriminators."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from adaptgan.datainfo import DataInfo


class PatchDiscriminator(nn.Module):
    """A local discriminator: one logit per patch. (N, C, H, W) -> (N, h, w); positive means real.

    `layers: simgan` is Shrivastava 2017's: conv 96/2, conv 64/2, maxpool 3/1, conv 32, conv 32 (1×1), conv 1 (1×1),
    with one sigmoid logit where the paper has a softmax over two, which is the same function. `layers: strided` is
    4×4 convolutions of stride 2, 2, then 3×3: a wider view at half the cost.

    Args:
        data: the images' shape.
        layers: which of the two.
        channels: of the first strided layer, later ones have twice as many; simgan's are fixed.
        depth: convolutions of `strided` before the 1×1 output.
        spectral_normalization: bound every layer's Lipschitz constant (Miyato 2018).
    """

    def __init__(
        self,
        data: DataInfo,
        layers: Literal["simgan", "strided"] = "simgan",
        channels: int = 48,
        depth: int = 3,
        spectral_normalization: bool = False,
    ) -> None:
        super().__init__()

        def conv(inside: int, outside: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
            layer = nn.Conv2d(inside, outside, kernel, stride, padding)
            return spectral_norm(layer) if spectral_normalization else layer

        if layers == "simgan":
            self.layers = nn.Sequential(
                conv(data.channels, 96, 3, stride=2, padding=1),
                nn.LeakyReLU(0.2),
                conv(96, 64, 3, stride=2, padding=1),
                nn.LeakyReLU(0.2),
                nn.MaxPool2d(3, stride=1, padding=1),
                conv(64, 32, 3, padding=1),
                nn.LeakyReLU(0.2),
                conv(32, 32, 1),
                nn.LeakyReLU(0.2),
                conv(32, 1, 1),
            )
            return
        parts: list[nn.Module] = [conv(data.channels, channels, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        inside = channels
        for index in range(depth - 1):
            kernel, stride = (4, 2) if index == 0 else (3, 1)
            parts += [conv(inside, 2 * channels, kernel, stride=stride, padding=1), nn.LeakyReLU(0.2)]
            inside = 2 * channels
        self.layers = nn.Sequential(*parts, conv(inside, 1, 1))

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits of the patches, (N, h, w)."""
        logits_N1hw: torch.Tensor = self.layers(images_NCHW)
        return logits_N1hw[:, 0]
