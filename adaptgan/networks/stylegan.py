"""StyleGAN's networks: a style-based generator with adaptive instance normalization (Karras et al. 2019)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.networks.equalized import EqualizedConv2d, EqualizedLinear, MinibatchStddev
from adaptgan.networks.fir import DownConv, UpConv
from adaptgan.networks.labels import known_classes
from adaptgan.networks.layers import level_channels, pyramid
from adaptgan.networks.styles import Mapping, Noise, StyleGenerator


class StyleGANGenerator(StyleGenerator):
    """z (N, Z) -> w -> images (N, C, H, W) in [-1, 1]. Figure 1b of Karras 2019:

        w = f(z);  x = a learned constant of the base's size (4×4)
        twice for each resolution:  x = conv3×3(x), first doubled in size from the second resolution on
                                    x = AdaIN(LeakyReLU(x + B · noise), A w)
        images = tanh(conv1×1(x))

    The constant takes the place of the very first convolution. The paper grows both networks from 8×8; here all
    resolutions learn from the start. Its authors gave growing up for what it leaves in images (Karras 2020, §4); who
    wants it finds it in `progressive_gan`. The tanh is ours: images end at −1 and 1.

    Args:
        data: the images' shape, any base · 2^n, grey or colour; the classes, for a conditional one.
        noise: Z.
        styles: W, width of the mapping network.
        mapping_layers: its depth.
        mapping_rate: its learning rate as a share of the other layers'.
        channels: of the coarsest layers, and the most of any.
        capacity: a layer of images with a shorter side of s has at most capacity / s channels.
        conditional: concatenate an embedding of the class with z in the mapping network.
    """

    component = "stylegan_generator"

    def __init__(
        self,
        data: DataInfo,
        noise: int = 512,
        styles: int = 512,
        mapping_layers: int = 8,
        mapping_rate: float = 0.01,
        channels: int = 512,
        capacity: int = 16384,
        conditional: bool = False,
    ) -> None:
        super().__init__(data, noise, styles, mapping_layers, mapping_rate, channels, capacity, conditional)
        self.constant = nn.Parameter(torch.ones(1, self.widths[0], *self.sizes[0]))
        self.layers = nn.ModuleList()
        for level, (outside, size) in enumerate(zip(self.widths, self.sizes, strict=True)):
            first = UpConv(self.widths[level - 1], outside, gain=math.sqrt(2)) if level else None
            second = EqualizedConv2d(outside, outside, 3, bias=False, gain=math.sqrt(2))
            self.layers += [StyledLayer(first, outside, size, styles), StyledLayer(second, outside, size, styles)]
        self.n_styles = len(self.layers)
        self.to_image = EqualizedConv2d(self.widths[-1], data.channels, 1)

    def synthesize(self, styles_NLW: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W) in [-1, 1] of the styles (N, L, W)."""
        x_NCHW = self.constant.expand(len(styles_NLW), -1, -1, -1)
        for layer, w_NW in zip(self.layers, styles_NLW.unbind(1), strict=True):
            x_NCHW = layer(x_NCHW, w_NW)
        images_NCHW: torch.Tensor = self.to_image(x_NCHW)
        return images_NCHW.float().tanh()


class StyledLayer(nn.Module):
    """AdaIN(LeakyReLU(conv(x) + B · noise + b), A w).

    Args:
        conv: without a bias; None for the layer that begins with the constant.
        channels: that it gives.
        size: height and width that it gives.
        styles: W.
    """

    def __init__(self, conv: nn.Module | None, channels: int, size: tuple[int, int], styles: int) -> None:
        super().__init__()
        self.conv = conv
        self.noise = Noise(*size, strengths=channels)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.style = EqualizedLinear(styles, 2 * channels)

    def forward(self, x_NCHW: torch.Tensor, w_NW: torch.Tensor) -> torch.Tensor:
        """Features (N, channels, *size)."""
        if self.conv is not None:
            x_NCHW = self.conv(x_NCHW)
        x_NCHW = F.leaky_relu(self.noise(x_NCHW) + self.bias.to(x_NCHW.dtype), 0.2)
        scale_NC, shift_NC = self.style(w_NW).chunk(2, dim=1)
        return adaptive_instance_norm(x_NCHW, 1 + scale_NC, shift_NC)


