"""The encoder and the decoder of a variational autoencoder."""

from __future__ import annotations

import math

import torch
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.networks.labels import concat_class_planes, concat_classes, known_classes
from adaptgan.networks.layers import pyramid


class ConvDecoder(nn.Module):
    """z (N, Z) -> images (N, C, H, W) in [-1, 1], the mirror of `conv_encoder`.

    From the base (4×4) up: neighbours repeated, then a 3×3 convolution, BatchNorm and LeakyReLU 0.2; tanh at the end.
    With ReLU and weights that start as small as DCGAN's, all of the last layer's first turn towards the background.
    Then every brighter pixel is one where no feature is alive, which only the bias can still move.

    Args:
        data: the images' shape: any base · 2^n, grey or colour; the classes, for a conditional one.
        noise: Z.
        channels: of the last hidden level; each level below has twice as many.
        max_channels: at most this many.
        conditional: concatenate the label, one-hot, with z: p(x|z, y) (Sohn 2015).
    """

    def __init__(
        self,
        data: DataInfo,
        noise: int = 100,
        channels: int = 128,
        max_channels: int = 1024,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        self.n_noise, self.conditional = noise, conditional
        self.n_classes = known_classes(data, "conv_decoder") if conditional else 0
        n, height, width = pyramid(data)
        widths = [min(max_channels, channels * 2**level) for level in reversed(range(n))]
        self.base = (widths[0], height, width)
        self.project = nn.Linear(noise + self.n_classes, math.prod(self.base), bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[0]), nn.LeakyReLU(0.2)]
        for inside, outside in zip(widths, widths[1:], strict=False):
            layers += [
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv2d(inside, outside, 3, padding=1, bias=False),
            ]
            layers += [nn.BatchNorm2d(outside), nn.LeakyReLU(0.2)]
        layers += [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(widths[-1], data.channels, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        """Images of the latents, and of the classes if it is conditional."""
        if self.conditional:
            z_NZ = concat_classes(z_NZ, labels_N, self.n_classes)
        images_NCHW: torch.Tensor = self.layers(self.project(z_NZ).view(-1, *self.base))
        return images_NCHW.float().tanh()


class ConvEncoder(nn.Module):
    """Images (N, C, H, W) -> the mean and the log variance of q(z|x), side by side, (N, 2Z).

    4×4 convolutions of stride 2 down to the base (4×4), BatchNorm after all but the first, LeakyReLU 0.2, and a linear
    layer for both.

    Args:
        data: the images' shape: any base · 2^n, grey or colour; the classes, for a conditional one.
        noise: Z, the same as the generator's.
        channels: of the first level; each level below has twice as many.
        max_channels: at most this many.
        conditional: concatenate the label to the image, as K maps that are 0 or 1 all over: q(z|x, y) (Sohn 2015).
    """

    def __init__(
        self,
        data: DataInfo,
        noise: int = 100,
        channels: int = 128,
        max_channels: int = 1024,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        self.n_noise, self.conditional = noise, conditional
        self.n_classes = known_classes(data, "conv_encoder") if conditional else 0
        n, height, width = pyramid(data)
        widths = [min(max_channels, channels * 2**level) for level in range(n)]
        layers: list[nn.Module] = [nn.Conv2d(data.channels + self.n_classes, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for inside, outside in zip(widths, widths[1:], strict=False):
            layers += [nn.Conv2d(inside, outside, 4, 2, 1, bias=False), nn.BatchNorm2d(outside), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1] * height * width, 2 * noise)

    def forward(self, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        """μ and log σ², side by side, float32."""
        if self.conditional:
            images_NCHW = concat_class_planes(images_NCHW, labels_N, self.n_classes)
        both_N2Z: torch.Tensor = self.head(self.layers(images_NCHW).flatten(1))
        return both_N2Z.float()
