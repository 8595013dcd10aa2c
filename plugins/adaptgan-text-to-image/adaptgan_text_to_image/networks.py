"""Generators and discriminators that take a text beside what they always took (Reed 2016; Zhang 2017)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.conditional import EmbeddedBatchNorm
from adaptgan.networks.layers import as_map, projection, pyramid, start_small
from adaptgan.networks.spectral import spectral_norm

Positive = Annotated[int, Field(ge=1)]
SLOPE = 0.2
"""Of the leaky ReLU behind a compressed text (Reed 2016, §4.1)."""


class TextGenerator(nn.Module):
    """z (N, Z) and a text (N, E) -> images (N, C, H, W) in [-1, 1].

    The text is compressed by a linear layer and a leaky ReLU and concatenated with z; DCGAN's generator makes the rest
    of it: projected to the base, then doubled by transposed 4×4 convolutions with batch normalization and ReLU until it
    has the images' size (Reed 2016, §4.1; Radford 2015).

    Args:
        data: the images' shape, base · 2^n pixels.
        text: E, the width of what it is told.
        compressed: width of the compressed text; the paper's is 128.
        noise: Z; the paper's is 100.
        channels: of the last hidden level, half the images' size; each level below has twice as many.
        modulation: `none`, the papers': the text enters at the base alone; `batch`: z and the text give every
            normalization its gains and biases too (Brock 2019).
        shrink: how many times smaller its images are than the data's, a power of 2: StackGAN's first stage.
    """

    def __init__(
        self,
        data: DataInfo,
        text: Positive = 128,
        compressed: Positive = 128,
        noise: Positive = 100,
        channels: Positive = 64,
        modulation: Literal["none", "batch"] = "none",
        shrink: Positive = 1,
    ) -> None:
        super().__init__()
        data = smaller(data, shrink)
        self.n_noise, self.text, self.size = noise, text, (data.height, data.width)
        levels, height, width = pyramid(data)
        coarse_to_fine = [channels * 2**level for level in reversed(range(levels))]
        self.base = (height, width, coarse_to_fine[0])
        self.linear = nn.Linear(noise + compressed, height * width * coarse_to_fine[0], bias=False)
        told = noise + compressed if modulation == "batch" else 0
        self.norms = nn.ModuleList([normalized(outside, told) for outside in coarse_to_fine])
        self.doubled = nn.ModuleList(
            [doubling(inside, outside) for inside, outside in zip(coarse_to_fine, coarse_to_fine[1:], strict=False)]
        )
        self.to_image = doubling(coarse_to_fine[-1], data.channels, bias=True)
        self.modulation = modulation
        start_small(self)
        self.compress = nn.Sequential(
            nn.Linear(text, compressed), nn.LeakyReLU(SLOPE)
        )  # small, it would be drowned by z

    def forward(self, z_NZ: torch.Tensor, text_NE: torch.Tensor) -> torch.Tensor:
        """Images of the texts."""
        told_NT = torch.cat([z_NZ, self.compress(text_NE)], 1)
        condition = (told_NT,) if self.modulation == "batch" else ()
        x_NCHW = self.norms[0](as_map(self.linear(told_NT), self.base), *condition).relu_()
        for double, norm in zip(self.doubled, self.norms[1:], strict=True):
            x_NCHW = norm(double(x_NCHW), *condition).relu_()
        images_NCHW: torch.Tensor = self.to_image(x_NCHW)
        return images_NCHW.float().tanh()


class TextRefiner(nn.Module):
    """Small images (N, C, H/s, W/s) and a text (N, E) -> images (N, C, H, W) in [-1, 1], s a power of 2.

    StackGAN's second stage (Zhang 2017, §3.4): the small image is encoded by strided convolutions to the base, the text
    is repeated at each of its positions and concatenated, residual blocks join the two, and the map is doubled to the
    full size. It takes no noise: that is in the small image.

    Args:
        data: the images' shape.
        text: E, the width of what it is told.
        enlarge: s, how many times smaller the images are that it is given; the paper's is 4 (64² to 256²).
        base: shorter side of the map where image and text meet; the paper's is 16.
        channels: of the maps of half the full size; each level below has twice as many.
        residual: blocks that join the two; the paper's are 4.
    """

    def __init__(
        self,
        data: DataInfo,
        text: Positive = 128,
        enlarge: Positive = 2,
        base: Positive = 8,
        channels: Positive = 64,
        residual: Positive = 2,
    ) -> None:
        super().__init__()
        given = smaller(data, enlarge)
        self.text, self.enlarge, self.given = text, enlarge, (given.height, given.width)
        down = halvings(given, base, "text_refiner")
        up = down + enlarge.bit_length() - 1
        fine_to_coarse = [channels * 2**level for level in range(up)]
        read, joined = fine_to_coarse[up - down - 1 :] if up > down else [channels, *fine_to_coarse], fine_to_coarse[-1]
        encoder: list[nn.Module] = [nn.Conv2d(data.channels, read[0], 3, padding=1), nn.ReLU()]
        for inside, outside in zip(read, read[1:], strict=False):
            encoder += [nn.Conv2d(inside, outside, 4, 2, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]
        self.encoder = nn.Sequential(*encoder)
        self.join = nn.Sequential(
            nn.Conv2d(read[-1] + text, joined, 3, padding=1, bias=False), nn.BatchNorm2d(joined), nn.ReLU()
        )
        self.residual = nn.Sequential(*[NormedResidual(joined) for _ in range(residual)])
        coarse_to_fine = fine_to_coarse[::-1]
        doubled: list[nn.Module] = []
        for inside, outside in zip(coarse_to_fine, coarse_to_fine[1:], strict=False):
            doubled += [doubling(inside, outside), nn.BatchNorm2d(outside), nn.ReLU()]
        self.doubled = nn.Sequential(*doubled, doubling(coarse_to_fine[-1], data.channels, bias=True))
        start_small(self)

    def forward(self, small_NChw: torch.Tensor, text_NE: torch.Tensor) -> torch.Tensor:
        """Large images of the small ones and their texts."""
        joined = self.residual(self.join(beside(self.encoder(small_NChw), text_NE)))
        images_NCHW: torch.Tensor = self.doubled(joined)
        return images_NCHW.float().tanh()


class TextDiscriminator(nn.Module):
    """Images (M, C, H, W) and texts (N, E) -> logits (N,), positive means a real image that the text fits.

    4×4 convolutions of stride 2 halve the image to the base; the compressed text is repeated at each of its positions
    and concatenated; a 1×1 convolution joins the two, and the last layer looks at the whole base (Reed 2016, §4.1). One
    image may be judged beside several texts and is looked at once.

    Args:
        data: the images' shape, base · 2^n pixels.
        text: E, the width of the texts.
        conditional: how text and image meet. `concat`, the papers': as told above; `projection`: the logit is
            w·f(x) + ⟨W φ(t), f(x)⟩, f(x) the whole base (Miyato & Koyama 2018).
        compressed: width of the compressed text, of `concat`; the paper's is 128.
        channels: of the first level; each level below has twice as many.
        norm: `batch`, the papers': batch normalization of all halved maps but the first, so that real and generated
            images must go through in separate batches; `spectral` normalizes every layer's weight instead (Miyato
            2018); `none`.
        shrink: how many times smaller its images are than the data's, a power of 2: StackGAN's first stage.
    """

    def __init__(
        self,
        data: DataInfo,
        text: Positive = 128,
        conditional: Literal["concat", "projection"] = "concat",
        compressed: Positive = 128,
        channels: Positive = 64,
        norm: Literal["batch", "spectral", "none"] = "batch",
        shrink: Positive = 1,
    ) -> None:
        super().__init__()
        data = smaller(data, shrink)
        self.text, self.size, self.by_batch = text, (data.height, data.width), norm == "batch"
        levels, height, width = pyramid(data)
        widths = [data.channels, *(channels * 2**level for level in range(levels))]
        halved: list[nn.Module] = []
        for inside, outside in zip(widths, widths[1:], strict=False):
            normalizes = [nn.BatchNorm2d(outside)] if self.by_batch and halved else []
            halved += [nn.Conv2d(inside, outside, 4, 2, 1), *normalizes, nn.LeakyReLU(SLOPE)]
        self.halved = nn.Sequential(*halved)
        self.conditional, features = conditional, widths[-1] * height * width
        if conditional == "concat":
            self.compress = nn.Sequential(nn.Linear(text, compressed), nn.LeakyReLU(SLOPE))
            self.join = nn.Sequential(nn.Conv2d(widths[-1] + compressed, widths[-1], 1), nn.LeakyReLU(SLOPE))
        else:
            self.expected = nn.Linear(text, features, bias=False)
        self.head = nn.Linear(features, 1)
        start_small(self)
        if norm == "spectral":
            for layer in [one for one in self.modules() if isinstance(one, nn.Conv2d | nn.Linear)]:
                spectral_norm(layer)

    def forward(
        self, images_MCHW: torch.Tensor, text_NE: torch.Tensor, rows_N: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits (N,).

        Args:
            images_MCHW: in [-1, 1].
            text_NE: texts.
            rows_N: which image each text is judged beside, int64; one to one without.
        """
        seen_MFhw = self.halved(images_MCHW)
        seen_NFhw = seen_MFhw if rows_N is None else seen_MFhw[rows_N]
        if self.conditional == "projection":
            seen_NF = seen_NFhw.flatten(1)
            logits_N: torch.Tensor = self.head(seen_NF)[:, 0] + projection(self.expected(text_NE), seen_NF)
        else:
            logits_N = self.head(self.join(beside(seen_NFhw, self.compress(text_NE))).flatten(1))[:, 0]
        return logits_N.float()


