"""Penalties on gradients against critics whose gradient is known by hand, and against float64 finite differences."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.errors import ParamsError
from adaptgan.objectives.gradient_penalty import R1, R2, GradientPenalty, image_gradients
from adaptgan.plugins import components
from adaptgan.testing import tiny_info
from adaptgan.training.devices import make_fabric

N, C, H, W = 6, 2, 4, 3


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Linear(nn.Module):
    """D(x) = ⟨w, x⟩ + b: its gradient is w at each image."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.w = nn.Parameter(scale * draw(0, C, H, W))
        self.b = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images * self.w).sum((1, 2, 3)) + self.b


class Quadratic(Linear):
    """D(x) = ½ ⟨x, w x⟩: its gradient at x is w x, another for each image."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.square() * self.w).sum((1, 2, 3)) / 2


class Classes(Linear):
    """D(x, y) = (y + 1) ⟨w, x⟩."""

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return super().forward(images) * (labels + 1)


class Patches(Linear):
    """A map: ⟨w, x⟩ at one place, and what no gradient comes from at three others."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        value = super().forward(images)
        return torch.stack([value, 0 * value, 0 * value, 0 * value], 1).view(-1, 2, 2)


@pytest.fixture(autouse=True)
def doubles() -> Any:
    """ε in float64 too."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def real() -> torch.Tensor:
    return draw(1, N, C, H, W)


@pytest.fixture
def fake() -> torch.Tensor:
    return draw(2, N, C, H, W)


@pytest.mark.parametrize("scale", [0.05, 1.0])
@pytest.mark.parametrize("two_sided", [True, False])
def test_of_a_linear_critic(scale: float, two_sided: bool, real: torch.Tensor, fake: torch.Tensor) -> None:
    """λ (‖w‖ − 1)², whatever ε and however many images; nothing below 1 where one-sided."""
    critic, penalty = Linear(scale), GradientPenalty(10.0, two_sided)
    norm = critic.w.norm().item()
    expected = 10 * (norm - 1) ** 2 if two_sided or norm > 1 else 0.0
    for count in (N, 1):
        (term,) = penalty.terms(critic, real[:count], fake[:count]).values()
        assert term.item() == pytest.approx(expected, rel=1e-9)
    term.backward()
    slope = 20 * (norm - 1) * critic.w / norm if expected else torch.zeros_like(critic.w)
    assert critic.w.grad is not None and torch.allclose(critic.w.grad, slope)
    # One norm for the whole batch, and one for each pixel, which are the usual mistakes, give something else.
    of_batch = 10 * (critic.w.norm() * N**0.5 - 1) ** 2
    of_pixels = 10 * (critic.w.norm(dim=0) - 1).square().mean()
    assert min(abs(of_batch.item() - expected), abs(of_pixels.item() - expected)) > 0.1


def test_each_image_has_an_epsilon_and_a_norm_of_its_own(real: torch.Tensor, fake: torch.Tensor) -> None:
    """Of a quadratic critic ‖∇D(x̂)‖ tells where x̂ lies: solve for ε, image by image."""
    critic = Quadratic()
    with torch.no_grad():
        critic.w.fill_(1)  # ∇D(x) = x
    torch.manual_seed(0)
    seen: list[torch.Tensor] = []
    forward = critic.forward
    critic.forward = lambda images: seen.append(images) or forward(images)  # type: ignore[func-returns-value, method-assign]
    (term,) = GradientPenalty().terms(critic, real, fake).values()
    x = seen[0].detach()
    share = ((x - fake) / (real - fake)).flatten(1)
    epsilon = share.mean(1)
    assert torch.allclose(share, epsilon[:, None].expand_as(share))  # one for all of an image's pixels
    assert epsilon.min() >= 0 and epsilon.max() <= 1 and len(epsilon.unique()) == N
    expected = 10 * (x.flatten(1).norm(dim=1) - 1).square().mean()
    assert term.item() == pytest.approx(expected.item(), rel=1e-9)
    one_norm = 10 * (x.norm() - 1).square()
    assert abs(one_norm.item() - expected.item()) > 1
    other = GradientPenalty().terms(critic, real, fake)["gradient_penalty"]
    assert other.item() != term.item()  # drawn anew each time


def test_epsilon_is_uniform() -> None:
    critic, many = Quadratic(), 4000
    with torch.no_grad():
        critic.w.fill_(1)
    ones = torch.ones(many, 1, 1, 1).expand(-1, C, H, W)
    torch.manual_seed(0)
    seen: list[torch.Tensor] = []
    forward = critic.forward
    critic.forward = lambda images: seen.append(images) or forward(images)  # type: ignore[func-returns-value, method-assign]
    GradientPenalty().terms(critic, ones, torch.zeros_like(ones))
    epsilon = seen[0][:, 0, 0, 0].detach().sort().values
    assert (epsilon - torch.linspace(0, 1, many)).abs().max() < 0.03  # Kolmogorov and Smirnov


def test_r1_and_r2_by_hand(real: torch.Tensor, fake: torch.Tensor) -> None:
    critic = Quadratic()
    for penalty, images in ((R1(3.0), real), (R2(3.0), fake)):
        critic.zero_grad()
        ((name, term),) = penalty.terms(critic, real, fake).items()
        expected = 1.5 * (critic.w.detach() * images).flatten(1).square().sum(1).mean()
        assert name == type(penalty).__name__.lower()
        assert term.item() == pytest.approx(expected.item(), rel=1e-9)
        term.backward()
        # d/dw of γ/2 E Σ w² x² is γ w E x².
        assert critic.w.grad is not None
        assert torch.allclose(critic.w.grad, 3 * critic.w.detach() * images.square().mean(0))


@pytest.mark.parametrize("penalty", [GradientPenalty(), R1(), R2()])
def test_of_a_map_the_mean_counts(penalty: R1, real: torch.Tensor, fake: torch.Tensor) -> None:
    """A map in which one logit of four is D(x) has the penalty of D/4."""
    (term,) = penalty.terms(Patches(), real, fake).values()
    (expected,) = penalty.terms(Linear(0.25), real, fake).values()
    assert term.item() == pytest.approx(expected.item(), rel=1e-9)


def test_labels_reach_a_conditional_critic(real: torch.Tensor, fake: torch.Tensor) -> None:
    labels = torch.arange(N) % 3
    critic = Classes()
    norm_N = critic.w.detach().norm() * (labels + 1)
    for penalty, expected in (
        (GradientPenalty(), 10 * (norm_N - 1) ** 2),
        (R1(), 5 * norm_N**2),
        (R2(), 5 * norm_N**2),
    ):
        (term,) = penalty.terms(critic, real, fake, labels).values()
        assert term.item() == pytest.approx(expected.mean().item(), rel=1e-9)
        with pytest.raises(TypeError):
            penalty.terms(critic, real, fake)


def test_no_gradient_goes_to_the_images_maker(real: torch.Tensor) -> None:
    made = real.clone().requires_grad_()
    for penalty in (GradientPenalty(), R1(), R2()):
        (term,) = penalty.terms(Quadratic(), made, 2 * made).values()
        assert torch.autograd.grad(term, made, allow_unused=True) == (None,)


def network() -> nn.Module:
    torch.manual_seed(0)
    built: nn.Module = nn.Sequential(nn.Conv2d(C, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(10, 1), nn.Flatten(0))
    return built


@pytest.mark.parametrize("penalty", [GradientPenalty(), GradientPenalty(two_sided=False), R1(), R2()])
def test_weights_gradients_by_finite_differences(penalty: R1, real: torch.Tensor, fake: torch.Tensor) -> None:
    """Of a convolutional critic: the second derivative that training follows."""
    critic = network()
    with torch.no_grad():
        critic[3].weight *= 10  # so that the one-sided penalty acts
    names = [name for name, _ in critic.named_parameters()]

    def value(*weights: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        bound = Bound(critic, dict(zip(names, weights, strict=True)))
        (term,) = penalty.terms(bound, real[:2], fake[:2]).values()
        return term

    weights = tuple(parameter.detach().clone().requires_grad_() for parameter in critic.parameters())
    assert value(*weights).item() > 0
    assert torch.autograd.gradcheck(value, weights)


class Bound(nn.Module):
    """A network with weights given from outside."""

    def __init__(self, inner: nn.Module, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.inner, self.weights = inner, weights

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(self.inner, self.weights, (images,))


def test_mixed_precision_wrapped_and_compared(real: torch.Tensor, fake: torch.Tensor) -> None:
    """Under bf16 autocast in Fabric's wrapper; norms are taken in float32, and weights get their gradients."""
    torch.set_default_dtype(torch.float32)
    critic = network().float()
    with torch.no_grad():
        critic[3].weight *= 10
    fabric = make_fabric(torch.device("cpu"), "bf16-mixed")
    for penalty in (GradientPenalty(), R1(), R2()):
        results = []
        for wrap in (False, True):
            copied = copy.deepcopy(critic)
            judged = fabric.setup_module(copied) if wrap else copied
            torch.manual_seed(0)
            with fabric.autocast() if wrap else torch.autocast("cpu", enabled=False):
                (term,) = penalty.terms(judged, real.float(), fake.float()).values()
            assert term.dtype == torch.float32
            fabric.backward(term) if wrap else term.backward()
            results.append(
                (term.item(), torch.cat([p.grad.flatten() for p in copied.parameters() if p.grad is not None]))
            )
        (plain, plain_slope), (mixed, mixed_slope) = results
        assert mixed == pytest.approx(plain, rel=0.05) and mixed != plain
        assert F.cosine_similarity(plain_slope, mixed_slope, dim=0) > 0.99
        assert plain_slope.norm().item() == pytest.approx(mixed_slope.norm().item(), rel=0.05)


def test_no_gradient_at_all_is_finite() -> None:
    """A critic of weight zero: the norm's slope is not defined there, and must not become NaN."""
    critic = Linear(0.0)
    (term,) = GradientPenalty().terms(critic, draw(1, N, C, H, W), draw(2, N, C, H, W)).values()
    term.backward()
    assert term.item() == pytest.approx(10) and critic.w.grad is not None and torch.isfinite(critic.w.grad).all()


def test_image_gradients_are_each_images_own(real: torch.Tensor) -> None:
    critic = Quadratic()
    assert torch.allclose(image_gradients(critic, real), (critic.w * real).flatten(1))


def test_batch_norm_is_refused_by_name() -> None:
    penalty = GradientPenalty()
    for norm in ("none", "instance"):
        penalty.prepare(
            components().build(
                "network", {"name": "dcgan_discriminator", "channels": 4, "norm": norm}, "", [tiny_info()]
            )
        )
    batch_norm = components().build("network", {"name": "dcgan_discriminator", "channels": 4}, "", [tiny_info()])
    with pytest.raises(ParamsError, match="DCGANDiscriminator has BatchNorm.*`norm` of `none`"):
        penalty.prepare(batch_norm)
    R1().prepare(batch_norm)
