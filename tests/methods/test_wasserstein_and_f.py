"""WGAN, WGAN-GP and f-GAN: each step against its algorithm box, by hand; and that a critic finds a distance."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, get_args

import pytest
import torch
from torch import nn

from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.wgan import WGAN, Patient, prepared
from adaptgan.objectives.f_divergence import BOUNDS, Divergence
from adaptgan.plugins import components
from adaptgan.testing import check_method, tiny_info
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

CPU = torch.device("cpu")
INFO = DataInfo(1, 8, 8, ("a", "b", "c"))
N = 6
PLAIN = {
    "generator": {"name": "plain_generator", "widths": [8], "noise": 4},
    "discriminator": {"name": "plain_discriminator", "widths": [8], "activation": "leaky_relu"}
    | {"input_dropout": 0.0, "dropout": 0.0},
}


def build(name: str, **options: Any) -> Any:
    seed_all("weights")
    return components().build("method", {"name": name, **PLAIN, **options}, name, [INFO]).train()


def batch(step: int = 0) -> Batch:
    images = torch.rand(N, 1, 8, 8, generator=torch.Generator().manual_seed(step)) * 2 - 1
    return Batch(Side(images, torch.arange(N) % 3, torch.arange(N) + 100 * step), None, step, 0.5)


def run(method: Any, step: int = 0, precision: str = "32-true") -> dict[str, torch.Tensor]:
    engine = Engine(make_fabric(CPU, precision), method, 1000)
    turns = max(phase.repeats for phase in engine.phases)
    seed_all("step", step)
    return engine.step([dataclasses.replace(batch(10 * step + turn), step=step) for turn in range(turns)])


def test_defaults_are_the_papers() -> None:
    method = components().build("method", "wgan", "", [tiny_info()])
    assert [type(penalty).__name__ for penalty in method.penalties] == ["WeightClip"]
    assert method.penalties[0].limit == 0.01 and method.repeats == 5 and method.discriminator.by_batch
    for options in (method.optimizer, method.generator_optimizer):
        assert (options.name, options.lr) == ("rmsprop", 5e-5)
    method = components().build("method", "wgan_gp", "", [tiny_info()])
    assert [type(penalty).__name__ for penalty in method.penalties] == ["GradientPenalty"]
    assert method.penalties[0].weight == 10 and method.repeats == 5 and not method.discriminator.by_batch
    for options in (method.optimizer, method.generator_optimizer):
        assert (options.name, options.lr, options.betas) == ("adam", 1e-4, (0.0, 0.9))
    assert method.eager == ("discriminator",)  # torch.compile cannot differentiate twice


def test_wgan_steps_by_hand() -> None:
    """n_critic ascents of E D(x) − E D(G(z)), each followed by the clip; then one of G; as RMSprop has it."""
    rate, limit = 1e-3, 0.05
    options = {"name": "rmsprop", "lr": rate, "momentum": 0.0}
    method = build(
        "wgan",
        repeats=3,
        penalties=[{"name": "weight_clip", "limit": limit}],
        optimizer=options,
        generator_optimizer=options,
    )
    twin = build("wgan", repeats=3, penalties=[{"name": "weight_clip", "limit": limit}])
    losses = run(method)
    seed_all("step", 0)
    d, g = twin.discriminator, twin.generator
    by_d, by_g = torch.optim.RMSprop(d.parameters(), rate), torch.optim.RMSprop(g.parameters(), rate)
    first = None
    for turn in range(3):
        x, z = batch(turn).source.images_NCHW, torch.randn(N, 4)
        first = z if first is None else first
        by_d.zero_grad()
        (-(d(x).mean() - d(g(z).detach()).mean())).backward()
        by_d.step()
        with torch.no_grad():
            for w in d.parameters():
                w.copy_(torch.tensor(w.numpy().clip(-limit, limit)))
    by_g.zero_grad()
    loss = -d(g(first)).mean()
    loss.backward()
    by_g.step()
    assert losses["generator/adversarial"].item() == pytest.approx(loss.item(), rel=1e-4)
    for mine, theirs in ((method.discriminator, d), (method.generator, g)):
        for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(one, other, atol=1e-5)
    assert max(w.abs().max().item() for w in method.discriminator.parameters()) <= limit * (1 + 1e-6)


def test_wgan_gp_critic_loss_by_hand() -> None:
    method = build("wgan_gp")
    b = batch()
    torch.manual_seed(3)
    losses = method.discriminator_loss(b)
    d, x, fake = method.discriminator, b.source.images_NCHW, b.shared["fake"].detach()
    torch.manual_seed(3)
    torch.randn(N, 4)  # z
    ε = torch.rand(N, 1, 1, 1)
    norms = []
    for i in range(N):  # image by image, so that nothing of one can get into another
        between = (ε[i] * x[i] + (1 - ε[i]) * fake[i])[None].requires_grad_()
        (gradient,) = torch.autograd.grad(d(between).sum(), between)
        norms.append(math.sqrt(sum(value**2 for value in gradient.flatten().tolist())))
    assert losses["real"].item() == pytest.approx(-d(x).mean().item(), abs=1e-6)
    assert losses["generated"].item() == pytest.approx(d(fake).mean().item(), abs=1e-6)
    expected = 10 * sum((norm - 1) ** 2 for norm in norms) / N
    assert losses["gradient_penalty"].item() == pytest.approx(expected, rel=1e-4)


def test_wgan_gp_trains_as_a_textbook_loop() -> None:
    """Three whole steps with Adam, drawing in the same order.

    With a large ε: the critic's last bias has a gradient of 0 but for rounding, which Adam would blow up.
    """
    adam: dict[str, Any] = {"lr": 1e-3, "betas": [0.0, 0.9], "eps": 1e-3}
    method, twin = (build("wgan_gp", repeats=2, optimizer=adam, generator_optimizer=adam) for _ in range(2))
    engine = Engine(make_fabric(CPU, "32-true"), method, 1000)
    d, g = twin.discriminator, twin.generator
    by_d, by_g = (torch.optim.Adam(net.parameters(), 1e-3, (0.0, 0.9), 1e-3) for net in (d, g))
    for step in range(3):
        batches = [dataclasses.replace(batch(10 * step + turn), step=step) for turn in range(2)]
        seed_all("step", step)
        losses = engine.step(batches)
        seed_all("step", step)
        first = None
        for b in batches:
            x, z = b.source.images_NCHW, torch.randn(N, 4)
            first = z if first is None else first
            fake = g(z).detach()
            ε = torch.rand(N, 1, 1, 1)
            between = (ε * x + (1 - ε) * fake).requires_grad_()
            (gradient,) = torch.autograd.grad(d(between).sum(), between, create_graph=True)
            penalty = ((gradient.square().sum((1, 2, 3)).sqrt() - 1) ** 2).mean()
            by_d.zero_grad()
            (d(fake).mean() - d(x).mean() + 10 * penalty).backward()
            by_d.step()
        by_g.zero_grad()
        loss = -d(g(first)).mean()
        loss.backward()
        by_g.step()
        assert losses["generator/adversarial"].item() == pytest.approx(loss.item(), abs=1e-5)
    for mine, theirs in ((method.discriminator, d), (method.generator, g)):
        for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(one, other, atol=1e-6)


def test_wgan_gp_refuses_batch_norm_in_the_critic() -> None:
    info = tiny_info()
    batch_norm = {"name": "dcgan_discriminator", "channels": 4, "norm": "batch"}
    with pytest.raises(ParamsError, match="has BatchNorm"):
        components().build("method", {"name": "wgan_gp", "discriminator": batch_norm}, "", [info])
    with pytest.raises(ParamsError, match="has BatchNorm"):
        components().build("method", {"name": "dcgan", "penalties": ["gradient_penalty"]}, "", [info])
    components().build("method", {"name": "wgan", "discriminator": batch_norm}, "", [info])


@pytest.mark.parametrize("name", get_args(Divergence))
@pytest.mark.parametrize("trick", [True, False])
def test_fgan_losses_by_hand(name: str, trick: bool) -> None:
    method = build("fgan", divergence=name, trick=trick)
    b = batch()
    d, losses = method.discriminator, method.discriminator_loss(b)
    bound = BOUNDS[name]
    real, fake = d(b.source.images_NCHW), d(b.shared["fake"])
    assert losses["real"].item() == pytest.approx(-bound.output(real).mean().item(), rel=1e-4)
    assert losses["generated"].item() == pytest.approx(bound.conjugate(fake).mean().item(), rel=1e-4)
    expected = -(bound.output(fake) if trick else bound.conjugate(fake)).mean()
    assert method.generator_loss(b)["adversarial"].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("name", ["wgan", "wgan_gp", "fgan"])
def test_a_step_in_mixed_precision(name: str) -> None:
    network = {"name": "dcgan_discriminator", "channels": 4, "norm": "instance", "conditional": "concat"}
    generator = {"name": "dcgan_generator", "channels": 4, "noise": 4, "conditional": True}
    info = tiny_info(size=8)
    seed_all("weights")
    method = components().build("method", {"name": name, "discriminator": network, "generator": generator}, "", [info])
    before = {
        child: [p.clone() for p in getattr(method, child).parameters()] for child in ("generator", "discriminator")
    }
    losses = run(method.train(), precision="bf16-mixed")
    assert all(torch.isfinite(value) for value in losses.values())
    for child, weights in before.items():
        after = list(getattr(method, child).parameters())
        assert all(torch.isfinite(p).all() for p in after)
        assert any(not torch.equal(p, w) for p, w in zip(after, weights, strict=True))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("wgan", {"penalties": ["spectral_norm", "drift"], "repeats": 2}),
        ("wgan_gp", {"penalties": [{"name": "gradient_penalty", "two_sided": False}, "drift"], "repeats": 2}),
        ("fgan", {"penalties": [{"name": "r1", "every": 2}, "r2", "orthogonal"], "divergence": "kl"}),
    ],
)
def test_methods_with_other_penalties_conform(name: str, options: dict[str, Any]) -> None:
    check_method({"name": name, **PLAIN, **options}, info=INFO)


def author_schedule(turns: int) -> list[int]:
    """D's steps before each of G's, as the authors' program counts them."""
    return [100 if turn < 25 or turn % 500 == 0 else 5 for turn in range(turns)]