class NormedResidual(nn.Module):
    """relu(x + bn(conv(relu(bn(conv(x)))))), 3×3 (Zhang 2017, §3.5). (N, C, H, W) -> the same.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Same shape as given."""
        y_NCHW = self.norms[0](self.first(x_NCHW)).relu_()
        joined: torch.Tensor = x_NCHW + self.norms[1](self.second(y_NCHW))
        return joined.relu()


def beside(map_NCHW: torch.Tensor, text_NE: torch.Tensor) -> torch.Tensor:
    """A map with a text repeated at each of its positions behind its channels, (N, C + E, H, W)."""
    text_NEHW = text_NE.to(map_NCHW.dtype)[:, :, None, None].expand(-1, -1, *map_NCHW.shape[2:])
    return torch.cat([map_NCHW, text_NEHW], 1)


def doubling(inside: int, outside: int, bias: bool = False) -> nn.Module:
    """A transposed 4×4 convolution of stride 2, (N, I, H, W) -> (N, O, 2H, 2W)."""
    return nn.ConvTranspose2d(inside, outside, 4, 2, 1, bias=bias)


def normalized(channels: int, told: int) -> nn.Module:
    """Batch normalization, whose gains and biases a vector of so many numbers gives if there is one."""
    if not told:
        return nn.BatchNorm2d(channels)
    gain, bias = (nn.Linear(told, channels, bias=False) for _ in range(2))
    return EmbeddedBatchNorm(channels, gain, bias)


def smaller(data: DataInfo, times: int) -> DataInfo:
    """The same images, so many times smaller.

    Raises:
        ParamsError: that is no power of 2, or no whole number of pixels.
    """
    if times & (times - 1) or data.height % times or data.width % times:
        raise ParamsError(
            f"images of {data.height}×{data.width} pixels cannot be {times} times smaller; give a power of 2 that "
            "divides both."
        )
    return replace(data, height=data.height // times, width=data.width // times)


def halvings(data: DataInfo, base: int, network: str) -> int:
    """How often images are halved until their shorter side is `base`.

    Raises:
        ParamsError: they never have that side.
    """
    side, times = min(data.height, data.width), 0
    while side > base and data.height % 2 ** (times + 1) == 0 and data.width % 2 ** (times + 1) == 0:
        side, times = side // 2, times + 1
    if side != base or not times:
        raise ParamsError(
            f"{network}.base: images of {data.height}×{data.width} pixels cannot be halved to a shorter side of "
            f"{base}. Give a half, a quarter, … of {min(data.height, data.width)}."
        )
    return times
