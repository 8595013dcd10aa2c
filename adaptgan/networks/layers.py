"""Layers that several networks share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, strength: float) -> torch.Tensor:
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -ctx.strength * gradients[0], None


def reverse_gradient(features: torch.Tensor, strength: float) -> torch.Tensor:
    """Gradient reversal (Ganin 2015, eq. 12–13): the identity forward, −λ∇ backward.

    Args:
        features: any shape.
        strength: λ ≥ 0. What consumes the result learns at full rate; only what produced `features` sees −λ.
    """
    reversed_: torch.Tensor = _Reverse.apply(features, strength)
    return reversed_


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(relu(x)))), 3×3, no normalization. (N, C, H, W) -> the same.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Same shape as given."""
        y_NCHW: torch.Tensor = self.second(self.first(x_NCHW.relu()).relu())
        return x_NCHW + y_NCHW


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """BatchNorm layers normalize by the batch and leave their running statistics alone inside the block."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


def to_channels_last(network: nn.Module) -> None:
    """Convolutions in the memory format that is fastest for them, on CPU and GPU; other tensors are left alone."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(memory_format=torch.channels_last)


def pyramid(data: DataInfo, levels: int | None = None, smallest: int = 4) -> tuple[int, int, int]:
    """How often an image can be halved, and what is left: images of base · 2^n pixels, for any base.

    Args:
        data: the images' height and width.
        levels: n; as many as keep the shorter side at `smallest` when None.
        smallest: least pixels of the base's shorter side.

    Returns:
        n, and the base's height and width.

    Raises:
        ParamsError: the size is not divisible by 2^n.
    """
    height, width, n = data.height, data.width, 0
    while (levels is None or n < levels) and not (height % 2 or width % 2) and min(height, width) // 2 >= smallest:
        height, width, n = height // 2, width // 2, n + 1
    if n < (1 if levels is None else levels):
        raise ParamsError(
            f"images of {data.height}×{data.width} pixels can be halved {n} times (to no less than {smallest}), "
            f"and this network needs {levels or 1}. Ingest them with a `size` of base · 2^n, such as [32, 32]."
        )
    return n, height, width


def level_channels(base: int, levels: int, channels: int, capacity: int) -> list[int]:
    """Channels of each resolution, from the base up: min(channels, capacity / shorter side) (Karras 2018, table 2).

    Args:
        base: shorter side of the coarsest.
        levels: doublings above it.
        channels: at most this many.
        capacity: 16384 there: 16 channels at 1024 pixels.
    """
    return [max(1, min(channels, capacity // (base * 2**level))) for level in range(levels + 1)]


def start_small(network: nn.Module, std: float = 0.02) -> None:
    """All weights from N(0, std), BatchNorm's scales from N(1, std), biases 0 (Radford 2015, §4)."""
    for module in network.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, 0.0, std)
            continue
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, std)
        elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d) and module.weight is not None:
            nn.init.normal_(module.weight, 1.0, std)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def projection(embedding_NF: torch.Tensor, features_NF: torch.Tensor) -> torch.Tensor:
    """⟨e(y), φ(x)⟩ for each image, (N,) (Miyato & Koyama 2018, eq. 4)."""
    return (embedding_NF * features_NF).sum(1)


def as_map(flat_NP: torch.Tensor, base: tuple[int, int, int]) -> torch.Tensor:
    """(N, H·W·C) -> (N, C, H, W), in the memory format of fast convolutions without a copy.

    Args:
        flat_NP: what a linear layer gave.
        base: H, W and C.
    """
    map_NHWC: torch.Tensor = flat_NP.unflatten(1, base)
    return map_NHWC.permute(0, 3, 1, 2)
