"""What the adaptation methods share: one network, two domains."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn

from adaptgan.data.batch import Batch, Side
from adaptgan.networks.layers import frozen_statistics

BatchNormMode = Literal["joint", "separate"]
"""`joint`: both domains in one forward, normalized by shared statistics. `separate`: each domain by its own batch's
statistics; the running ones, which predict, follow the target."""

Outputs = tuple[torch.Tensor, torch.Tensor]


def augment_domains(augmentation: nn.Module, source: Side, target: Side) -> tuple[torch.Tensor, torch.Tensor]:
    """Both domains' images, changed in one call: the same pixels as in two, each record has its own seed."""
    images_NCHW = torch.cat([source.images_NCHW, target.images_NCHW])
    changed_NCHW = augmentation(images_NCHW, torch.cat([source.seeds_N, target.seeds_N]))
    n = len(source.seeds_N)
    return changed_NCHW[:n], changed_NCHW[n:]


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


def ramped(progress: float) -> float:
    """2 / (1 + exp(−10 p)) − 1: λ's rise from 0 to 1 over the training (Ganin 2016, §5.2.2)."""
    return 2 / (1 + math.exp(-10 * progress)) - 1


def domain_truth(logits_N: torch.Tensor, n_source: int) -> torch.Tensor:
    """What a domain head should say: 1 of the first `n_source` images, 0 of the target's after them; (N,)."""
    return (torch.arange(len(logits_N), device=logits_N.device) < n_source).to(logits_N.dtype)


def measure_domains(batch: Batch, logits_N: torch.Tensor, truth_N: torch.Tensor) -> None:
    """Log `domain_accuracy`, the share of the domain head's decisions that are right; truth is 1 or 0."""
    batch.measure("domain_accuracy", ((logits_N > 0) == (truth_N > 0.5)).float().mean())


def measure_classes(batch: Batch, target_logits_NK: torch.Tensor) -> None:
    """Log `largest_class`, the largest share of the batch's target images that is predicted as one class."""
    batch.measure("largest_class", largest_share(target_logits_NK))


def largest_share(logits_NK: torch.Tensor) -> torch.Tensor:
    """The largest share of N images that is predicted as one class, a scalar."""
    classes_K = torch.arange(logits_NK.shape[1], device=logits_NK.device)
    counts_K = (logits_NK.argmax(1, keepdim=True) == classes_K).sum(0)
    return counts_K.max() / len(logits_NK)
