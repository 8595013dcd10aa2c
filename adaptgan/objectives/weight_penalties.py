"""Penalties on the weights of a network: a clip, spectral normalization, orthogonality."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn.utils import parametrize

from adaptgan.errors import ParamsError
from adaptgan.networks.spectral import spectral_norm
from adaptgan.objectives.penalties import Penalty

_NORMALIZED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.Embedding)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class WeightClip(Penalty):
    """w ← clip(w, −c, c) after each of the critic's steps, for all its parameters (Arjovsky 2017, Algorithm 1).

    Args:
        limit: c.
    """

    def __init__(self, limit: Annotated[float, Field(gt=0)] = 0.01) -> None:
        super().__init__()
        self.limit = limit

    @torch.no_grad()
    def constrain(self, network: nn.Module) -> None:
        """Clip the weights."""
        weights: list[torch.Tensor] = list(network.parameters())
        torch._foreach_clamp_min_(weights, -self.limit)
        torch._foreach_clamp_max_(weights, self.limit)


class SpectralNorm(Penalty):
    """W / σ(W) in place of W in all convolutions, linear layers and embeddings (Miyato 2018, eq. 8 and Algorithm 1).

    A kernel is a matrix (out, in·k·k). A round of power iteration in each forward of the training follows its largest
    singular value σ; evaluating moves nothing. Layers whose weight is already parametrized are left alone.
    """

    def prepare(self, network: nn.Module) -> None:
        """Put W / σ(W) in place of W.

        Raises:
            ParamsError: the network has no layer of these kinds, or transposed convolutions.
        """
        layers = [layer for layer in network.modules() if isinstance(layer, _NORMALIZED)]
        if not layers or any(isinstance(layer, _TRANSPOSED) for layer in network.modules()):
            raise ParamsError(
                f"penalties: spectral_norm is for networks of convolutions, linear layers and embeddings; this "
                f"{type(network).__name__} has {'transposed convolutions' if layers else 'none'}. Leave it out, or "
                "choose another network."
            )
        for layer in layers:
            if not parametrize.is_parametrized(layer, "weight"):
                spectral_norm(layer)


class Orthogonal(Penalty):
    """β Σ ‖ WᵀW ⊙ (1 − I) ‖²_F over a network's weights (Brock 2019, eq. 3).

    W's columns are the filters: two of them should be orthogonal, but each may have any length. The sum is over all
    weights of two or more dimensions that are no embedding; of a spectrally normalized one, over what it is made from.

    Args:
        weight: β.
        every: steps between two of its turns, each of which counts as many times.
    """

    def __init__(self, weight: Annotated[float, Field(ge=0)] = 1e-4, every: Annotated[int, Field(ge=1)] = 1) -> None:
        super().__init__()
        self.weight, self.every = weight, every

    def terms(
        self,
        network: nn.Module,
        real_NCHW: torch.Tensor,
        fake_NCHW: torch.Tensor,
        labels_N: torch.Tensor | None = None,
        real_logits_N: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """β Σ ‖ WᵀW ⊙ (1 − I) ‖²_F."""
        return {self.name: self.weight * skewness(network)}


def skewness(network: nn.Module) -> torch.Tensor:
    """Σ ‖ WᵀW ⊙ (1 − I) ‖²_F over a network's weights, a scalar in their own precision (Brock 2019, eq. 3).

    Raises:
        ParamsError: it has no weights of two or more dimensions.
    """
    filters = list(_filters(network))
    if not filters:
        raise ParamsError(f"penalties: orthogonal finds no weights of two dimensions in this {type(network).__name__}.")
    with torch.autocast(filters[0].device.type, enabled=False):
        return torch.stack([_off_diagonal(rows_OI) for rows_OI in filters]).sum()


def _off_diagonal(rows_OI: torch.Tensor) -> torch.Tensor:
    """‖ W Wᵀ ⊙ (1 − I) ‖²_F; of more filters than inputs by the smaller product, as ‖W Wᵀ‖ = ‖Wᵀ W‖."""
    if len(rows_OI) > rows_OI.shape[1]:
        return (rows_OI.T @ rows_OI).square().sum() - rows_OI.square().sum(1).square().sum()
    gram = rows_OI @ rows_OI.T
    return (gram - gram.diagonal().diag()).square().sum()


def _filters(network: nn.Module) -> Iterator[torch.Tensor]:
    """The weights as matrices, a filter in each row."""
    for layer in network.modules():
        if parametrize.is_parametrized(layer, "weight"):
            weight = layer.parametrizations.weight.original  # type: ignore[union-attr]
        else:
            weight = layer._parameters.get("weight")
        if isinstance(weight, torch.Tensor) and weight.ndim > 1 and not isinstance(layer, nn.Embedding):
            outputs_first = weight.transpose(0, 1) if isinstance(layer, _TRANSPOSED) else weight
            yield outputs_first.flatten(1)
