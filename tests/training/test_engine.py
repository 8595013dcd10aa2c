"""Two players in the engine: images made once for both, turns, laziness, what is compiled, and resuming."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import nn
from torch.nn import functional as F

from adaptgan.data.batch import Batch
from adaptgan.methods.base import Losses, OptimizerOptions
from adaptgan.methods.generative import TwoPlayers, corrected
from adaptgan.params import Training
from adaptgan.testing.data import Stop
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.loop import fit
from adaptgan.training.run import Run
from adaptgan.training.seeding import seed_all
from tests.training.players import ADAM, Critic, DigitFeeds, Slope, batch, players

CPU = torch.device("cpu")


def engine(method: TwoPlayers, **options: Any) -> Engine:
    return Engine(make_fabric(CPU, "32-true"), method.train(), 10, **options)


def weights(network: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in network.named_parameters()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def calls(network: Any) -> int:
    count: int = network.module.calls
    return count


@pytest.mark.parametrize("repeats", [1, 3])
def test_images_are_made_once_for_both_players(repeats: int) -> None:
    method = players(repeats=repeats)
    run = engine(method)
    for step in range(2):
        run.step([batch(step * repeats + turn, step=step) for turn in range(repeats)])
    assert calls(method.generator) == 2 * repeats  # one for each of D's turns, none for G's
    assert calls(method.discriminator) == 2 * (repeats + 1)


class Textbook:
    """The same two players as anybody would write them, with images made anew for G's turn from the same noise."""

    def __init__(self, method: TwoPlayers) -> None:
        self.g, self.d = copy.deepcopy(method.generator), copy.deepcopy(method.discriminator)
        self.of_g, self.of_d = (
            torch.optim.Adam(network.parameters(), lr=ADAM.lr, betas=ADAM.betas) for network in (self.g, self.d)
        )

    def step(self, batches: Sequence[Batch]) -> None:
        noises = [torch.randn(len(one.source.images_NCHW), 8) for one in batches]
        for one, z in zip(batches, noises, strict=True):
            self.of_d.zero_grad()
            fake = self.g(z).detach()
            (F.softplus(-self.d(one.source.images_NCHW)).mean() + F.softplus(self.d(fake)).mean()).backward()
            self.of_d.step()
        self.of_g.zero_grad()
        F.softplus(-self.d(self.g(noises[0]))).mean().backward()
        self.of_g.step()


@pytest.mark.parametrize("repeats", [1, 2])
def test_steps_are_the_textbooks(repeats: int) -> None:
    """G's gradient, through images of D's turn and a D that has moved since, is that of images made afterwards."""
    method = players(repeats=repeats)
    plain, run = Textbook(method), engine(method)
    for step in range(5):
        batches = [batch(step * repeats + turn, step=step) for turn in range(repeats)]
        torch.manual_seed(step)
        plain.step(batches)
        torch.manual_seed(step)
        run.step([batch(step * repeats + turn, step=step) for turn in range(repeats)])
    for mine, theirs in ((method.generator, plain.g), (method.discriminator, plain.d)):
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_players_turn_leaves_the_other_alone() -> None:
    method = players()
    run = engine(method)
    play, generate = run.phases
    g, d = weights(method.generator), weights(method.discriminator)
    run.phases = [play]
    kept = batch()
    run.step([kept])
    assert same(g, weights(method.generator)) and not same(d, weights(method.discriminator))
    assert all(parameter.grad is None for parameter in method.generator.parameters())
    assert kept.shared["fake"].requires_grad  # its graph waits for G's turn
    d = weights(method.discriminator)
    run.phases = [generate]
    run.step([kept])
    assert same(d, weights(method.discriminator)) and not same(g, weights(method.generator))


class Turning(TwoPlayers):
    """Notes which turn each player saw."""

    def discriminator_loss(self, batch: Batch) -> Losses:
        self.seen.append(("discriminator", batch.turn, self.fake(batch).requires_grad))
        return super().discriminator_loss(batch)

    def generator_loss(self, batch: Batch) -> Losses:
        self.seen.append(("generator", batch.turn, self.fake(batch).requires_grad))
        return super().generator_loss(batch)


def test_turns_are_counted_and_only_the_first_has_a_graph() -> None:
    method: Any = players(repeats=3)
    method.__class__ = Turning
    method.seen = []
    run = engine(method)
    given = [batch(turn) for turn in range(3)]
    run.step(given)
    assert method.seen == [
        ("discriminator", 0, True),
        ("discriminator", 1, False),
        ("discriminator", 2, False),
        ("generator", 0, True),
    ]
    assert [one.turn for one in given] == [0, 1, 2]


