"""Spectral normalization (Miyato 2018), in float32 under any precision and steady under an average of weights."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

Layer = TypeVar("Layer", bound=nn.Module)


class SpectralNorm(nn.Module):
    """W / σ(W), σ the largest singular value of W as (outputs, the rest), by power iteration (Miyato 2018, eq. 8–9).

        v = Wᵀu / ‖Wᵀu‖,   σ = ‖Wv‖,   u ← Wv / σ  in training

    It converges to what `torch.nn.utils.parametrizations.spectral_norm` does, with three differences. It takes one
    product less, as uᵀWv = ‖Wv‖ for that u. It stays in float32 under autocast. And it iterates when evaluated too,
    without moving u: any u near the right direction will do, an average of earlier ones (EMA) as well, where torch's
    stored pair would underestimate σ.

    Args:
        weight: W, whose u is brought near by a few iterations.
        iterations: how many.
    """

    u: torch.Tensor

    def __init__(self, weight: torch.Tensor, iterations: int = 15) -> None:
        super().__init__()
        self.register_buffer("u", F.normalize(torch.randn(len(weight), dtype=weight.dtype), dim=0))
        with torch.no_grad():
            for _ in range(iterations):
                self(weight)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The normalized weight, same shape."""
        with torch.autocast(weight.device.type, enabled=False):
            matrix_OI = as_matrix(weight)
            with torch.no_grad():
                v_I = F.normalize(self.u @ matrix_OI, dim=0)
            product_O = matrix_OI @ v_I
            sigma = torch.linalg.vector_norm(product_O).clamp_min(1e-12)
            if self.training:
                with torch.no_grad():
                    self.u.copy_(product_O / sigma)
            normalized: torch.Tensor = weight / sigma
            return normalized


def spectral_norm(layer: Layer) -> Layer:
    """Have the layer use W / σ(W). Its first values must be set already."""
    weight = layer.weight
    assert isinstance(weight, nn.Parameter)
    parametrize.register_parametrization(layer, "weight", SpectralNorm(weight.detach()))
    return layer


def as_matrix(weight: torch.Tensor) -> torch.Tensor:
    """(outputs, all else), in whichever order of columns needs no copy; singular values do not depend on it."""
    if weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        weight = weight.permute(0, 2, 3, 1)
    return weight.flatten(1)