def adaptive_instance_norm(
    x_NCHW: torch.Tensor, scale_NC: torch.Tensor, shift_NC: torch.Tensor, epsilon: float = 1e-8
) -> torch.Tensor:
    """AdaIN(x, y) = y_s (x − μ(x)) / σ(x) + y_b, each map by itself (Huang & Belongie 2017; Karras 2019, eq. 1)."""
    # One group for each map; several times faster than the statistics by themselves.
    normal_NCHW = F.group_norm(x_NCHW.float(), x_NCHW.shape[1], eps=epsilon)
    result = normal_NCHW * scale_NC.float()[:, :, None, None] + shift_NC.float()[:, :, None, None]
    return result.to(x_NCHW.dtype)


class StyleGANDiscriminator(nn.Module):
    """Images (N, C, H, W) -> logits (N,), positive means real; with `features=True` also the last hidden layer (N, F).

    That of Karras 2018 with filtered downsampling (Karras 2019, §2): a 1×1 convolution, two 3×3 ones for each
    resolution, the second of which halves it, LeakyReLU 0.2; at the base (4×4) the minibatch standard deviation, a 3×3
    convolution and two dense layers. Real and generated images must come in separate batches (`by_batch`).

    Args:
        data: the images' shape, any base · 2^n, grey or colour; the classes, for a conditional one.
        channels: of the coarsest layers, and the most of any.
        capacity: a layer of images with a shorter side of s has at most capacity / s channels.
        group: images of a group of the minibatch standard deviation.
        conditional: `projection`: the logit is the product of the last hidden layer, through a dense one, with a
            mapping of the class (Miyato & Koyama 2018; Karras 2020a, appendix C).
    """

    by_batch = True
    component = "stylegan_discriminator"

    def __init__(
        self,
        data: DataInfo,
        channels: int = 512,
        capacity: int = 16384,
        group: int = 4,
        conditional: Literal["none", "projection"] = "none",
    ) -> None:
        super().__init__()
        classes = known_classes(data, self.component) if conditional == "projection" else 0
        self.conditional = bool(classes)
        n, height, width = pyramid(data)
        widths = level_channels(min(height, width), n, channels, capacity)[::-1]
        activation = nn.LeakyReLU(0.2)
        self.from_image = nn.Sequential(EqualizedConv2d(data.channels, widths[0], 1, gain=math.sqrt(2)), activation)
        blocks = (self.block(inside, outside) for inside, outside in zip(widths, widths[1:], strict=False))
        self.blocks = nn.Sequential(*blocks)
        self.base = nn.Sequential(
            MinibatchStddev(group),
            EqualizedConv2d(widths[-1] + 1, widths[-1], 3, gain=math.sqrt(2)),
            activation,
            nn.Flatten(),
            EqualizedLinear(widths[-1] * height * width, widths[-1], gain=math.sqrt(2)),
            activation,
        )
        self.n_features = widths[-1]
        self.head = ClassHead(widths[-1], classes)

    def block(self, inside: int, outside: int) -> nn.Module:
        """One resolution."""
        first = EqualizedConv2d(inside, inside, 3, gain=math.sqrt(2))
        second = DownConv(inside, outside, gain=math.sqrt(2))
        return nn.Sequential(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2))

    def forward(
        self, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None = None, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits (N,), and the last hidden layer (N, F) when asked."""
        features_NF: torch.Tensor = self.base(self.blocks(self.from_image(images_NCHW)))
        logits_N = self.head(features_NF, labels_N)
        return (logits_N, features_NF) if features else logits_N


class ClassHead(nn.Module):
    """Features (N, F) -> logits (N,): a dense layer, or its product with a mapping of the class over √F.

    Args:
        features: F.
        classes: K; 0 for a dense layer alone.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.dense = EqualizedLinear(features, features if classes else 1)
        self.mapping = Mapping(0, features, classes=classes) if classes else None

    def forward(self, features_NF: torch.Tensor, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        """The logits."""
        outputs: torch.Tensor = self.dense(features_NF).float()
        if self.mapping is None:
            return outputs[:, 0]
        class_NF: torch.Tensor = self.mapping(None, labels_N)
        return (outputs * class_NF).sum(1) / math.sqrt(outputs.shape[1])
