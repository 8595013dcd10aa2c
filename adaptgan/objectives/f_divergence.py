"""f-GAN: any f-divergence as an adversarial loss, by its variational bound (Nowozin et al. 2016)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional as F

from adaptgan.objectives.adversarial import precise

Divergence = Literal["kl", "reverse_kl", "pearson", "squared_hellinger", "jensen_shannon", "gan", "total_variation"]
Function = Callable[[torch.Tensor], torch.Tensor]


class FDivergence:
    """D_f(P‖Q) ≥ E_P[ T(x) ] − E_Q[ f*(T(x̃)) ], with T = g_f(v) of D's output v (Nowozin 2016, eq. 4 to 6).

    P are the real images, Q the generated ones; D_f(P‖Q) = ∫ q f(p/q). D maximizes the bound, G minimizes it
    (Algorithm 1); at T = f′(p/q) it is tight. The paper's tables 2 and 6:

        divergence         f(u)                            g_f(v)               f*(t)           D_f(P‖Q)
        kl                 u log u                         v                    exp(t − 1)      ∫ p log(p/q)
        reverse_kl         −log u                          −exp(−v)             −1 − log(−t)    ∫ q log(q/p)
        pearson            (u − 1)²                        v                    t²/4 + t        ∫ (p − q)²/q
        squared_hellinger  (√u − 1)²                       1 − exp(−v)          t/(1 − t)       ∫ (√p − √q)²
        jensen_shannon     u log u − (u + 1) log((u+1)/2)  log 2 − softplus(−v) −log(2 − eᵗ)    2 JSD(P‖Q)
        gan                u log u − (u + 1) log(u + 1)    −softplus(−v)        −log(1 − eᵗ)    2 JSD(P‖Q) − log 4
        total_variation    ½ |u − 1|                       ½ tanh v             t               ½ ∫ |p − q|

    (Table 1 prints JSD without its 2, and Pearson's χ² over p; with these f they are as above.) f*(g_f(v)) is
    simplified first, so that no logarithm undoes an exponential. A term that is an exponential itself, as kl,
    reverse_kl and squared_hellinger have, is finite in float32 up to |v| = 88; nothing is clipped.

    Args:
        divergence: f.
        trick: G maximizes E[ T(x̃) ] in place of minimizing −E[ f*(T(x̃)) ] (§3.2): the fixed point is the same. With
            `gan` that is −log D, the gradient that does not vanish where D wins.
    """

    def __init__(self, divergence: Divergence = "jensen_shannon", trick: bool = True) -> None:
        self.divergence, self.trick = divergence, trick
        self.bound = BOUNDS[divergence]

    def real(self, logits: torch.Tensor) -> torch.Tensor:
        """−T(x)."""
        return -self.bound.output(precise(logits))

    def fake(self, logits: torch.Tensor) -> torch.Tensor:
        """f*(T(x̃))."""
        return self.bound.conjugate(precise(logits))

    def generator(self, logits: torch.Tensor) -> torch.Tensor:
        """−f*(T(x̃)), or −T(x̃)."""
        return self.real(logits) if self.trick else -self.fake(logits)


@dataclass(frozen=True)
class Bound:
    """The two functions of D's output l that the bound is made of.

    Attributes:
        output: T = g_f(l).
        conjugate: f*(g_f(l)).
    """

    output: Function
    conjugate: Function


BOUNDS: dict[str, Bound] = {
    "kl": Bound(lambda v: v, lambda v: (v - 1).exp()),
    "reverse_kl": Bound(lambda v: -(-v).exp(), lambda v: v - 1),
    "pearson": Bound(lambda v: v, lambda v: v.square() / 4 + v),
    "squared_hellinger": Bound(lambda v: -(-v).expm1(), torch.expm1),
    "jensen_shannon": Bound(lambda v: math.log(2) - F.softplus(-v), lambda v: F.softplus(v) - math.log(2)),
    "gan": Bound(lambda v: -F.softplus(-v), F.softplus),
    "total_variation": Bound(lambda v: v.tanh() / 2, lambda v: v.tanh() / 2),
}
