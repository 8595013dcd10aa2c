"""Adversarial losses against closed forms and finite differences, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from adaptgan.objectives.adversarial import Hinge, LeastSquares, Minimax, NonSaturating, Wasserstein, precise
from adaptgan.objectives.entropy import entropy, mutual_information

P = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
Q = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)


def kl(p: torch.Tensor, q: torch.Tensor) -> float:
    return float((p * (p / q).log()).sum())


def best_logits(objective: Minimax | LeastSquares) -> torch.Tensor:
    """The logits that minimize the discriminator's loss for densities P and Q, by Newton's method on each point."""
    logits = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    for _ in range(200):
        loss = (P * objective.real(logits) + Q * objective.fake(logits)).sum()
        (gradient,) = torch.autograd.grad(loss, logits, create_graph=True)
        (curvature,) = torch.autograd.grad(gradient.sum(), logits)
        logits = (logits - gradient / curvature).detach().requires_grad_()
    return logits.detach()


def test_optimal_discriminator_is_p_over_p_plus_q() -> None:
    assert torch.allclose(best_logits(Minimax()).sigmoid(), P / (P + Q), atol=1e-9)
    assert torch.allclose(best_logits(LeastSquares()), P / (P + Q), atol=1e-9)


def test_value_at_the_optimum_is_twice_jsd_minus_log_four() -> None:
    logits, objective = best_logits(Minimax()), Minimax()
    value = -float((P * objective.real(logits) + Q * objective.fake(logits)).sum())
    middle = (P + Q) / 2
    jsd = (kl(P, middle) + kl(Q, middle)) / 2
    assert value == pytest.approx(2 * jsd - math.log(4), abs=1e-9)


def test_generator_terms() -> None:
    logits = torch.linspace(-6, 6, 25, dtype=torch.float64)
    d = 1 / (1 + (-logits).exp())
    assert torch.allclose(Minimax().generator(logits), (1 - d).log())
    assert torch.allclose(NonSaturating().generator(logits), -d.log())
    assert torch.allclose(LeastSquares().generator(logits), (logits - 1) ** 2 / 2)


def test_non_saturating_gradient_survives_a_winning_discriminator() -> None:
    logits = torch.tensor(-12.0, dtype=torch.float64, requires_grad=True)
    slope = [torch.autograd.grad(o.generator(logits), logits)[0].abs().item() for o in (Minimax(), NonSaturating())]
    assert slope[0] < 1e-5 and slope[1] > 0.99


@pytest.mark.parametrize("objective", [Minimax(), NonSaturating(), LeastSquares(), Wasserstein(), Hinge()])
@pytest.mark.parametrize("term", ["real", "fake", "generator"])
def test_gradients_by_finite_differences(objective: Minimax | LeastSquares, term: str) -> None:
    logits = torch.randn(7, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(getattr(objective, term), (logits,))


def test_wasserstein_of_the_best_critic_is_the_distance() -> None:
    """On the line the best critic of slope 1 rises where F_P < F_Q: its value is ∫ |F_P − F_Q|, as scipy has it."""
    generator = np.random.default_rng(0)
    real, fake = generator.normal(0.5, 1, 40), generator.normal(0, 2, 30)
    points = np.sort(np.concatenate([real, fake]))
    above = np.array([(real <= a).mean() < (fake <= a).mean() for a in points[:-1]])
    heights = np.concatenate([[0], np.cumsum(np.where(above, 1, -1) * np.diff(points))])
    critic = dict(zip(points, heights, strict=True))
    objective = Wasserstein()
    logits_real, logits_fake = (torch.tensor([critic[x] for x in side]) for side in (real, fake))
    loss = objective.real(logits_real).mean() + objective.fake(logits_fake).mean()
    assert -loss.item() == pytest.approx(wasserstein_distance(real, fake), abs=1e-9)
    # G's only moves its own images: its value is the critic's on them.
    assert objective.generator(logits_fake).mean().item() == pytest.approx(-np.mean(logits_fake.numpy()))


def test_hinge_at_its_optimum_is_twice_one_minus_total_variation() -> None:
    """The best logit is the sign of p − q (Lim & Ye 2017), found here on a grid."""
    objective, grid = Hinge(), torch.linspace(-3, 3, 601, dtype=torch.float64)
    losses = P[:, None] * objective.real(grid) + Q[:, None] * objective.fake(grid)
    assert torch.allclose(grid[losses.argmin(1)], (P - Q).sign(), atol=1e-9)
    total_variation = (P - Q).abs().sum() / 2
    assert losses.amin(1).sum().item() == pytest.approx(2 * (1 - total_variation.item()), abs=1e-9)


def test_hinge_leaves_alone_what_is_beyond_the_margin() -> None:
    logits = torch.tensor([-2.0, -0.5, 0.5, 2.0], requires_grad=True)
    slopes = {
        name: torch.autograd.grad(getattr(Hinge(), name)(logits).sum(), logits)[0].tolist()
        for name in ("real", "fake", "generator")
    }
    assert slopes == {"real": [-1, -1, -1, 0], "fake": [0, 1, 1, 1], "generator": [-1, -1, -1, -1]}


def test_precise_raises_half_precision_only() -> None:
    kinds = {torch.bfloat16: torch.float32, torch.float16: torch.float32, torch.float64: torch.float64}
    assert all(precise(torch.ones(1, dtype=kind)).dtype == wanted for kind, wanted in kinds.items())


def test_entropy_and_information_at_their_extremes() -> None:
    k = 5
    assert entropy(torch.full((k,), 1 / k)).item() == pytest.approx(math.log(k), abs=1e-6)
    assert entropy(torch.eye(k)).abs().max().item() < 1e-6
    sure_and_balanced = 200 * torch.eye(k)
    assert mutual_information(sure_and_balanced).item() == pytest.approx(math.log(k), abs=1e-5)
    one_class = torch.zeros(k, k)
    one_class[:, 0] = 200
    assert mutual_information(one_class).item() == pytest.approx(0, abs=1e-5)
    undecided = torch.zeros(k, k)
    assert mutual_information(undecided).item() == pytest.approx(0, abs=1e-5)
