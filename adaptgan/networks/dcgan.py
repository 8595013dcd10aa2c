"""DCGAN's networks: strided convolutions both ways, no pooling, no hidden dense layer (Radford et al. 2015)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.networks.labels import concat_class_planes, concat_classes, known_classes
from adaptgan.networks.layers import pyramid, start_small

SLOPE = 0.2
"""Of the discriminator's LeakyReLU."""


class DCGANGenerator(nn.Module):
    """z (N, Z) -> images (N, C, H, W) in [-1, 1]: projected to the base, then doubled until it has the images' size.

    Figure 1 of Radford 2015: a linear layer gives `channels`·2^(n−1) maps of base size (4×4); each transposed 4×4
    convolution of stride 2 doubles the sides and halves the channels. BatchNorm and ReLU after all but the last, tanh
    at the end. Weights start from N(0, 0.02), BatchNorm's scales from N(1, 0.02).

    Args:
        data: the images' shape: any base · 2^n, grey or colour; the classes, for a conditional one.
        noise: Z.
        channels: of the last hidden level; each level below has twice as many.
        max_channels: at most this many.
        norm: `none` leaves BatchNorm out.
        upsample: `transposed`, the paper's, or `nearest`: neighbours repeated, then a 3×3 convolution, which leaves no
            checkerboard (Odena 2016).
        conditional: concatenate the label, one-hot, with z (Mirza & Osindero 2014).
    """

    def __init__(
        self,
        data: DataInfo,
        noise: int = 100,
        channels: int = 128,
        max_channels: int = 1024,
        norm: Literal["batch", "none"] = "batch",
        upsample: Literal["transposed", "nearest"] = "transposed",
        conditional: bool = False,
    ) -> None:
        super().__init__()
        self.n_noise, self.conditional = noise, conditional
        self.n_classes = known_classes(data, "dcgan_generator") if conditional else 0
        n, height, width = pyramid(data)
        # From the base up: widest first.
        widths = [min(max_channels, channels * 2**level) for level in reversed(range(n))]
        self.base = (widths[0], height, width)
        bias = norm == "none"
        self.project = nn.Linear(noise + self.n_classes, widths[0] * height * width, bias=bias)
        layers = _activated(widths[0], norm, nn.ReLU())
        for inside, outside in zip(widths, widths[1:], strict=False):
            layers += [*_doubled(inside, outside, upsample, bias), *_activated(outside, norm, nn.ReLU())]
        self.layers = nn.Sequential(*layers, *_doubled(widths[-1], data.channels, upsample, bias=True))
        start_small(self)

    def forward(self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        """Images of the latents, and of the classes if it is conditional."""
        if self.conditional:
            z_NZ = concat_classes(z_NZ, labels_N, self.n_classes)
        images_NCHW: torch.Tensor = self.layers(self.project(z_NZ).view(-1, *self.base))
        return images_NCHW.float().tanh()


class DCGANDiscriminator(nn.Module):
    """Images (N, C, H, W) -> logits (N,), positive means real; with `features=True` also the last hidden layer (N, F).

    4×4 convolutions of stride 2 down to the base (4×4), LeakyReLU 0.2, BatchNorm after all but the first; the last
    layer looks at the whole base. Weights start from N(0, 0.02), BatchNorm's scales from N(1, 0.02).

    Args:
        data: the images' shape: any base · 2^n, grey or colour; the classes, for a conditional one.
        channels: of the first level; each level below has twice as many.
        max_channels: at most this many.
        norm: `batch`, the paper's; `instance` normalizes each image by itself; gradient penalties need one of the
            other two, because a batch's statistics tie its images together (Gulrajani 2017, §4).
        conditional: `concat` concatenates the label to the image, as K maps that are 0 or 1 all over; `projection`
            adds the inner product of the features and a vector of the class to the logit (Miyato & Koyama 2018).
    """

    def __init__(
        self,
        data: DataInfo,
        channels: int = 128,
        max_channels: int = 1024,
        norm: Literal["batch", "instance", "none"] = "batch",
        conditional: Literal["none", "concat", "projection"] = "none",
    ) -> None:
        super().__init__()
        self.by_batch = norm == "batch"
        self.conditional = conditional
        self.n_classes = known_classes(data, "dcgan_discriminator") if conditional != "none" else 0
        n, height, width = pyramid(data)
        widths = [min(max_channels, channels * 2**level) for level in range(n)]
        channels_in = data.channels + (self.n_classes if conditional == "concat" else 0)
        layers: list[nn.Module] = [nn.Conv2d(channels_in, widths[0], 4, 2, 1), nn.LeakyReLU(SLOPE)]
        for inside, outside in zip(widths, widths[1:], strict=False):
            # What follows subtracts the mean, and a bias with it.
            layers += [
                nn.Conv2d(inside, outside, 4, 2, 1, bias=norm == "none"),
                *_activated(outside, norm, nn.LeakyReLU(SLOPE)),
            ]
        self.layers = nn.Sequential(*layers)
        self.n_features = widths[-1] * height * width
        self.head = nn.Linear(self.n_features, 1)
        self.classes = nn.Embedding(self.n_classes, self.n_features) if conditional == "projection" else None
        start_small(self)

    def forward(
        self, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None = None, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits (N,), and the features (N, F) when asked."""
        if self.conditional == "concat":
            images_NCHW = concat_class_planes(images_NCHW, labels_N, self.n_classes)
        features_NF = self.layers(images_NCHW).flatten(1)
        logits_N: torch.Tensor = self.head(features_NF)[:, 0]
        if self.classes is not None:
            logits_N = logits_N + (self.classes(labels_N) * features_NF).float().sum(1)
        return (logits_N, features_NF) if features else logits_N


def _activated(channels: int, norm: str, activation: nn.Module) -> list[nn.Module]:
    if norm == "none":
        return [activation]
    if norm == "batch":
        return [nn.BatchNorm2d(channels), activation]
    return [nn.InstanceNorm2d(channels, affine=True), activation]


def _doubled(inside: int, outside: int, upsample: str, bias: bool) -> list[nn.Module]:
    """Twice the sides."""
    if upsample == "transposed":
        return [nn.ConvTranspose2d(inside, outside, 4, 2, 1, bias=bias)]
    return [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(inside, outside, 3, padding=1, bias=bias)]
