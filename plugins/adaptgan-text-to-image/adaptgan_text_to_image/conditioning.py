"""Conditioning augmentation (Zhang 2017, §3.2)."""

from __future__ import annotations

import torch
from torch import nn


class ConditioningAugmentation(nn.Module):
    """A text (N, E) -> mean and log σ² (N, 2K) of a Gaussian that conditioning variables are drawn from (Zhang 2017).

        ĉ = μ(φ) + σ(φ) ∘ ε,  ε ~ N(0, I)                                                        (§3.2, §3.3.1)

    One linear layer gives both. Near texts so have overlapping
    distributions, and G sees more conditions than there are captions.

    Args:
        text: E.
        width: K, of ĉ.
    """

    def __init__(self, text: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(text, 2 * width)

    def forward(self, text_NE: torch.Tensor) -> torch.Tensor:
        """μ and log σ², side by side, float32."""
        gaussian_N2K: torch.Tensor = self.linear(text_NE)
        return gaussian_N2K.float()


def drawn(gaussian_N2K: torch.Tensor, noise_NK: torch.Tensor | None) -> torch.Tensor:
    """ĉ = μ + σ ∘ ε, (N, K); μ where there is no noise."""
    mean_NK, log_variance_NK = gaussian_N2K.chunk(2, 1)
    return mean_NK if noise_NK is None else mean_NK + torch.exp(0.5 * log_variance_NK) * noise_NK