def test_the_critic_prepares_as_in_the_authors_code() -> None:
    wait, critic, counted = 20, 0, []
    for step in range(4000):
        critic += 5
        if prepared(step, wait):
            counted.append(critic)
            critic = 0
    assert len(counted) > 2000 and counted == author_schedule(len(counted))
    assert all(prepared(step, 1) for step in range(2000))


def test_wgan_prepares_within_the_engine() -> None:
    """G rests until D had its turns, in whole training steps; the phase stays what it is when it is scheduled."""
    method = build("wgan", repeats=2, prepare=5)
    assert isinstance(method, WGAN) and method.wait == 3
    phase = method.phases()[-1].scheduled(100)
    assert isinstance(phase, Patient) and [phase.active(step) for step in range(6)] == [False, False, True] * 2
    for step in range(3):
        weights = [p.clone() for p in method.generator.parameters()]
        run(method, step)
        moved = any(not torch.equal(p, w) for p, w in zip(method.generator.parameters(), weights, strict=True))
        assert moved == (step == 2)
        method = unwrapped(method)
    b = dataclasses.replace(batch(), step=0)
    assert not method.fake(b).requires_grad and method.fake(dataclasses.replace(batch(), step=2)).requires_grad
    check_method({"name": "wgan", **PLAIN, "repeats": 2, "prepare": 4}, info=INFO)


