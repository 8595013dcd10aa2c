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


class Wasserstein:
    """Arjovsky 2017, eq. 2 and 3: D ascends E D(x) − E D(G(z)), G descends it. D is a critic: l has no sigmoid.

    It bounds the Wasserstein-1 distance only as far as a penalty holds the critic's slope (`weight_clip`,
    `gradient_penalty`, `spectral_norm`).
    """

    def real(self, logits: torch.Tensor) -> torch.Tensor:
        """−l."""
        return -logits

    def fake(self, logits: torch.Tensor) -> torch.Tensor:
        """+l."""
        return logits

    def generator(self, logits: torch.Tensor) -> torch.Tensor:
        """−l."""
        return -logits


class Hinge:
    """Lim & Ye 2017; Miyato 2018, eq. 16 and 17: D only learns from images inside its margin of ±1, G ascends l."""

    def real(self, logits: torch.Tensor) -> torch.Tensor:
        """max(0, 1 − l)."""
        return (1 - logits).relu()

    def fake(self, logits: torch.Tensor) -> torch.Tensor:
        """max(0, 1 + l)."""
        return (1 + logits).relu()

    def generator(self, logits: torch.Tensor) -> torch.Tensor:
        """−l."""
        return -logits


def precise(values: torch.Tensor) -> torch.Tensor:
    """The values in at least float32: bfloat16 is too coarse for exponentials, norms and sums."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
