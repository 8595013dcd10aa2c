"""StyleGAN2's networks: modulated convolutions, skip connections in G, residual ones in D (Karras et al. 2020)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.networks.equalized import EqualizedConv2d, EqualizedLinear
from adaptgan.networks.fir import FIR, DownConv, convolved_up
from adaptgan.networks.stylegan import StyleGANDiscriminator
from adaptgan.networks.styles import Noise, StyleGenerator


class StyleGAN2Generator(StyleGenerator):
    """z (N, Z) -> w -> images (N, C, H, W) in [-1, 1]. Figures 2c and 7b of Karras 2020:

        w = f(z);  x = a learned constant of the base's size (4×4)
        at the base:                 x = layer(x, w);                            image = to_image(x, w)
        for each further resolution: x = layer(layer(double(x), w), w);          image = up(image) + to_image(x, w)
        layer: a modulated 3×3 convolution, + B · noise + b, LeakyReLU 0.2 · √2
        images = tanh(image)

    Doubling is a transposed convolution and the filter [1, 3, 3, 1]. The tanh is ours: images end at −1 and 1.

    Args:
        data: the images' shape, any base · 2^n, grey or colour; the classes, for a conditional one.
        noise: Z.
        styles: W, width of the mapping network.
        mapping_layers: its depth.
        mapping_rate: its learning rate as a share of the other layers'.
        channels: of the coarsest layers, and the most of any.
        capacity: a layer of images with a shorter side of s has at most capacity / s channels; 32768 is the paper's
            configuration F, 16384 its E.
        fused: scale the weights for each image and convolve in groups, as the paper writes it, instead of scaling the
            activations before and after; the same images, but slower in training.
        conditional: concatenate an embedding of the class with z in the mapping network (Karras 2020a).
    """

    component = "stylegan2_generator"

    def __init__(
        self,
        data: DataInfo,
        noise: int = 512,
        styles: int = 512,
        mapping_layers: int = 8,
        mapping_rate: float = 0.01,
        channels: int = 512,
        capacity: int = 32768,
        fused: bool = False,
        conditional: bool = False,
    ) -> None:
        super().__init__(data, noise, styles, mapping_layers, mapping_rate, channels, capacity, conditional)
        self.constant = nn.Parameter(torch.randn(1, self.widths[0], *self.sizes[0]))
        self.fir = FIR()
        self.layers, self.to_image = nn.ModuleList(), nn.ModuleList()
        for level, (outside, size) in enumerate(zip(self.widths, self.sizes, strict=True)):
            if level:
                self.layers.append(StyledConv(self.widths[level - 1], outside, size, styles, up=True, fused=fused))
            self.layers.append(StyledConv(outside, outside, size, styles, fused=fused))
            self.to_image.append(ToImage(outside, data.channels, styles, fused=fused))
        # The last style is that of the last `to_image` alone; the others' share the next layer's.
        self.n_styles = len(self.layers) + 1

    def synthesize(self, styles_NLW: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W) in [-1, 1] of the styles (N, L, W)."""
        styles = styles_NLW.unbind(1)
        x_NCHW = self.constant.expand(len(styles_NLW), -1, -1, -1)
        x_NCHW = self.layers[0](x_NCHW, styles[0])
        image_NCHW = self.to_image[0](x_NCHW, styles[1]).float()
        for level in range(1, len(self.to_image)):
            for index in (2 * level - 1, 2 * level):
                x_NCHW = self.layers[index](x_NCHW, styles[index])
            image_NCHW = self.fir.up(image_NCHW) + self.to_image[level](x_NCHW, styles[2 * level + 1]).float()
        images_NCHW: torch.Tensor = image_NCHW.tanh()
        return images_NCHW


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by a style, and its outputs back to unit variance.

        w′_oik = s_i · w_oik        d_o = (Σ_ik w′_oik² + ε)^−½        y = d ⊙ (w ∗ (s ⊙ x))        s = A w

    Karras 2020, eq. 1–3. Scaling the activations is the same as scaling the weights, and leaves one convolution for
    the whole batch. The factors are computed in float32.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: side of the kernel, odd.
        styles: W.
        demodulate: whether there is d.
        up: double the size (the kernel is 3×3 then).
        fused: scale the weights instead, one grouped convolution with each image's own.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        styles: int,
        demodulate: bool = True,
        up: bool = False,
        fused: bool = False,
    ) -> None:
        super().__init__()
        self.conv = EqualizedConv2d(inputs, outputs, kernel, bias=False)
        self.style = EqualizedLinear(styles, inputs, start=1.0)
        self.demodulate, self.fused = demodulate, fused
        self.fir = FIR() if up else None

    def forward(self, x_NIHW: torch.Tensor, w_NW: torch.Tensor) -> torch.Tensor:
        """Features (N, outputs, H, W), or twice the size."""
        weight_OIkk = self.conv.weight * self.conv.scale
        with torch.autocast(x_NIHW.device.type, enabled=False):
            scale_NI = self.style(w_NW.to(weight_OIkk.dtype))
            factor_NO = demodulation(weight_OIkk, scale_NI) if self.demodulate else None
        if self.fused:
            return self._fused(x_NIHW, weight_OIkk, scale_NI, factor_NO)
        y_NOHW = self._convolved(x_NIHW * scale_NI[:, :, None, None].to(x_NIHW.dtype), weight_OIkk)
        return y_NOHW if factor_NO is None else y_NOHW * factor_NO[:, :, None, None].to(y_NOHW.dtype)

    def _convolved(self, x_NIHW: torch.Tensor, weight_OIkk: torch.Tensor) -> torch.Tensor:
        if self.fir is not None:
            return convolved_up(x_NIHW, weight_OIkk, self.fir)
        return F.conv2d(x_NIHW, weight_OIkk, padding=self.conv.padding)

    def _fused(
        self,
        x_NIHW: torch.Tensor,
        weight_OIkk: torch.Tensor,
        scale_NI: torch.Tensor,
        factor_NO: torch.Tensor | None,
    ) -> torch.Tensor:
        count, inputs, height, width = x_NIHW.shape
        weight_NOIkk = weight_OIkk * scale_NI[:, None, :, None, None]
        if factor_NO is not None:
            weight_NOIkk = weight_NOIkk * factor_NO[:, :, None, None, None]
        x_1GHW = x_NIHW.reshape(1, count * inputs, height, width)
        if self.fir is None:
            y = F.conv2d(x_1GHW, weight_NOIkk.flatten(0, 1), padding=self.conv.padding, groups=count)
        else:
            y = F.conv_transpose2d(x_1GHW, weight_NOIkk.transpose(1, 2).flatten(0, 1), stride=2, groups=count)
        y_NOHW = y.view(count, -1, *y.shape[2:])
        return y_NOHW if self.fir is None else self.fir.blur(y_NOHW, self.fir.taps // 2 - 1, gain=4)


def demodulation(weight_OIkk: torch.Tensor, scale_NI: torch.Tensor, epsilon: float = 1e-8) -> torch.Tensor:
    """Factors d (N, O) = (Σ_ik (s_i w_oik)² + ε)^−½: variance 1 in, variance 1 out (Karras 2020, eq. 3)."""
    return (scale_NI.square() @ weight_OIkk.square().sum((2, 3)).t() + epsilon).rsqrt()


class StyledConv(nn.Module):
    """A modulated 3×3 convolution, noise, a bias, LeakyReLU with a gain of √2.

    Args:
        inputs: channels.
        outputs: channels.
        size: height and width that it gives.
        styles: W.
        up: double the size.
        fused: see `ModulatedConv`.
    """

    def __init__(
        self, inputs: int, outputs: int, size: tuple[int, int], styles: int, up: bool = False, fused: bool = False
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, styles, up=up, fused=fused)
        self.noise = Noise(*size)
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, x_NCHW: torch.Tensor, w_NW: torch.Tensor) -> torch.Tensor:
        """Features (N, outputs, *size)."""
        y_NCHW = self.noise(self.conv(x_NCHW, w_NW))
        return F.leaky_relu(y_NCHW + self.bias.to(y_NCHW.dtype), 0.2) * math.sqrt(2)


