"""Layers of the growing and style-based generators: an equalized learning rate, pixel norm, minibatch deviation."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F


class EqualizedLinear(nn.Linear):
    """y = (λ w) x · gain/√fan_in + λ b, w ~ N(0, 1)/λ (Karras 2018, §4.1; λ: Karras 2019, appendix C).

    (N, inputs) -> (N, outputs). He's constant is applied at run time, not at the start: Adam's step does not depend on
    the size of a gradient, so that all weights, whatever their layer's width, learn at the same relative speed.

    Args:
        inputs: how many.
        outputs: how many.
        bias: whether there is b.
        start: what λ b is at first.
        gain: what the activation that follows needs: √2 for ReLU, 1 for none.
        lr_multiplier: λ, the layer's learning rate as a share of the others'.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bias: bool = True,
        start: float = 0.0,
        gain: float = 1.0,
        lr_multiplier: float = 1.0,
    ) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.scale = gain * lr_multiplier / math.sqrt(inputs)
        self.lr_multiplier = lr_multiplier
        _begin(self, start, lr_multiplier)

    def forward(self, x_NI: torch.Tensor) -> torch.Tensor:
        """The layer's outputs."""
        bias = None if self.bias is None else self.bias * self.lr_multiplier
        # The inputs are scaled: there are fewer of them than weights.
        return F.linear(x_NI * self.scale, self.weight, bias)


class EqualizedConv2d(nn.Conv2d):
    """A convolution with an equalized learning rate, as `EqualizedLinear`. (N, inputs, H, W) -> (N, outputs, H', W').

    Args:
        inputs: channels.
        outputs: channels.
        kernel: side of the kernel.
        stride: of the convolution.
        padding: zeros around the image; half of the kernel when None, which keeps the size.
        bias: whether there is one.
        start: what the bias is at first.
        gain: what the activation that follows needs: √2 for ReLU, 1 for none.
        lr_multiplier: the layer's learning rate as a share of the others'.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        padding: int | None = None,
        bias: bool = True,
        start: float = 0.0,
        gain: float = 1.0,
        lr_multiplier: float = 1.0,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2 if padding is None else padding, bias=bias)
        self.scale = gain * lr_multiplier / math.sqrt(inputs * kernel**2)
        self.lr_multiplier = lr_multiplier
        _begin(self, start, lr_multiplier)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """The layer's outputs."""
        bias = None if self.bias is None else self.bias * self.lr_multiplier
        return F.conv2d(x_NCHW, self.weight * self.scale, bias, self.stride, self.padding)


class PixelNorm(nn.Module):
    """b = a / √(mean over channels of a² + ε), at every pixel (Karras 2018, §4.2). (N, C, …) -> the same.

    Args:
        epsilon: ε.
    """

    def __init__(self, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, x_NC: torch.Tensor) -> torch.Tensor:
        """Same shape as given."""
        x = x_NC.float()
        return (x * (x.square().mean(1, keepdim=True) + self.epsilon).rsqrt()).to(x_NC.dtype)


class MinibatchStddev(nn.Module):
    """How much the images of a group differ, as further feature maps (Karras 2018, §3): (N, C, H, W) -> (N, C+c, H, W).

    The standard deviation over a group, of every feature at every place, averaged over features and places: one value
    per group, so that a discriminator sees a generator that makes the same image again and again. Groups are as equal
    as N allows and never larger than `group`. With it a discriminator judges an image by its batch: real and generated
    ones must come in separate batches (`by_batch = True`). In eval mode each image is a group of its own, of deviation
    0, so that a logit is the image's own.

    Args:
        group: images of a group, at most.
        channels: c, the parts that the features are split into, each with a map of its own.
    """

    def __init__(self, group: int = 4, channels: int = 1) -> None:
        super().__init__()
        self.group, self.channels = group, channels

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """The features, and the maps after them."""
        n, _, height, width = x_NCHW.shape
        if self.training and n > 1:
            deviation_Nc = self._deviation(x_NCHW.float())
        else:
            deviation_Nc = x_NCHW.new_zeros(n, self.channels)
        maps_NcHW = deviation_Nc[:, :, None, None].expand(-1, -1, height, width)
        return torch.cat([x_NCHW, maps_NcHW.to(x_NCHW.dtype)], dim=1)

    def _deviation(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Image i is in group i mod M, as in the authors' code; where N is no multiple, the last row has gaps."""
        n = len(x_NCHW)
        groups = math.ceil(n / self.group)
        rows = math.ceil(n / groups)
        missing = rows * groups - n
        present_RM11 = x_NCHW.new_ones(rows * groups, 1, 1)
        if missing:
            x_NCHW = torch.cat([x_NCHW, x_NCHW.new_zeros(missing, *x_NCHW.shape[1:])])
            present_RM11[n:] = 0
        x_RMcF = x_NCHW.reshape(rows, groups, self.channels, -1)
        present_RM11 = present_RM11.view(rows, groups, 1, 1)
        count_M11 = present_RM11.sum(0)
        centred_RMcF = (x_RMcF - x_RMcF.sum(0) / count_M11) * present_RM11
        variance_McF = centred_RMcF.square().sum(0) / count_M11
        deviation_Mc = (variance_McF + 1e-8).sqrt().mean(2)
        return deviation_Mc.repeat(rows, 1)[:n]


def _begin(layer: nn.Linear | nn.Conv2d, start: float, lr_multiplier: float) -> None:
    nn.init.normal_(layer.weight, std=1 / lr_multiplier)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, start / lr_multiplier)
