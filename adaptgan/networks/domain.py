"""The head that tells domains apart."""

from __future__ import annotations

import torch
from torch import nn


class DomainHead(nn.Sequential):
    """Hidden ReLU layers, then one logit: positive for the source. (N, F) -> (N,).

    One logit with a sigmoid, never a softmax over one logit, which has no gradient.

    Args:
        features: F.
        hidden: units of each hidden layer.
        layers: hidden layers.
    """

    def __init__(self, features: int, hidden: int = 1024, layers: int = 2) -> None:
        parts: list[nn.Module] = []
        for _ in range(layers):
            parts += [nn.Linear(features, hidden), nn.ReLU()]
            features = hidden
        super().__init__(*parts, nn.Linear(features, 1))

    def forward(self, features_NF: torch.Tensor) -> torch.Tensor:
        """Domain logits, (N,)."""
        logits_N1: torch.Tensor = super().forward(features_NF)
        return logits_N1[:, 0]
