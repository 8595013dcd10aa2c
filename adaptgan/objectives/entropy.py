"""Entropy terms on class predictions."""

from __future__ import annotations

import torch


def entropy(probabilities: torch.Tensor) -> torch.Tensor:
    """H(p) = −Σ p log p over the last dimension, in nats; 0 · log 0 = 0."""
    terms: torch.Tensor = torch.special.xlogy(probabilities, probabilities.clamp_min(1e-12))
    return -terms.sum(-1)


def mutual_information(logits_NK: torch.Tensor) -> torch.Tensor:
    """H(mean p) − mean H(p) of a batch of logits, in [0, log K] nats (Krause 2010; Liang 2020 maximizes it)."""
    p_NK = logits_NK.float().softmax(1)
    return entropy(p_NK.mean(0)) - entropy(p_NK).mean()
