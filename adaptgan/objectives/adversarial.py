"""Adversarial losses, on logits of any shape. Reduction is the caller's: every function returns a value per logit."""

from __future__ import annotations

from typing import Protocol

import torch
from torch.nn import functional as F


class Adversarial(Protocol):
    """What a method may expect of an adversarial objective; l is a logit, D = σ(l)."""

    def real(self, logits: torch.Tensor) -> torch.Tensor:
        """What the discriminator minimizes on real images, per logit."""
        ...

    def fake(self, logits: torch.Tensor) -> torch.Tensor:
        """What the discriminator minimizes on generated images, per logit."""
        ...

    def generator(self, logits: torch.Tensor) -> torch.Tensor:
        """What the generator minimizes, per logit of its images."""
        ...


class Minimax:
    """Goodfellow 2014, eq. 1: D ascends log D + log(1 − D), G descends log(1 − D)."""

    def real(self, logits: torch.Tensor) -> torch.Tensor:
        """−log D = softplus(−l)."""
        return F.softplus(-logits)

    def fake(self, logits: torch.Tensor) -> torch.Tensor:
        """−log(1 − D) = softplus(l)."""
        return F.softplus(logits)

    def generator(self, logits: torch.Tensor) -> torch.Tensor:
        """log(1 − D) = −softplus(l)."""
        return -F.softplus(logits)


class NonSaturating(Minimax):
    """Goodfellow 2014, §3: as minimax, but G descends −log D, whose gradient does not vanish when D wins."""

    def generator(self, logits: torch.Tensor) -> torch.Tensor:
        """−log D = softplus(−l)."""
        return F.softplus(-logits)


class LeastSquares:
    """Mao 2017, eq. 9 (a = 0, b = c = 1): squared distance to 1 for real and 0 for generated; Pearson's χ²."""

    def real(self, logits: torch.Tensor) -> torch.Tensor:
        """½ (l − 1)²."""
        return 0.5 * (logits - 1).square()

    def fake(self, logits: torch.Tensor) -> torch.Tensor:
        """½ l²."""
        return 0.5 * logits.square()

    def generator(self, logits: torch.Tensor) -> torch.Tensor:
        """½ (l − 1)²."""
        return 0.5 * (logits - 1).square()
