"""Spectral normalization, against singular values and torch's own."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from adaptgan.networks.spectral import as_matrix, spectral_norm
from adaptgan.training.ema import EMA
from tests.singular import halving


def conv(seed: int = 0) -> nn.Conv2d:
    torch.manual_seed(seed)
    return nn.Conv2d(4, 6, 3).double()


@pytest.mark.parametrize("make", [lambda: nn.Conv2d(4, 6, 3), lambda: nn.Linear(7, 5), lambda: nn.Embedding(3, 9)])
def test_the_largest_singular_value_becomes_one(make: Callable[[], nn.Module]) -> None:
    layer = make()
    unit = halving(len(layer.weight), layer.weight[0].numel()).view_as(layer.weight)
    with torch.no_grad():
        layer.weight.copy_(3 * unit)
    torch.testing.assert_close(spectral_norm(layer).weight, unit)


def test_one_round_of_the_papers_algorithm() -> None:
    """Miyato 2018, Algorithm 1."""
    layer = spectral_norm(conv())
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(conv(1).weight)
    matrix, u = conv(1).weight.detach().flatten(1), layer.parametrizations.weight[0].u.clone()
    v = matrix.T @ u / (matrix.T @ u).norm()
    new_u = matrix @ v / (matrix @ v).norm()
    assert torch.allclose(layer.weight.flatten(1), matrix / (new_u @ matrix @ v), rtol=1e-10)
    assert torch.allclose(layer.parametrizations.weight[0].u, new_u, rtol=1e-10)


def test_converges_to_torchs_values_and_gradients() -> None:
    mine, theirs = spectral_norm(conv()), parametrizations.spectral_norm(conv())
    weights = torch.randn(6, 4, 3, 3, dtype=torch.float64)
    for _ in range(300):
        mine.weight, theirs.weight  # noqa: B018 - reading them iterates
    (mine.weight * weights).sum().backward()
    (theirs.weight * weights).sum().backward()
    assert torch.allclose(mine.weight, theirs.weight, rtol=1e-6)
    gradient = mine.parametrizations.weight.original.grad
    assert torch.allclose(gradient, theirs.parametrizations.weight.original.grad, rtol=1e-4, atol=1e-7)


def test_rests_when_evaluated_and_moves_in_training() -> None:
    layer = spectral_norm(conv())
    u = layer.parametrizations.weight[0].u
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(conv(1).weight)
    before, first = u.clone(), layer.eval().weight
    assert torch.equal(first, layer.weight) and torch.equal(u, before)
    layer.train().weight  # noqa: B018 - reading it is what moves u
    assert not torch.equal(u, before) and u.norm().item() == pytest.approx(1)


def test_an_average_of_networks_is_normalized_too() -> None:
    """Averaged u and v are shorter than 1, and torch's σ, uᵀWv, too small by the product of both lengths."""
    norms = {}
    for name, wrap in {"ours": spectral_norm, "torch's": parametrizations.spectral_norm}.items():
        layer = wrap(conv())
        average = EMA(layer, 0.5)
        for seed in range(8):  # the network turns quickly
            with torch.no_grad():
                layer.parametrizations.weight.original.copy_(conv(seed).weight)
            layer(torch.zeros(1, 4, 3, 3, dtype=torch.float64))
            average.update(layer)
        weight = average.network.eval().weight
        norms[name] = torch.linalg.svdvals(weight.flatten(1))[0].item()
    assert 0.999 < norms["ours"] < 1.5 and norms["torch's"] > 1.6  # ‖Wv‖ is never above σ


def test_float32_under_autocast_and_columns_in_any_order() -> None:
    layer = spectral_norm(conv().float())
    channels_last = copy.deepcopy(layer).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        one, other = layer.weight, channels_last.weight
    assert one.dtype == torch.float32 and torch.allclose(one, other, atol=1e-6)
    weight = channels_last.parametrizations.weight.original
    assert as_matrix(weight).data_ptr() == weight.data_ptr()
    assert torch.allclose(torch.linalg.svdvals(as_matrix(weight)), torch.linalg.svdvals(weight.flatten(1)))
