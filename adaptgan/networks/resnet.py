"""Residual generator and discriminator (Miyato et al. 2018), made conditional (Miyato & Koyama 2018)."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.networks.conditional import ClassBatchNorm, required
from adaptgan.networks.labels import known_classes
from adaptgan.networks.layers import as_map, projection, pyramid
from adaptgan.networks.residual import DownBlock, Layers, UpBlock, widths

Positive = Annotated[int, Field(ge=1)]


class ResNetGenerator(nn.Module):
    """z (N, Z) -> images (N, C, H, W) in [-1, 1]: linear, residual blocks that each double the sides, BN, ReLU, tanh.

    The generators of Miyato 2018, tables 4 and 5: on 32² images `channels: 256`, on 128² ones `channels: 64, widest:
    16`. With `conditional`, each block's batch normalization has a gain and bias per class (Miyato & Koyama 2018).

    Args:
        data: the images' shape, base · 2^n pixels; the classes, for a conditional one.
        noise: Z.
        channels: of the last block, the one of full size.
        widest: coarser blocks double them with each halving, up to this many times; 1 keeps all alike.
        levels: n, how many blocks; None for as many as leave a base of at least 4 pixels.
        conditional: gains and biases per class.
    """

    def __init__(
        self,
        data: DataInfo,
        noise: Positive = 128,
        channels: Positive = 64,
        widest: Positive = 1,
        levels: int | None = None,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        self.n_noise, self.conditional = noise, conditional
        norm = partial(ClassBatchNorm, n_classes=known_classes(data, "resnet_generator")) if conditional else None
        levels, height, width = pyramid(data, levels, 1 if levels else 4)
        coarse_to_fine = widths(levels, channels, widest)[::-1]
        layers, inside = Layers(), coarse_to_fine[0]
        self.linear = layers.linear(noise, inside * height * width)
        self.base = (height, width, inside)
        self.blocks = nn.ModuleList()
        for outside in coarse_to_fine:
            self.blocks.append(UpBlock(inside, outside, layers, norm or nn.BatchNorm2d))
            inside = outside
        self.norm = nn.BatchNorm2d(inside)
        self.to_image = layers.conv(inside, data.channels)

    def forward(self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        """Images of the latents; of the classes too if it is conditional."""
        condition = (required(labels_N, "resnet_generator"),) if self.conditional else ()
        x_NCHW = as_map(self.linear(z_NZ), self.base)
        for block in self.blocks:
            x_NCHW = block(x_NCHW, *condition)
        images_NCHW: torch.Tensor = self.to_image(self.norm(x_NCHW).relu_())
        return images_NCHW.float().tanh()


class ResNetDiscriminator(nn.Module):
    """Images (N, C, H, W) -> logits (N,), positive means real; with `features=True` also φ(x) (N, F).

    The discriminators of Miyato 2018, tables 4 and 5: residual blocks that halve the sides, some that do not, ReLU,
    the sum over all positions φ(x), a linear layer. On 32² images the paper has `channels: 128, levels: 2, flat: 2`, on
    128² ones `channels: 64, widest: 16`. No layer looks at more than one image.

    Args:
        data: the images' shape, base · 2^n pixels; the classes, for a conditional one.
        channels: of the first block.
        widest: later blocks double them with each halving, up to this many times; 1 keeps all alike.
        levels: n, how many blocks halve; None for as many as leave at least 4 pixels.
        flat: blocks after them that keep the size.
        conditional: `projection` adds ⟨e(y), φ(x)⟩ to the logits (Miyato & Koyama 2018, eq. 4).
        spectral_normalization: of every layer.
    """

    by_batch = False

    def __init__(
        self,
        data: DataInfo,
        channels: Positive = 64,
        widest: Positive = 1,
        levels: int | None = None,
        flat: Annotated[int, Field(ge=0)] = 1,
        conditional: Literal["none", "projection"] = "none",
        spectral_normalization: bool = True,
    ) -> None:
        super().__init__()
        self.conditional = conditional
        layers = Layers(spectral=spectral_normalization)
        levels, _, _ = pyramid(data, levels, 1 if levels else 4)
        fine_to_coarse = widths(levels, channels, widest)
        inside = data.channels
        blocks: list[nn.Module] = []
        for outside in fine_to_coarse:
            blocks.append(DownBlock(inside, outside, layers, first=not blocks))
            inside = outside
        blocks += [DownBlock(inside, inside, layers, down=False) for _ in range(flat)]
        self.blocks = nn.Sequential(*blocks)
        self.n_features = inside
        self.head = layers.linear(inside, 1)
        self.embedding: nn.Module | None = None
        if conditional == "projection":
            self.embedding = layers.embedding(known_classes(data, "resnet_discriminator"), inside)

    def forward(
        self, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None = None, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits (N,), and the features (N, F) when asked."""
        features_NF = self.blocks(images_NCHW).relu_().sum((2, 3))
        logits_N = self.head(features_NF)[:, 0]
        if self.embedding is not None:
            logits_N = logits_N + projection(self.embedding(required(labels_N, "resnet_discriminator")), features_NF)
        return (logits_N, features_NF) if features else logits_N
