"""The seven bounds against their definitions: closed forms, integrals, conjugates by search; in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from adaptgan.objectives.adversarial import Minimax, NonSaturating
from adaptgan.objectives.f_divergence import Divergence, FDivergence
from adaptgan.testing import check_objective

NAMES: tuple[str, ...] = get_args(Divergence)
P = np.array([0.5, 0.3, 0.15, 0.05])
Q = np.array([0.1, 0.2, 0.3, 0.4])

F: dict[str, Callable[[float], float]] = {
    "kl": lambda u: u * math.log(u),
    "reverse_kl": lambda u: -math.log(u),
    "pearson": lambda u: (u - 1) ** 2,
    "squared_hellinger": lambda u: (math.sqrt(u) - 1) ** 2,
    "jensen_shannon": lambda u: u * math.log(u) - (u + 1) * math.log((u + 1) / 2),
    "gan": lambda u: u * math.log(u) - (u + 1) * math.log(u + 1),
    "total_variation": lambda u: abs(u - 1) / 2,
}
"""f, by which everything else is judged."""


def kl(p: np.ndarray, q: np.ndarray) -> float:
    return float((p * np.log(p / q)).sum())


def jsd(p: np.ndarray, q: np.ndarray) -> float:
    return (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2


CLOSED: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "kl": kl,
    "reverse_kl": lambda p, q: kl(q, p),
    "pearson": lambda p, q: float(((p - q) ** 2 / q).sum()),
    "squared_hellinger": lambda p, q: float(((np.sqrt(p) - np.sqrt(q)) ** 2).sum()),
    "jensen_shannon": lambda p, q: 2 * jsd(p, q),
    "gan": lambda p, q: 2 * jsd(p, q) - math.log(4),
    "total_variation": lambda p, q: float(np.abs(p - q).sum() / 2),
}


def term(objective: FDivergence, name: str, v: float) -> float:
    return float(getattr(objective, name)(torch.tensor(v, dtype=torch.float64)))


def bound(objective: FDivergence, p: np.ndarray, q: np.ndarray, v: np.ndarray) -> float:
    """E_P[T] − E_Q[f*(T)], which D maximizes."""
    logits = torch.from_numpy(v)
    return float(-(p * objective.real(logits).numpy()).sum() - (q * objective.fake(logits).numpy()).sum())


def optimal(name: str, p: float, q: float) -> float:
    """D's output that maximizes the bound where the densities are p and q, found by search."""
    objective = FDivergence(name)  # type: ignore[arg-type]

    def loss(v: float) -> float:
        return p * term(objective, "real", v) + q * term(objective, "fake", v)

    return float(minimize_scalar(loss, bounds=(-30, 30), method="bounded", options={"xatol": 1e-10}).x)


@pytest.mark.parametrize("name", NAMES)
def test_the_conjugate_is_the_supremum_of_ut_minus_f(name: str) -> None:
    """f*(t) = sup_u (u t − f(u)), at t = g_f(v)."""
    objective = FDivergence(name)  # type: ignore[arg-type]
    for v in (-1.5, -0.4, 0.0, 0.3, 1.2):
        t = -term(objective, "real", v)
        # Over log u, so that the search covers very small and very large u alike.
        found = minimize_scalar(
            lambda s, t=t: F[name](math.exp(s)) - math.exp(s) * t,
            bounds=(-40, 8),
            method="bounded",
            options={"xatol": 1e-10},
        )
        assert term(objective, "fake", v) == pytest.approx(-found.fun, abs=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_the_best_bound_is_the_divergence_of_discrete_densities(name: str) -> None:
    v = np.array([optimal(name, p, q) for p, q in zip(P, Q, strict=True)])
    value = bound(FDivergence(name), P, Q, v)  # type: ignore[arg-type]
    assert value == pytest.approx(CLOSED[name](P, Q), abs=1e-8)
    assert value == pytest.approx(sum(q * F[name](p / q) for p, q in zip(P, Q, strict=True)), abs=1e-8)
    if name != "total_variation":  # its best v lies at infinity
        worse = [bound(FDivergence(name), P, Q, v + shift) for shift in (-0.1, 0.1)]  # type: ignore[arg-type]
        assert max(worse) < value - 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_the_best_t_is_the_slope_of_f(name: str) -> None:
    objective = FDivergence(name)  # type: ignore[arg-type]
    for p, q in zip(P, Q, strict=True):
        u, h = p / q, 1e-6
        slope = (F[name](u + h) - F[name](u - h)) / (2 * h)
        assert -term(objective, "real", optimal(name, p, q)) == pytest.approx(slope, abs=1e-6)


GAUSSIANS = {
    # Of N(0, 1) and N(μ, 1).
    "kl": lambda μ: μ**2 / 2,
    "reverse_kl": lambda μ: μ**2 / 2,
    "pearson": lambda μ: math.exp(μ**2) - 1,
    "squared_hellinger": lambda μ: 2 * (1 - math.exp(-(μ**2) / 8)),
    "total_variation": lambda μ: math.erf(μ / 2 / math.sqrt(2)),
}
RATIO_TO_OUTPUT: dict[str, Callable[[float], float]] = {
    # v = g_f⁻¹(f′(p/q)) by hand, of r = log(p/q).
    "kl": lambda r: 1 + r,
    "reverse_kl": lambda r: r,
    "pearson": lambda r: 2 * (math.exp(r) - 1),
    "squared_hellinger": lambda r: r / 2,
    "jensen_shannon": lambda r: r,
    "gan": lambda r: r,
    "total_variation": lambda r: math.copysign(40.0, r),
}


@pytest.mark.parametrize("name", NAMES)
def test_gaussians(name: str) -> None:
    """The bound at the optimal T, integrated numerically, against the closed form, or the integral of q f(p/q)."""
    objective, μ = FDivergence(name), 1.2  # type: ignore[arg-type]

    def density(x: float, mean: float) -> float:
        return math.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi)

    def inside(x: float) -> float:
        p, q = density(x, 0), density(x, μ)
        v = RATIO_TO_OUTPUT[name](math.log(p / q))
        return -p * term(objective, "real", v) - q * term(objective, "fake", v)

    # Split where p = q: there the total variation's integrand jumps.
    value = sum(quad(inside, a, b, epsabs=1e-8)[0] for a, b in ((-7, μ / 2), (μ / 2, 8)))
    if name in GAUSSIANS:
        assert value == pytest.approx(GAUSSIANS[name](μ), abs=1e-6)
    else:
        expected, _ = quad(lambda x: density(x, μ) * F[name](density(x, 0) / density(x, μ)), -7, 8, epsabs=1e-10)
        assert value == pytest.approx(expected, abs=1e-6)


