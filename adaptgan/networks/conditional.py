"""What makes a network conditional on classes: batch normalization with a class's own gain and bias."""

from __future__ import annotations

import torch
from torch import nn

from adaptgan.errors import ParamsError


class ClassBatchNorm(nn.Module):
    """Conditional batch normalization: γ_y · (x − μ)/σ + β_y (Dumoulin 2017; Miyato & Koyama 2018). Keeps the shape.

    It starts as plain batch normalization: γ = 1, β = 0 for every class.

    Args:
        channels: C of (N, C, H, W).
        n_classes: K.
    """

    def __init__(self, channels: int, n_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Embedding.from_pretrained(torch.ones(n_classes, channels), freeze=False)
        self.bias = nn.Embedding.from_pretrained(torch.zeros(n_classes, channels), freeze=False)

    def forward(self, x_NCHW: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
        """Normalized by the batch (or running statistics), then each image by its class."""
        return modulated(self.norm(x_NCHW), self.gain(labels_N), self.bias(labels_N))


class EmbeddedBatchNorm(nn.Module):
    """Conditional batch normalization from a vector: (1 + G c) · (x − μ)/σ + B c (Brock 2019, appendix B).

    Gains are centred at 1 and biases at 0: with c = 0 it is plain batch normalization.

    Args:
        channels: C of (N, C, H, W).
        gain: G, (N, E) -> (N, C).
        bias: B, (N, E) -> (N, C).
    """

    def __init__(self, channels: int, gain: nn.Module, bias: nn.Module) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain, self.bias = gain, bias

    def forward(self, x_NCHW: torch.Tensor, condition_NE: torch.Tensor) -> torch.Tensor:
        """Normalized by the batch (or running statistics), then each image by its condition."""
        return modulated(self.norm(x_NCHW), 1 + self.gain(condition_NE), self.bias(condition_NE))


def modulated(x_NCHW: torch.Tensor, gain_NC: torch.Tensor, bias_NC: torch.Tensor) -> torch.Tensor:
    """Gain · x + bias, in x's type."""
    gain, bias = (value.to(x_NCHW.dtype)[:, :, None, None] for value in (gain_NC, bias_NC))
    return torch.addcmul(bias, x_NCHW, gain)


def required(labels_N: torch.Tensor | None, network: str) -> torch.Tensor:
    """The labels that a conditional network cannot do without.

    Raises:
        ParamsError: it was given none.
    """
    if labels_N is None:
        raise ParamsError(
            f"{network}: this network is conditional on classes and was given none. A conditional discriminator needs "
            "a generator with `conditional: true`; samples of a conditional generator need a class each."
        )
    return labels_N
