"""BigGAN's networks (Brock et al. 2019): residual, class-conditional, with self-attention and hierarchical latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.attention import SelfAttention
from adaptgan.networks.conditional import EmbeddedBatchNorm, required
from adaptgan.networks.labels import known_classes
from adaptgan.networks.layers import as_map, projection, pyramid
from adaptgan.networks.residual import DownBlock, Layers, UpBlock, widths
from adaptgan.networks.resnet import Positive


class BigGANGenerator(nn.Module):
    """z (N, Z) and classes (N,) -> images (N, C, H, W) in [-1, 1] (Brock 2019, figure 15 and table 4).

    z is cut into one chunk for the first linear layer and one for each block (hierarchical latents). A block's batch
    normalizations take gain and bias from [its chunk, e(y)], by linear layers without bias; e is one embedding that all
    blocks share. Spectral normalization of every layer but e; orthogonal first values; self-attention on one of the
    maps.

    Args:
        data: the images' shape, base · 2^n pixels, and the classes.
        noise: Z, shared out evenly.
        channels: of the last block, the one of full size; the paper's are 96.
        widest: coarser blocks double them with each halving, up to this many times.
        levels: n, how many blocks; None for as many as leave a base of at least 4 pixels.
        embedding: width of e(y).
        attention: shorter side of the map with self-attention; None for half the images', as the paper's 64 of 128; 0
            for none.
    """

    conditional = True

    def __init__(
        self,
        data: DataInfo,
        noise: Positive = 120,
        channels: Positive = 32,
        widest: Positive = 16,
        levels: int | None = None,
        embedding: Positive = 128,
        attention: Annotated[int, Field(ge=0)] | None = None,
    ) -> None:
        super().__init__()
        self.n_noise = noise
        levels, height, width = pyramid(data, levels, 1 if levels else 4)
        self.chunks = shares(noise, levels + 1)
        layers = Layers("orthogonal", spectral=True)
        self.embedding = Layers("orthogonal").embedding(known_classes(data, "biggan_generator"), embedding)
        coarse_to_fine = widths(levels, channels, widest)[::-1]
        inside = coarse_to_fine[0]
        self.linear = layers.linear(self.chunks[0], inside * height * width)
        self.base = (height, width, inside)
        seen = attention_level(data, levels, attention, "biggan_generator")
        self.blocks, self.attention = nn.ModuleList(), nn.ModuleList()
        for index, (outside, chunk) in enumerate(zip(coarse_to_fine, self.chunks[1:], strict=True)):
            self.blocks.append(UpBlock(inside, outside, layers, _norms(layers, chunk + embedding)))
            self.attention.append(attending(outside, layers) if levels - 1 - index == seen else nn.Identity())
            inside = outside
        self.norm = nn.BatchNorm2d(inside)
        self.to_image = layers.conv(inside, data.channels)

    def forward(self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        """Images of the latents and classes."""
        class_NE = self.embedding(required(labels_N, "biggan_generator"))
        first, *chunks = z_NZ.split(self.chunks, 1)
        x_NCHW = as_map(self.linear(first), self.base)
        for block, attention, chunk in zip(self.blocks, self.attention, chunks, strict=True):
            x_NCHW = attention(block(x_NCHW, torch.cat([chunk, class_NE], 1)))
        images_NCHW: torch.Tensor = self.to_image(self.norm(x_NCHW).relu_())
        return images_NCHW.float().tanh()


class BigGANDiscriminator(nn.Module):
    """Images (N, C, H, W), classes (N,) -> logits (N,), positive means real; with `features=True` also φ(x) (N, F).

    Residual blocks that halve the sides and one that does not, ReLU, the sum over all positions φ(x), and
    l = w·φ(x) + ⟨e(y), φ(x)⟩ (Brock 2019, figure 15 and table 4; Miyato & Koyama 2018). Spectral normalization of every
    layer, orthogonal first values, self-attention on one of the maps. No layer looks at more than one image.

    Args:
        data: the images' shape, base · 2^n pixels, and the classes.
        channels: of the first block; the paper's are 96.
        widest: later blocks double them with each halving, up to this many times.
        levels: n, how many blocks halve; None for as many as leave at least 4 pixels.
        attention: shorter side of the map with self-attention; None for half the images', as the paper's 64 of 128; 0
            for none.
    """

    by_batch = False
    conditional = "projection"

    def __init__(
        self,
        data: DataInfo,
        channels: Positive = 32,
        widest: Positive = 16,
        levels: int | None = None,
        attention: Annotated[int, Field(ge=0)] | None = None,
    ) -> None:
        super().__init__()
        levels, _, _ = pyramid(data, levels, 1 if levels else 4)
        seen = attention_level(data, levels, attention, "biggan_discriminator", halved=1)
        layers = Layers("orthogonal", spectral=True)
        inside = data.channels
        blocks: list[nn.Module] = []
        for level, outside in enumerate(widths(levels, channels, widest)):
            blocks.append(DownBlock(inside, outside, layers, first=level == 0, wide=True))
            if level + 1 == seen:
                blocks.append(attending(outside, layers))
            inside = outside
        self.blocks = nn.Sequential(*blocks, DownBlock(inside, inside, layers, down=False, wide=True))
        self.n_features = inside
        self.head = layers.linear(inside, 1)
        self.embedding = layers.embedding(known_classes(data, "biggan_discriminator"), inside)

    def forward(
        self, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None = None, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits (N,), and the features (N, F) when asked."""
        features_NF = self.blocks(images_NCHW).relu_().sum((2, 3))
        class_NF = self.embedding(required(labels_N, "biggan_discriminator"))
        logits_N = self.head(features_NF)[:, 0] + projection(class_NF, features_NF)
        return (logits_N, features_NF) if features else logits_N


def shares(total: int, parts: int) -> list[int]:
    """A total cut into parts that differ by one at most, larger ones first.

    Raises:
        ParamsError: there is not enough for all.
    """
    if total < parts:
        raise ParamsError(
            f"biggan_generator.noise: expected at least {parts}, one for the base and for each block; found {total}."
        )
    return [total // parts + (part < total % parts) for part in range(parts)]


def attention_level(data: DataInfo, levels: int, side: int | None, network: str, halved: int = 0) -> int | None:
    """How often the images are halved where the shorter side of the map is `side`; None for no attention.

    Args:
        data: the images' shape.
        levels: how often they are halved at the most.
        side: in pixels; None for half the images', 0 for no attention.
        network: its name, for the message.
        halved: how often they are halved at the least.

    Raises:
        ParamsError: no map has that side.
    """
    if side == 0:
        return None
    # The generator's coarsest block ends one level above its base.
    sides = {min(data.height, data.width) >> level: level for level in range(halved, levels + halved)}
    if side is None:
        return 1 if 1 in sides.values() else None
    if side not in sides:
        raise ParamsError(
            f"{network}.attention: expected the shorter side of one of its maps, {', '.join(map(str, sides))}, "
            f"or 0 for none; found {side}."
        )
    return sides[side]


def attending(channels: int, layers: Layers) -> SelfAttention:
    """Self-attention whose convolutions are made like the network's others."""
    return SelfAttention(channels, lambda inside, outside: layers.conv(inside, outside, 1, bias=False), pool=True)


def _norms(layers: Layers, inputs: int) -> Callable[[int], nn.Module]:
    """Makes conditional normalizations whose linear layers take so many inputs."""

    def norm(channels: int) -> EmbeddedBatchNorm:
        gain, bias = (layers.linear(inputs, channels, bias=False) for _ in range(2))
        return EmbeddedBatchNorm(channels, gain, bias)

    return norm