def test_jensen_shannon_is_symmetric_and_at_most_log_two() -> None:
    def divergence(p: np.ndarray, q: np.ndarray) -> float:
        v = np.array([optimal("jensen_shannon", a, b) for a, b in zip(p, q, strict=True)])
        return bound(FDivergence("jensen_shannon"), p, q, v) / 2

    assert divergence(P, Q) == pytest.approx(divergence(Q, P), abs=1e-9)
    apart = divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert apart == pytest.approx(math.log(2), abs=1e-9) and divergence(P, P) == pytest.approx(0, abs=1e-9)
    generator = np.random.default_rng(0)
    for _ in range(20):
        p, q = generator.dirichlet(np.ones(4) / 4, 2)
        assert -1e-9 < divergence(p, q) < math.log(2) + 1e-9


def test_gan_is_goodfellows() -> None:
    logits = torch.linspace(-50, 50, 41, dtype=torch.float64)
    for ours, theirs in ((FDivergence("gan", False), Minimax()), (FDivergence("gan", True), NonSaturating())):
        for name in ("real", "fake", "generator"):
            assert torch.allclose(getattr(ours, name)(logits), getattr(theirs, name)(logits), atol=1e-12)


@pytest.mark.parametrize("trick", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_conforms_and_gradients_by_finite_differences(name: str, trick: bool) -> None:
    check_objective({"name": "f_gan", "divergence": name, "trick": trick})
    objective = FDivergence(name, trick)  # type: ignore[arg-type]
    logits = torch.randn(7, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    for part in ("real", "fake", "generator"):
        assert torch.autograd.gradcheck(getattr(objective, part), (logits,))


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_far_out(name: str) -> None:
    """Values and gradients are finite to |v| = 88 and agree with float64; bfloat16 logits are computed in float32."""
    objective = FDivergence(name)  # type: ignore[arg-type]
    far = torch.tensor([-88.0, -30.0, -8.0, 8.0, 30.0, 88.0], requires_grad=True)
    for part in ("real", "fake", "generator"):
        values = getattr(objective, part)(far)
        (slopes,) = torch.autograd.grad(values.sum(), far)
        assert torch.isfinite(values).all() and torch.isfinite(slopes).all()
        exact = getattr(objective, part)(far.detach().double())
        assert torch.allclose(values.double(), exact, rtol=1e-4)
        assert getattr(objective, part)(far.detach().bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
def test_the_trick_has_a_gradient_where_the_discriminator_wins(name: str) -> None:
    """At the outputs of a discriminator that is sure, Algorithm 1's generator has next to none."""
    sure = torch.tensor(RATIO_TO_OUTPUT[name](-12.0), dtype=torch.float64, requires_grad=True)
    plain, tricked = (
        torch.autograd.grad(FDivergence(name, trick).generator(sure), sure)[0].item()  # type: ignore[arg-type]
        for trick in (False, True)
    )
    assert plain <= 0 and tricked <= 0
    if name not in ("reverse_kl", "total_variation"):  # f*'s slope is constant there, or both vanish
        assert abs(plain) < 0.003 < 0.4 < abs(tricked)
