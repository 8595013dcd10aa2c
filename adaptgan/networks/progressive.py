"""Progressive GAN's networks: all resolutions in one, faded in one after the other (Karras et al. 2018)."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.networks.equalized import EqualizedConv2d, EqualizedLinear, MinibatchStddev, PixelNorm
from adaptgan.networks.labels import concat_classes, known_classes, one_hot
from adaptgan.networks.layers import level_channels, pyramid

ROOT2 = math.sqrt(2)
"""He's gain, of layers before a LeakyReLU."""


class Growing(nn.Module):
    """A network whose resolutions are used one after the other, each of twice the size of the one before.

    `growth` g is a number in [0, n]: resolution ⌈g⌉ is the finest in use, and where g is no integer it is being faded
    in: α = g − ⌈g⌉ + 1. New networks are fully grown: g = n.

    The buffer `growth` is what a checkpoint and a saved model know; `level` repeats it for Python, so that no step
    waits for the device.

    Args:
        levels: n.
    """

    growth: torch.Tensor

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.register_buffer("growth", torch.tensor(float(levels)))
        self.level, self.fading = levels, False
        self.register_load_state_dict_post_hook(_grow_as_loaded)

    @property
    def growths(self) -> tuple[float, ...]:
        """Values of `growth` that between them use all the layers."""
        return (*(level + 0.5 for level in range(self.levels)), float(self.levels))

    @torch.no_grad()
    def grow(self, growth: float) -> None:
        """Use the resolutions up to g, which is clamped to [0, n]."""
        growth = min(max(growth, 0.0), float(self.levels))
        self.level = math.ceil(growth)
        self.fading = growth < self.level
        self.growth.fill_(growth)

    def blend(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """(1 − α) · coarse + α · fine, of equal shapes (figure 2)."""
        alpha = self.growth - (self.level - 1)
        return coarse + alpha.to(fine.dtype) * (fine - coarse)


class ProgressiveGenerator(Growing):
    """z (N, Z) -> images in [-1, 1] of the size that it has grown to; (N, C, H, W) when fully grown. Table 2:

        x = PixelNorm(z), dense to the base (4×4), then a 3×3 convolution
        for each resolution:  x = doubled by repeating, then two 3×3 convolutions
        images = tanh(conv1×1(x)), faded: conv1×1 of the resolution before, doubled, has the share 1 − α

    LeakyReLU 0.2 and pixel norm after all but the 1×1 convolutions, equalized learning rates in all. The tanh is ours:
    images end at −1 and 1.

    Args:
        data: the images' shape, any base · 2^n, grey or colour; the classes, for a conditional one.
        noise: Z.
        channels: of the coarsest layers, and the most of any.
        capacity: a layer of images with a shorter side of s has at most capacity / s channels.
        conditional: concatenate the label, one-hot, with z.
    """

    def __init__(
        self,
        data: DataInfo,
        noise: int = 512,
        channels: int = 512,
        capacity: int = 16384,
        conditional: bool = False,
    ) -> None:
        n, height, width = pyramid(data)
        super().__init__(n)
        self.n_noise, self.conditional = noise, conditional
        self.n_classes = known_classes(data, "progressive_generator") if conditional else 0
        widths = level_channels(min(height, width), n, channels, capacity)
        self.base = (widths[0], height, width)
        self.normalize = PixelNorm()
        self.project = EqualizedLinear(noise + self.n_classes, math.prod(self.base), gain=ROOT2)
        self.first = nn.Sequential(nn.LeakyReLU(0.2), PixelNorm(), *_activated(widths[0], widths[0]))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Upsample(scale_factor=2, mode="nearest"), *_activated(inside, outside), *_activated(outside, outside)
            )
            for inside, outside in zip(widths, widths[1:], strict=False)
        )
        self.to_image = nn.ModuleList(EqualizedConv2d(outside, data.channels, 1) for outside in widths)

    def forward(self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        """Images (N, C, h, w), h and w the base's · 2^level."""
        if self.conditional:
            z_NZ = concat_classes(z_NZ, labels_N, self.n_classes)
        x_NCHW = before_NCHW = self.first(self.project(self.normalize(z_NZ)).view(-1, *self.base))
        for block in list(self.blocks)[: self.level]:
            before_NCHW, x_NCHW = x_NCHW, block(x_NCHW)
        images_NCHW: torch.Tensor = self.to_image[self.level](x_NCHW).float()
        if self.fading:
            coarse_NCHW = doubled(self.to_image[self.level - 1](before_NCHW).float())
            images_NCHW = self.blend(coarse_NCHW, images_NCHW)
        return images_NCHW.tanh()


class ProgressiveDiscriminator(Growing):
    """Images -> logits (N,), positive means real; with `features=True` also the last hidden layer (N, F). Table 2:

        x = conv1×1(images), faded: conv1×1 of the images halved has the share 1 − α, one resolution further down
        for each resolution, the finest in use first:  x = two 3×3 convolutions, halved by averaging
        at the base (4×4):  minibatch standard deviation, a 3×3 convolution, two dense layers

    LeakyReLU 0.2 after all but the last, equalized learning rates in all. Images larger than what it has grown to are
    averaged down to that. Real and generated images must come in separate batches (`by_batch`).

    Args:
        data: the images' shape, any base · 2^n, grey or colour; the classes, for a conditional one.
        channels: of the coarsest layers, and the most of any.
        capacity: a layer of images with a shorter side of s has at most capacity / s channels.
        group: images of a group of the minibatch standard deviation.
        conditional: `projection`: the product of the last hidden layer with an embedding of the class is added to the
            logit (Miyato & Koyama 2018).
    """

    by_batch = True

    def __init__(
        self,
        data: DataInfo,
        channels: int = 512,
        capacity: int = 16384,
        group: int = 4,
        conditional: Literal["none", "projection"] = "none",
    ) -> None:
        n, height, width = pyramid(data)
        super().__init__(n)
        self.n_classes = known_classes(data, "progressive_discriminator") if conditional == "projection" else 0
        widths = level_channels(min(height, width), n, channels, capacity)
        self.height = height
        self.from_image = nn.ModuleList(
            nn.Sequential(EqualizedConv2d(data.channels, outside, 1, gain=ROOT2), nn.LeakyReLU(0.2))
            for outside in widths
        )
        # blocks[i] halves what has resolution i + 1.
        self.blocks = nn.ModuleList(
            nn.Sequential(*_activated(fine, fine, None), *_activated(fine, coarse, None), nn.AvgPool2d(2))
            for coarse, fine in zip(widths, widths[1:], strict=False)
        )
        self.n_features = widths[0]
        self.last = nn.Sequential(
            MinibatchStddev(group),
            *_activated(widths[0] + 1, widths[0], None),
            nn.Flatten(),
            EqualizedLinear(widths[0] * height * width, widths[0], gain=ROOT2),
            nn.LeakyReLU(0.2),
        )
        self.head = EqualizedLinear(widths[0], 1)
        self.embedding = EqualizedLinear(self.n_classes, widths[0], bias=False) if self.n_classes else None

    def forward(
        self, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None = None, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits (N,), and the features (N, F) when asked."""
        images_NCHW = halved(images_NCHW, images_NCHW.shape[2] // (self.height * 2**self.level))
        x_NCHW: torch.Tensor = self.from_image[self.level](images_NCHW)
        for level in range(self.level, 0, -1):
            x_NCHW = self.blocks[level - 1](x_NCHW)
            if self.fading and level == self.level:
                x_NCHW = self.blend(self.from_image[level - 1](halved(images_NCHW, 2)), x_NCHW)
        features_NF = self.last(x_NCHW)
        logits_N: torch.Tensor = self.head(features_NF)[:, 0]
        if self.embedding is not None:
            class_NF = self.embedding(one_hot(labels_N, self.n_classes))
            logits_N = logits_N + (class_NF * features_NF).sum(1) / math.sqrt(self.n_features)
        return (logits_N, features_NF) if features else logits_N


def doubled(images_NCHW: torch.Tensor) -> torch.Tensor:
    """Twice the sides: every pixel four times."""
    return F.interpolate(images_NCHW, scale_factor=2.0, mode="nearest")


def halved(images_NCHW: torch.Tensor, times: int) -> torch.Tensor:
    """Sides divided by `times`: the mean of every square of pixels."""
    return F.avg_pool2d(images_NCHW, times) if times > 1 else images_NCHW


def _activated(inside: int, outside: int, norm: type[nn.Module] | None = PixelNorm) -> list[nn.Module]:
    layers: list[nn.Module] = [EqualizedConv2d(inside, outside, 3, gain=ROOT2), nn.LeakyReLU(0.2)]
    return layers if norm is None else [*layers, norm()]


def _grow_as_loaded(network: nn.Module, _: Any) -> None:
    assert isinstance(network, Growing)
    network.grow(network.growth.item())
