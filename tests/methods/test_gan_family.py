"""gan, dcgan, lsgan, cgan: the papers' defaults, and Algorithm 1 done by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from adaptgan.data.batch import Batch, Side
from adaptgan.data.sources.gaussians import modes
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.generative import TwoPlayers
from adaptgan.plugins import components
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

POINTS = DataInfo(1, 1, 2, tuple("abcdefgh"))
N = 16
PLAIN = {
    "generator": {"name": "plain_generator", "widths": [9], "noise": 3},
    "discriminator": {"name": "plain_discriminator", "widths": [7], "input_dropout": 0, "dropout": 0},
}


def resolved(name: str) -> dict[str, Any]:
    return components().resolve("method", name, "method")


def build(name: str, **options: Any) -> TwoPlayers:
    seed_all(0, "weights")
    method = components().build("method", {"name": name, **PLAIN, **options}, "method", [POINTS])
    assert isinstance(method, TwoPlayers)
    method.info = POINTS
    return method.train()


def batch(step: int = 0, size: int = N, progress: float = 0.0) -> Batch:
    """Points of the ring."""
    generator = torch.Generator().manual_seed(step)
    labels = torch.randint(8, (size,), generator=generator)
    points = torch.tensor(modes("ring"), dtype=torch.float32)[labels]
    points = points + 0.016 * torch.randn(size, 2, generator=generator)
    return Batch(Side(points.view(-1, 1, 1, 2), labels, torch.arange(size)), None, step, progress)


def turns(repeats: int, step: int = 0) -> list[Batch]:
    return [batch(1000 * step + turn) for turn in range(repeats)]


def run(method: TwoPlayers, steps: int = 10) -> Engine:
    return Engine(make_fabric(torch.device("cpu"), "32-true"), method, steps)


def adam(lr: float) -> dict[str, Any]:
    return {"name": "adam", "lr": lr, "betas": [0.5, 0.999], "eps": 1e-8, "weight_decay": 0.0}


def included(part: dict[str, Any], whole: dict[str, Any]) -> bool:
    return {key: whole[key] for key in part} == part


def test_gans_defaults_are_goodfellows() -> None:
    options = resolved("gan")
    assert options["repeats"] == 1  # "the least expensive option, in our experiments"
    assert options["adversarial"] == {"name": "minimax"} and options["penalties"] == []
    assert options["generator"]["name"] == "plain_generator"
    assert included({"name": "plain_discriminator", "activation": "maxout"}, options["discriminator"])
    for player in ("optimizer", "generator_optimizer"):  # "We used momentum in our experiments."
        assert included({"name": "sgd", "lr": 0.1, "momentum": 0.5}, options[player])


def test_dcgans_defaults_are_radfords() -> None:
    options = resolved("dcgan")
    assert options["adversarial"] == {"name": "non_saturating"} and options["repeats"] == 1
    assert included({"name": "dcgan_generator", "noise": 100, "norm": "batch"}, options["generator"])
    assert included({"name": "dcgan_discriminator", "norm": "batch"}, options["discriminator"])
    assert options["generator"]["upsample"] == "transposed"
    for player in ("optimizer", "generator_optimizer"):
        assert included(adam(2e-4), options[player])


def test_lsgans_defaults_are_maos() -> None:
    options = resolved("lsgan")
    assert options["adversarial"] == {"name": "least_squares"} and options["repeats"] == 1
    assert (options["generator"]["name"], options["discriminator"]["name"]) == (
        "dcgan_generator",
        "dcgan_discriminator",
    )
    for player in ("optimizer", "generator_optimizer"):
        assert included(adam(1e-3), options[player])


def test_cgans_defaults_are_mirzas() -> None:
    options = resolved("cgan")
    assert options["adversarial"] == {"name": "minimax"} and options["repeats"] == 1
    up = {"conditional": True, "noise": 100, "apart": [200, 1000], "widths": [1200], "dropout": 0.5}
    assert included(up, options["generator"])
    down = {"conditional": "concat", "activation": "maxout", "apart": [240, 50], "widths": [240], "dropout": 0.5}
    assert included(down, options["discriminator"])
    for player in ("optimizer", "generator_optimizer"):
        assert included({"name": "sgd", "lr": 0.1, "momentum": 0.5}, options[player])


class ByHand:
    """Algorithm 1 of Goodfellow 2014, written out with probabilities and plain gradient steps.

    Args:
        method: its networks are copied.
        lr: of both players.
    """

    def __init__(self, method: TwoPlayers, lr: float) -> None:
        self.g = components().build("network", PLAIN["generator"], "g", [POINTS])
        self.d = components().build("network", PLAIN["discriminator"], "d", [POINTS])
        self.g.load_state_dict(method.generator.state_dict())
        self.d.load_state_dict(method.discriminator.state_dict())
        self.lr = lr

    def step(self, batches: list[Batch], noise: Iterator[torch.Tensor]) -> None:
        first = None
        for one in batches:
            z = next(noise)
            first = z if first is None else first
            x = one.source.images_NCHW
            value = (self.d(x).sigmoid().log() + (1 - self.d(self.g(z).detach()).sigmoid()).log()).mean()
            self.move(self.d, value, +1)  # ascends
        self.move(self.g, (1 - self.d(self.g(first)).sigmoid()).log().mean(), -1)  # descends

    def move(self, network: nn.Module, value: torch.Tensor, sign: int) -> None:
        weights = list(network.parameters())
        with torch.no_grad():
            for weight, gradient in zip(weights, torch.autograd.grad(value, weights), strict=True):
                weight.add_(sign * self.lr * gradient)


@pytest.mark.parametrize("repeats", [1, 3])
def test_algorithm_1(repeats: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """k updates of D, each on points and noise of its own, then one of G, on the first of that noise."""
    sgd = {"name": "sgd", "lr": 0.3, "momentum": 0.0}
    method = build("gan", repeats=repeats, optimizer=sgd, generator_optimizer=sgd)
    hand = ByHand(method, 0.3)
    noise = [torch.randn(N, 3) for _ in range(2 * repeats)]
    mine = iter(noise)
    monkeypatch.setattr(method, "noise", lambda like: next(mine))
    engine, theirs = run(method), iter(noise)
    before = method.generator.state_dict()["layers.2.weight"].clone()
    for step in range(2):
        batches = turns(repeats, step)
        engine.step(batches)
        hand.step(batches, theirs)
    for network, expected in ((method.generator, hand.g), (method.discriminator, hand.d)):
        for name, value in network.state_dict().items():
            torch.testing.assert_close(value, expected.state_dict()[name], rtol=1e-4, atol=1e-6)
    assert not torch.allclose(method.generator.state_dict()["layers.2.weight"], before, atol=1e-4)
    assert next(mine, None) is None and next(theirs, None) is None


def test_the_value_of_the_game_is_minus_log_4_where_d_cannot_tell() -> None:
    """Theorem 1: D = ½ everywhere."""
    method = build("gan").eval()
    for parameter in method.discriminator.head.parameters():
        nn.init.zeros_(parameter)
    one = batch()
    value = -sum(method.discriminator_loss(one).values())
    assert value.item() == pytest.approx(-math.log(4), rel=1e-6)
    assert method.generator_loss(one)["adversarial"].item() == pytest.approx(-math.log(2), rel=1e-6)


def test_lsgans_terms_by_hand() -> None:
    method, one = build("lsgan").eval(), batch()
    found = method.discriminator_loss(one)
    fake = method.fake(one)
    real_l, fake_l = method.discriminator(one.source.images_NCHW), method.discriminator(fake)
    assert found["real"].item() == pytest.approx((0.5 * (real_l - 1) ** 2).mean().item(), rel=1e-5)
    assert found["generated"].item() == pytest.approx((0.5 * fake_l**2).mean().item(), rel=1e-5)
    generated = method.generator_loss(one)["adversarial"].item()
    assert generated == pytest.approx((0.5 * (fake_l - 1) ** 2).mean().item(), rel=1e-5)


CONDITIONAL = {
    "generator": {**PLAIN["generator"], "conditional": True},
    "discriminator": {**PLAIN["discriminator"], "conditional": "concat"},
}


def test_cgan_gives_both_players_the_real_images_classes() -> None:
    method, one = build("cgan", **CONDITIONAL).eval(), batch()
    y = one.source.labels
    z = torch.randn(N, 3)
    method.noise = lambda like: z  # type: ignore[method-assign]
    found = method.discriminator_loss(one)
    fake = method.generator(z, y)
    d_real, d_fake = (method.discriminator(x, y).sigmoid() for x in (one.source.images_NCHW, fake))
    assert found["real"].item() == pytest.approx(-d_real.log().mean().item(), rel=1e-5)
    assert found["generated"].item() == pytest.approx(-(1 - d_fake).log().mean().item(), rel=1e-5)
    assert method.generator_loss(one)["adversarial"].item() == pytest.approx((1 - d_fake).log().mean().item(), rel=1e-5)
    assert method.needs_labels and method.conditional
    assert not build("gan").needs_labels


def test_cgan_needs_a_generator_that_takes_labels() -> None:
    with pytest.raises(ParamsError, match="its generator must be conditional"):
        build("cgan")


@pytest.mark.parametrize("name", ["gan", "cgan"])
def test_a_little_training_brings_the_points_to_the_ring(name: str) -> None:
    """A hundred steps: the points' distance from the centre, at first anything, is that of the ring."""
    options: dict[str, Any] = CONDITIONAL if name == "cgan" else {}
    options = {key: {**PLAIN[key], **options.get(key, {}), "widths": [48, 48]} for key in PLAIN}
    optimizer = {"name": "adam", "lr": 3e-3, "betas": [0.5, 0.999]}
    method = build(name, **options, ema=0.9, optimizer=optimizer, generator_optimizer=optimizer)
    y = torch.arange(400) % 8

    def away() -> float:
        with torch.no_grad():
            radius = method.sample(y, torch.Generator().manual_seed(0)).flatten(1).norm(dim=1)
        return (radius - 0.8).abs().mean().item()

    before, engine = away(), run(method, 150)
    for step in range(150):
        seed_all(0, "step", step)
        engine.step([batch(step, 128)])
    assert before > 0.4 and away() < before / 2
