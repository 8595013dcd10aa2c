"""Self-attention, against its equations written out position by position."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from adaptgan.networks.attention import SelfAttention


def block(pool: bool = False) -> SelfAttention:
    torch.manual_seed(0)
    layer = SelfAttention(16, pool=pool).double()
    with torch.no_grad():
        layer.strength.fill_(0.7)
    return layer


def by_hand(layer: SelfAttention, x_CHW: torch.Tensor) -> torch.Tensor:
    """Zhang 2019, eq. 1-3, for one image; no scaling."""
    f, g, h, v = (conv.weight[:, :, 0, 0] for conv in (layer.f, layer.g, layer.h, layer.v))
    keys, values = (torch.einsum("oc,chw->ohw", w, x_CHW) for w in (f, h))
    if layer.pool:
        keys, values = F.max_pool2d(keys, 2), F.max_pool2d(values, 2)
    keys, values = keys.flatten(1), values.flatten(1)
    y = x_CHW.clone()
    for row in range(x_CHW.shape[1]):
        for column in range(x_CHW.shape[2]):
            scores = torch.stack([keys[:, i] @ (g @ x_CHW[:, row, column]) for i in range(keys.shape[1])])
            beta = scores.exp() / scores.exp().sum()
            y[:, row, column] += layer.strength * (v @ (values @ beta))
    return y


@pytest.mark.parametrize("pool", [False, True])
def test_the_equations(pool: bool) -> None:
    layer, x = block(pool), torch.randn(2, 16, 4, 6, dtype=torch.float64)
    expected = torch.stack([by_hand(layer, image) for image in x])
    assert torch.allclose(layer(x), expected, rtol=1e-9)
    assert torch.allclose(layer(x.contiguous(memory_format=torch.channels_last)), expected, rtol=1e-9)
    assert (expected - x).abs().max() > 0.01


def test_it_starts_as_the_identity_and_only_its_strength_learns_then() -> None:
    torch.manual_seed(0)
    layer, x = SelfAttention(16), torch.randn(2, 16, 4, 4)
    assert torch.equal(layer(x), x)
    layer(x).square().sum().backward()
    assert layer.strength.grad.abs() > 0 and layer.f.weight.grad.abs().max() == 0


def test_it_can_be_differentiated_twice() -> None:
    layer = block()
    x = torch.randn(1, 16, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(layer, (x,), atol=1e-4)


def test_mixed_precision_stays_close_to_float32() -> None:
    layer, x = block().float(), torch.randn(2, 16, 4, 4) * 3
    with torch.autocast("cpu", torch.bfloat16):
        mixed = layer(x.bfloat16())
    assert mixed.dtype == torch.bfloat16
    assert (mixed.float() - layer(x)).abs().mean() < 0.03