def test_corrected_options_are_karras_2020_appendix_b() -> None:
    options = OptimizerOptions(lr=2e-3, betas=(0.0, 0.99), eps=1e-8)
    lazy = corrected(options, 16)
    assert (lazy.lr, lazy.betas) == (pytest.approx(0.002 * 16 / 17), (0.0, pytest.approx(0.99 ** (16 / 17))))
    assert (lazy.name, lazy.eps) == (options.name, options.eps)


def test_a_lazy_penalty_has_a_phase_of_its_own_and_shares_ds_optimizer() -> None:
    method = players(penalties=[Slope(every=4)])
    run = engine(method)
    assert [phase.name for phase in run.phases] == ["discriminator", "slope", "generator"]
    assert len(run.optimizers) == 2
    seen = [set(run.step([batch(step, step=step)])) for step in range(9)]
    assert [("slope/slope" in names) for names in seen] == [step % 4 == 0 for step in range(9)]
    assert not any("discriminator/slope" in names for names in seen)
    shared = run.optimizers[0]
    (group,) = shared.param_groups
    assert group["lr"] == pytest.approx(1e-3 * 4 / 5)
    assert group["betas"] == (pytest.approx(0.5 ** (4 / 5)), pytest.approx(0.999 ** (4 / 5)))
    steps = {int(state["step"]) for state in shared.state.values()}
    assert steps == {9, 9 + 3}  # one moment estimate for both phases; the last bias has no part in a slope


def test_a_lazy_penalty_counts_as_often_as_it_is_left_out() -> None:
    busy, lazy = players(penalties=[Slope(every=1)]), players(penalties=[Slope(every=4)])
    torch.manual_seed(0)
    each = engine(busy).step([batch()])["discriminator/slope"]
    torch.manual_seed(0)
    run = engine(lazy)
    run.phases = [phase for phase in run.phases if phase.name == "slope"]
    assert run.step([batch()])["slope/slope"] == pytest.approx(4 * each.item(), rel=1e-5)


@pytest.mark.parametrize(("penalties", "compiled"), [(0, {"generator", "discriminator"}), (1, {"generator"})])
def test_what_is_differentiated_twice_is_not_compiled(
    monkeypatch: pytest.MonkeyPatch, penalties: int, compiled: set[str]
) -> None:
    method = players(penalties=[Slope()] * penalties)
    networks: dict[Any, str] = {method.generator: "generator", method.discriminator: "discriminator"}
    found: list[str] = []

    def compile_(network: nn.Module) -> nn.Module:
        found.append(networks[network])
        return network

    monkeypatch.setattr(torch, "compile", compile_)
    engine(method, compile=False)
    assert found == []
    engine(players(penalties=[Slope()] * penalties))
    method = players(penalties=[Slope()] * penalties)
    networks = {method.generator: "generator", method.discriminator: "discriminator"}
    engine(method, compile=True)
    assert set(found) == compiled


def fitted(folder: Path, stop_at: int | None = None, **options: Any) -> TwoPlayers:
    seed_all(0, "weights")
    method = players(**options)
    training = Training(steps=12, batch_size=32, log_every=5, checkpoint_every=5)
    run = Run("gan", "0" * 64, folder, folder / "log", {"training": training.model_dump()}, 12, method, CPU)
    try:
        fit(make_fabric(CPU, "32-true"), run, DigitFeeds(stop_at=stop_at), training, seed=0)
    finally:
        method.resumed_from = run.resumed_from  # type: ignore[assignment]
    return method


@pytest.mark.parametrize("stop_at", [5, 7, 11])
def test_several_of_ds_turns_resume_bit_equal(tmp_path: Path, stop_at: int) -> None:
    options: dict[str, Any] = {"adversarial": Critic(), "repeats": 3}
    whole = fitted(tmp_path / "whole", penalties=[Slope(every=2)], **options)
    with pytest.raises(Stop):
        fitted(tmp_path / "cut", stop_at, penalties=[Slope(every=2)], **options)
    resumed = fitted(tmp_path / "cut", penalties=[Slope(every=2)], **options)
    assert resumed.resumed_from == stop_at // 5 * 5
    mine, theirs = whole.state_dict(), resumed.state_dict()
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)


def test_a_scaled_gradient_is_not_logged() -> None:
    """16-mixed multiplies the loss by 65536 at first, and finds out by overflows what it can bear."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**30)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", "cpu", scaler=scaler)])
    fabric.launch()
    run = Engine(fabric, players().train(), 10)
    seen = run.step([batch()])
    assert "generator/image_gradient" not in seen and {"discriminator/ranking", "generator/adversarial"} <= seen.keys()
    assert scaler.get_scale() < 2.0**30  # it overflowed
    run.statistics.check()
    assert "generator/image_gradient" in engine(players()).step([batch()])
