"""Adversarial losses against closed forms and finite differences, in float64."""

from __future__ import annotations

import math

import pytest
import torch

from adaptgan.objectives.adversarial import LeastSquares, Minimax, NonSaturating
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


@pytest.mark.parametrize("objective", [Minimax(), NonSaturating(), LeastSquares()])
@pytest.mark.parametrize("term", ["real", "fake", "generator"])
def test_gradients_by_finite_differences(objective: Minimax | LeastSquares, term: str) -> None:
    logits = torch.randn(7, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(getattr(objective, term), (logits,))


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
