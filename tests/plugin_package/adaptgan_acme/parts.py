"""Acme's network and objective."""

from __future__ import annotations

import torch
from torch import nn

from adaptgan import DataInfo


class MLP(nn.Module):
    """One hidden layer. (N, C, H, W) -> logits (N, K), with `features=True` also (N, F).

    Args:
        data: shape and classes.
        hidden: F, units of the hidden layer.
    """

    def __init__(self, data: DataInfo, hidden: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(data.channels * data.height * data.width, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, data.n_classes)
        self.n_features = hidden

    def forward(self, images_NCHW: torch.Tensor, features: bool = False) -> object:
        features_NF = self.body(images_NCHW)
        return (self.head(features_NF), features_NF) if features else self.head(features_NF)


class Hinge:
    """relu(1 - l) on real, relu(1 + l) on generated, -l for the generator (Lim & Ye 2017).

    Args:
        margin: the 1.
    """

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = margin

    def real(self, logits: torch.Tensor) -> torch.Tensor:
        return (self.margin - logits).relu()

    def fake(self, logits: torch.Tensor) -> torch.Tensor:
        return (self.margin + logits).relu()

    def generator(self, logits: torch.Tensor) -> torch.Tensor:
        return -logits
