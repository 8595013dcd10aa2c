"""How far two samples are apart: kernel mean discrepancies, covariances, two classifiers' disagreement.

Pure functions of features (N, F), reduced to a scalar. They compute in float32 at least, whatever autocast says: a
difference of sums of near-equal terms is what bfloat16 cannot hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

MMDEstimator = Literal["unbiased", "biased", "linear"]
"""`unbiased`: all pairs but those of a point with itself (Gretton 2012, eq. 3). `biased`: all pairs, never negative
(eq. 5). `linear`: N/2 disjoint quadruples, O(N) and noisy (Gretton 2012, §6; Long 2015, eq. 5)."""

DSN_BANDWIDTHS: tuple[float, ...] = tuple(
    2 * sigma for sigma in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 5, 10, 15, 20, 25, 30, 35, 100, 1e3, 1e4, 1e5, 1e6)
)
"""The 19 fixed kernels exp(−‖x − y‖² / 2σ) of domain separation networks (Bousmalis 2016, §3.2)."""

Bandwidths = Sequence[float] | torch.Tensor
"""The divisors s_u of squared distances in a bank of Gaussian kernels."""


def squared_distances(a_NF: torch.Tensor, b_MF: torch.Tensor) -> torch.Tensor:
    """‖a_i − b_j‖², (N, M), never negative."""
    with _no_autocast(a_NF):
        a_NF, b_MF = _exact(a_NF), _exact(b_MF)
        center_F = b_MF.mean(0).detach()  # a common shift changes no distance and saves digits below
        a_NF, b_MF = a_NF - center_F, b_MF - center_F
        d_NM: torch.Tensor = a_NF.square().sum(1)[:, None] + b_MF.square().sum(1) - 2 * a_NF @ b_MF.T
        return d_NM.clamp_min(0)


def mean_distance_bandwidths(samples_NF: torch.Tensor, count: int = 5, factor: float = 2.0) -> torch.Tensor:
    """Bandwidths around the mean squared distance of a sample: s_u = factor^(u − ⌊count/2⌋) · mean ‖z_i − z_j‖².

    The mean over the pairs i ≠ j is 2 tr Cov(z), which needs no pairs. No gradient goes through it.

    Args:
        samples_NF: z, both domains' features together, N ≥ 2.
        count: how many kernels.
        factor: from one bandwidth to the next.

    Returns:
        (count,), positive.
    """
    with _no_autocast(samples_NF), torch.no_grad():
        scale = 2 * _exact(samples_NF).var(0).sum()
        steps = torch.arange(count, device=scale.device, dtype=scale.dtype) - count // 2
        return scale.clamp_min(1e-12) * factor**steps


def gaussian_kernels(squared: torch.Tensor, bandwidths: Bandwidths) -> torch.Tensor:
    """The mean of a bank of Gaussian kernels, (1/U) Σ_u exp(−d² / s_u), in (0, 1].

    Args:
        squared: squared distances d², any shape.
        bandwidths: s_u.
    """
    terms = [torch.exp(-squared / bandwidth) for bandwidth in bandwidths]
    return torch.stack(terms).mean(0)


def mmd2(
    a_NF: torch.Tensor,
    b_MF: torch.Tensor,
    bandwidths: Bandwidths | None = None,
    estimator: MMDEstimator = "unbiased",
) -> torch.Tensor:
    """Squared maximum mean discrepancy E k(a, a') + E k(b, b') − 2 E k(a, b) with a bank of Gaussian kernels.

    Args:
        a_NF: one sample.
        b_MF: the other; N, M ≥ 2, or ≥ 4 for all of `linear`'s terms. `linear` uses the first min(N, M) of each.
        bandwidths: of the kernels (`gaussian_kernels`); None for the five around the mean distance of both samples.
        estimator: see `MMDEstimator`; all but `biased` may be slightly negative.
    """
    with _no_autocast(a_NF):
        a_NF, b_MF = _exact(a_NF), _exact(b_MF)
        if bandwidths is None:
            bandwidths = mean_distance_bandwidths(torch.cat([a_NF, b_MF]))
        if estimator == "linear":
            return _linear_time(a_NF, b_MF, bandwidths)
        between = gaussian_kernels(squared_distances(a_NF, b_MF), bandwidths).mean()
        return _within(a_NF, bandwidths, estimator) + _within(b_MF, bandwidths, estimator) - 2 * between


def coral(a_NF: torch.Tensor, b_MF: torch.Tensor) -> torch.Tensor:
    """‖C_a − C_b‖²_F / 4 F² of the samples' covariances (Sun & Saenko 2016, eq. 1–3); N, M ≥ 2."""
    with _no_autocast(a_NF):
        difference_FF = covariance(_exact(a_NF)) - covariance(_exact(b_MF))
        return difference_FF.square().sum() / (4 * a_NF.shape[1] ** 2)


def covariance(samples_NF: torch.Tensor) -> torch.Tensor:
    """The unbiased covariance (F, F) of a sample."""
    with _no_autocast(samples_NF):
        centered_NF = _exact(samples_NF) - _exact(samples_NF).mean(0)
        return centered_NF.T @ centered_NF / (len(samples_NF) - 1)


def classifier_discrepancy(one_NK: torch.Tensor, other_NK: torch.Tensor) -> torch.Tensor:
    """Mean |p1 − p2| over classes and samples, of two classifiers' probabilities (Saito 2018, §3.2); in [0, 2/K]."""
    return (one_NK.float() - other_NK.float()).abs().mean()


def _within(x_NF: torch.Tensor, bandwidths: Bandwidths, estimator: MMDEstimator) -> torch.Tensor:
    """Mean kernel among the points of one sample; a point's with itself is 1 exactly, or left out."""
    n = len(x_NF)
    apart_NN = 1 - torch.eye(n, device=x_NF.device, dtype=x_NF.dtype)
    sum_ = (gaussian_kernels(squared_distances(x_NF, x_NF), bandwidths) * apart_NN).sum()
    return sum_ / (n * (n - 1)) if estimator == "unbiased" else (sum_ + n) / n**2


def _linear_time(a_NF: torch.Tensor, b_MF: torch.Tensor, bandwidths: Bandwidths) -> torch.Tensor:
    pairs = min(len(a_NF), len(b_MF)) // 2
    a1, a2, b1, b2 = a_NF[: 2 * pairs : 2], a_NF[1 : 2 * pairs : 2], b_MF[: 2 * pairs : 2], b_MF[1 : 2 * pairs : 2]

    def kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return gaussian_kernels((x - y).square().sum(1), bandwidths)

    return (kernel(a1, a2) + kernel(b1, b2) - kernel(a1, b2) - kernel(a2, b1)).mean()


def _exact(x: torch.Tensor) -> torch.Tensor:
    """Half precision widened to float32; float64 stays what it is."""
    return x if x.dtype == torch.float64 else x.float()


def _no_autocast(like: torch.Tensor) -> torch.autocast:
    return torch.autocast(like.device.type, enabled=False)
