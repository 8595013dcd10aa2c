"""Log-likelihoods of pixels and the closed form of a Gaussian's divergence: the terms of a variational bound."""

from __future__ import annotations

import math

import torch

EDGE = 1e-6
"""Probabilities stay this far from 0 and 1, so that a pixel costs at most 14 nats."""


def kl_to_standard_normal(mean_NZ: torch.Tensor, log_variance_NZ: torch.Tensor) -> torch.Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½ Σ (μ² + σ² − 1 − log σ²), in nats, (N,) (Kingma & Welling 2014, appendix B)."""
    return 0.5 * (mean_NZ.square() + log_variance_NZ.exp() - 1 - log_variance_NZ).sum(1)


def gaussian_nll(images_NCHW: torch.Tensor, decoded_NCHW: torch.Tensor, sigma: float) -> torch.Tensor:
    """−log N(x; x̂, σ²), summed over pixels, in nats of the pixel values' own scale, (N,).

    Args:
        images_NCHW: x.
        decoded_NCHW: x̂.
        sigma: σ.
    """
    squared = (images_NCHW.float() - decoded_NCHW.float()).square() / sigma**2
    return 0.5 * (squared + math.log(2 * math.pi * sigma**2)).flatten(1).sum(1)


def bernoulli_nll(images_NCHW: torch.Tensor, decoded_NCHW: torch.Tensor) -> torch.Tensor:
    """−[t log p + (1 − t) log(1 − p)], summed over pixels, in nats, (N,) (Kingma & Welling 2014, appendix C.1).

    Args:
        images_NCHW: in [-1, 1]; t is the same in [0, 1].
        decoded_NCHW: in [-1, 1]; p is the same in [0, 1].
    """
    t, p = _unit(images_NCHW), _unit(decoded_NCHW).clamp(EDGE, 1 - EDGE)
    return _cross_entropy(t, p)


def continuous_bernoulli_nll(images_NCHW: torch.Tensor, decoded_NCHW: torch.Tensor) -> torch.Tensor:
    """As `bernoulli_nll`, less log C(p): a density of grey values, not only of 0 and 1 (Loaiza-Ganem 2019, eq. 6)."""
    t, p = _unit(images_NCHW), _unit(decoded_NCHW).clamp(EDGE, 1 - EDGE)
    return _cross_entropy(t, p) - log_normalizer(p).flatten(1).sum(1)


def log_normalizer(p: torch.Tensor) -> torch.Tensor:
    """The constant of grey values, log C(p) = log(2 artanh(1 − 2p) / (1 − 2p)) = log(log((1 − p)/p) / (1 − 2p)).

    Around p = ½, where that is 0/0, by its Taylor series.

    Args:
        p: any shape, in (0, 1).
    """
    x = p - 0.5
    near = x.abs() < 0.02
    safe = torch.where(near, torch.full_like(p, 0.25), p)  # so that the branch not taken has a finite gradient
    exact = ((torch.log1p(-safe) - safe.log()) / (1 - 2 * safe)).log()
    return torch.where(near, math.log(2) + 4 / 3 * x.square() + 104 / 45 * x.pow(4), exact)


def _unit(images_NCHW: torch.Tensor) -> torch.Tensor:
    return (images_NCHW.float() + 1) / 2


def _cross_entropy(t: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    return -(t * p.log() + (1 - t) * torch.log1p(-p)).flatten(1).sum(1)
