"""Losses of discriminators that look at several sizes of an image (Wang 2018, pix2pixHD)."""

from __future__ import annotations

from collections.abc import Callable

import torch


def per_scale(logits: torch.Tensor | list[torch.Tensor]) -> list[torch.Tensor]:
    """What a discriminator gives, as a list of one map for each of its scales."""
    return logits if isinstance(logits, list) else [logits]


def mean_over(logits: list[torch.Tensor], loss: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """The mean of a loss over a scale's patches, then over the scales, which all count alike."""
    return torch.stack([loss(at_scale).mean() for at_scale in logits]).mean()
