"""Self-attention over the positions of a feature map (Zhang 2019)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """SAGAN's block: y = γ·o + x, o_j = v(Σ_i β_ji h(x_i)), β_j = softmax_i f(x_i)ᵀg(x_j) (Zhang 2019, eq. 1–3).

    f, g, h and v are 1×1 convolutions without bias; f, g and h have C/8 channels. The products are not scaled, and
    γ = 0 at the start, so that the block begins as the identity. (N, C, H, W) -> the same.

    The softmax is written out: the fused attention of torch cannot be differentiated twice, which a gradient penalty
    asks of a discriminator. It is computed in float32.

    Args:
        channels: C.
        conv: makes a 1×1 convolution of given inputs and outputs, with the spectral normalization and first values
            that the network around it has.
        pool: halve f and h by max-pooling, as BigGAN's code does: a quarter of the work.
    """

    def __init__(self, channels: int, conv: Callable[[int, int], nn.Module] | None = None, pool: bool = False) -> None:
        super().__init__()
        conv = conv or (lambda inside, outside: nn.Conv2d(inside, outside, 1, bias=False))
        small = max(1, channels // 8)
        self.f, self.g, self.h = (conv(channels, small) for _ in range(3))
        self.v = conv(small, channels)
        self.strength = nn.Parameter(torch.zeros(()))
        self.pool = pool

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """The map, each position with a look at all others."""
        keys, values = self.f(x_NCHW), self.h(x_NCHW)
        if self.pool:
            keys, values = F.max_pool2d(keys, 2), F.max_pool2d(values, 2)
        queries_NPE, keys_NEI, values_NIE = rows(self.g(x_NCHW)), rows(keys).mT, rows(values)
        scores_NPI = queries_NPE @ keys_NEI
        weights_NPI = scores_NPI.softmax(2, dtype=torch.promote_types(scores_NPI.dtype, torch.float32))
        seen_NPE = weights_NPI.to(values_NIE.dtype) @ values_NIE
        seen = self.v(seen_NPE.mT.unflatten(2, x_NCHW.shape[2:]))
        return torch.addcmul(x_NCHW, self.strength.to(seen.dtype), seen)


def rows(map_NEHW: torch.Tensor) -> torch.Tensor:
    """(N, E, H, W) -> (N, H·W, E)."""
    return map_NEHW.flatten(2).mT
