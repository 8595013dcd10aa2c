"""Likelihoods and the Gaussian divergence against torch.distributions, and by sampling."""

from __future__ import annotations

import math

import pytest
import torch
from torch import distributions as D

from adaptgan.objectives.likelihood import (
    bernoulli_nll,
    continuous_bernoulli_nll,
    gaussian_nll,
    kl_to_standard_normal,
    log_normalizer,
)


def test_the_divergence_in_closed_form() -> None:
    mean, log_variance = torch.randn(5, 7).double(), torch.randn(5, 7).double()
    q = D.Normal(mean, (0.5 * log_variance).exp())
    expected = D.kl_divergence(q, D.Normal(torch.zeros(7).double(), torch.ones(7).double())).sum(1)
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), expected)
    assert torch.equal(kl_to_standard_normal(torch.zeros(1, 3), torch.zeros(1, 3)), torch.zeros(1))


def test_the_divergence_by_sampling() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.tensor([[0.7, -0.3]]).double(), torch.tensor([[-1.0, 0.4]]).double()
    q, p = D.Normal(mean, (0.5 * log_variance).exp()), D.Normal(0.0, 1.0)
    z = q.sample((200_000,))
    sampled = (q.log_prob(z) - p.log_prob(z)).sum(2)
    error = sampled.std() / math.sqrt(len(sampled))
    assert (sampled.mean() - kl_to_standard_normal(mean, log_variance)).abs() < 4 * error


def test_gaussian() -> None:
    x, decoded = torch.rand(3, 2, 4, 4) * 2 - 1, torch.rand(3, 2, 4, 4) * 2 - 1
    expected = -D.Normal(decoded, 0.3).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(gaussian_nll(x, decoded, 0.3), expected)


def test_bernoulli() -> None:
    x = torch.randint(2, (3, 1, 4, 4)).float()
    p = torch.rand(3, 1, 4, 4) * 0.98 + 0.01
    expected = -D.Bernoulli(p).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(bernoulli_nll(2 * x - 1, 2 * p - 1), expected)


def test_continuous_bernoulli() -> None:
    x, p = torch.rand(3, 1, 4, 4), torch.rand(3, 1, 4, 4) * 0.98 + 0.01
    expected = -D.ContinuousBernoulli(p).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(continuous_bernoulli_nll(2 * x - 1, 2 * p - 1), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("p", [1e-6, 0.1, 0.3, 0.4799, 0.4801, 0.49999, 0.5, 0.52, 0.7, 1 - 1e-6])
def test_the_constant_makes_a_density(p: float) -> None:
    """∫₀¹ C p^t (1−p)^(1−t) dt = 1, by the midpoint rule."""
    p = torch.tensor(p).item()  # as float32 has it
    t = (torch.arange(200_000).double() + 0.5) / 200_000
    mass = (t * math.log(p) + (1 - t) * math.log1p(-p)).exp().mean()
    computed = log_normalizer(torch.tensor([p], dtype=torch.float64)).exp() * mass
    assert computed.item() == pytest.approx(1.0, abs=1e-7)
    assert log_normalizer(torch.tensor([p])).item() == pytest.approx(-mass.log().item(), abs=1e-4)


def test_saturated_pixels_cost_much_but_finite() -> None:
    black, white = -torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    for nll in (bernoulli_nll, continuous_bernoulli_nll):
        wrong = nll(black, white.requires_grad_())
        assert torch.isfinite(wrong).all()
        assert wrong.item() > 40
        assert nll(black, black).item() < 1e-4
    log_normalizer(torch.full((3,), 0.5).requires_grad_()).sum().backward()
