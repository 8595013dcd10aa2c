"""A generator whose answers can be worked out on paper: g(z, y) = A z + b_y."""

from __future__ import annotations

import torch
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import Phase
from adaptgan.methods.generative import GenerativeMethod

INFO = DataInfo(1, 4, 4, ("a", "b", "c"))


class LinearGenerator(nn.Module):
    """z (N, Z) -> images (N, C, H, W), no tanh."""

    def __init__(self, info: DataInfo, n_noise: int, conditional: bool = False) -> None:
        super().__init__()
        self.n_noise, self.conditional = n_noise, conditional
        self.shape = (info.channels, info.height, info.width)
        pixels = info.channels * info.height * info.width
        self.matrix = nn.Parameter(torch.randn(pixels, n_noise) / n_noise / 2)
        self.offset = nn.Parameter(torch.randn(max(1, info.n_classes), pixels) / 4)

    def forward(self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        offset = self.offset[labels_N] if labels_N is not None else self.offset[:1]
        return (z_NZ @ self.matrix.T + offset).view(-1, *self.shape)


class Linear(GenerativeMethod):
    """A generative method around it, which nobody trains."""

    def phases(self) -> list[Phase]:
        return []


def linear(n_noise: int = 3, conditional: bool = False, info: DataInfo = INFO, seed: int = 0) -> Linear:
    torch.manual_seed(seed)
    method = Linear(LinearGenerator(info, n_noise, conditional), 0.9)
    method.info, method.card = info, {"method": {"name": "linear"}, "fingerprint": "f"}
    return method.eval().requires_grad_(False)


def matrix(method: Linear) -> tuple[torch.Tensor, torch.Tensor]:
    """A (P, Z) and b (K, P), float64."""
    network = method.average.network
    return network.matrix.double(), network.offset.double()
