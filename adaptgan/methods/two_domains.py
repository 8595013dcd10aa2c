"""What the adaptation methods share: one network, two domains."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from adaptgan.networks.layers import frozen_statistics

BatchNormMode = Literal["joint", "separate"]
"""`joint`: both domains in one forward, normalized by shared statistics. `separate`: each domain by its own batch's
statistics; the running ones, which predict, follow the target."""

Outputs = tuple[torch.Tensor, torch.Tensor]


def forward_domains(
    classifier: nn.Module, source_NCHW: torch.Tensor, target_NCHW: torch.Tensor, batch_norm: BatchNormMode
) -> tuple[Outputs, Outputs]:
    """(logits, features) of the source and of the target."""
    n = len(source_NCHW)
    if batch_norm == "joint":
        logits_NK, features_NF = classifier(torch.cat([source_NCHW, target_NCHW]), features=True)
        return (logits_NK[:n], features_NF[:n]), (logits_NK[n:], features_NF[n:])
    with frozen_statistics(classifier):
        source = classifier(source_NCHW, features=True)
    return source, classifier(target_NCHW, features=True)