def unwrapped(method: Any) -> Any:
    """Without the engine's wrappers, for another one."""
    for name in ("generator", "discriminator"):
        setattr(method, name, getattr(method, name).module)
    return method


class Slope(nn.Module):
    """D(x) = Σ w x: the best critic of a shift."""

    by_batch = False

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, 8, 8))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images * self.w).sum((1, 2, 3))


def test_the_penalized_critic_finds_the_wasserstein_distance() -> None:
    """Between images and their shift by s it is ‖s‖; a linear critic reaches it, but for the penalty's softness.

    min_w −⟨w, s⟩ + λ (‖w‖ − 1)² is at ‖w‖ = 1 + ‖s‖ / 2λ.
    """
    method = build("wgan_gp", repeats=1, optimizer={"lr": 0.02})
    method.discriminator = Slope()
    shift = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.1
    distance = shift.norm().item()
    optimizer = torch.optim.Adam(method.discriminator.parameters(), 0.02)
    for step in range(300):
        b = batch(step)
        b.shared["fake"] = b.source.images_NCHW - shift
        losses = method.discriminator_loss(b)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    steepness = 1 + distance / 20
    assert method.discriminator.w.norm().item() == pytest.approx(steepness, rel=0.01)
    found = -(losses["real"] + losses["generated"]).item()
    assert found == pytest.approx(distance * steepness, rel=0.01)
