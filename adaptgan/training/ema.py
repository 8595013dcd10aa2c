"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class EMA(nn.Module):
    """A slowly following copy of a network: θ' ← d·θ' + (1 − d)·θ.

    The copy is a child module, so it is part of the state_dict. Its decay warms up as min(d, (1 + n) / (10 + n)) over
    the updates n, so that it is not held back by the random start. Buffers (BatchNorm's running statistics) follow
    the same average; integer ones are copied.

    Args:
        network: what to follow.
        decay: d, in [0, 1).
    """

    updates: torch.Tensor

    def __init__(self, network: nn.Module, decay: float = 0.999) -> None:
        super().__init__()
        self.decay = decay
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Follow `network`, which has the same architecture (it may be wrapped for distributed training)."""
        decay = torch.clamp((1 + self.updates) / (10 + self.updates), max=self.decay)
        self.updates += 1
        decay = decay.float()
        mine, theirs = self.network.state_dict(), network.state_dict()
        averaged = [name for name, value in mine.items() if value.is_floating_point()]
        slow = [mine[name] for name in averaged]
        fast = [theirs[name].to(mine[name].dtype) for name in averaged]
        torch._foreach_mul_(slow, decay)
        torch._foreach_add_(slow, torch._foreach_mul(fast, 1 - decay))
        for name, value in mine.items():
            if not value.is_floating_point():
                value.copy_(theirs[name])

    def forward(self, *args: object, **kwargs: object) -> object:
        """The averaged network's output."""
        return self.network(*args, **kwargs)