class ToImage(nn.Module):
    """Features to colours: a modulated 1×1 convolution without demodulation, and a bias.

    Args:
        inputs: channels.
        outputs: the image's channels.
        styles: W.
        fused: see `ModulatedConv`.
    """

    def __init__(self, inputs: int, outputs: int, styles: int, fused: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 1, styles, demodulate=False, fused=fused)
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, x_NCHW: torch.Tensor, w_NW: torch.Tensor) -> torch.Tensor:
        """This resolution's share of the image."""
        y_NCHW: torch.Tensor = self.conv(x_NCHW, w_NW)
        return y_NCHW + self.bias.to(y_NCHW.dtype)


class StyleGAN2Discriminator(StyleGANDiscriminator):
    """Images (N, C, H, W) -> logits (N,), positive means real; with `features=True` also the last hidden layer (N, F).

    As `stylegan_discriminator`, but each resolution is a residual block (Karras 2020, figure 7c). Real and generated
    images must come in separate batches (`by_batch`): it has the minibatch standard deviation.

    Args:
        data: the images' shape, any base · 2^n, grey or colour; the classes, for a conditional one.
        channels: of the coarsest layers, and the most of any.
        capacity: a layer of images with a shorter side of s has at most capacity / s channels.
        group: images of a group of the minibatch standard deviation.
        conditional: `projection`: the logit is the product of the last hidden layer, through a dense one, with a
            mapping of the class (Miyato & Koyama 2018; Karras 2020a, appendix C).
    """

    component = "stylegan2_discriminator"

    def __init__(
        self,
        data: DataInfo,
        channels: int = 512,
        capacity: int = 32768,
        group: int = 4,
        conditional: Literal["none", "projection"] = "none",
    ) -> None:
        super().__init__(data, channels, capacity, group, conditional)

    def block(self, inside: int, outside: int) -> nn.Module:
        """One resolution."""
        return ResidualDown(inside, outside)


class ResidualDown(nn.Module):
    """(two 3×3 convolutions, the second to half the size + a filtered 1×1 one) / √2. (N, outside, H/2, W/2).

    Args:
        inside: channels.
        outside: channels.
    """

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.first = EqualizedConv2d(inside, inside, 3, gain=math.sqrt(2))
        self.second = DownConv(inside, outside, gain=math.sqrt(2))
        self.skip = EqualizedConv2d(inside, outside, 1, bias=False)
        self.fir = FIR()

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Half the size."""
        y_NCHW = F.leaky_relu(self.second(F.leaky_relu(self.first(x_NCHW), 0.2)), 0.2)
        skipped_NCHW: torch.Tensor = self.skip(self.fir.down(x_NCHW))
        return (y_NCHW + skipped_NCHW) * math.sqrt(0.5)
