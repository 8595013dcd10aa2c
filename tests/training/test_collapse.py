"""The watchdogs of two players: trainings that go wrong on purpose raise their alarm, healthy ones none."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from adaptgan.errors import TrainingError
from adaptgan.methods.base import Method, OptimizerOptions
from adaptgan.methods.generative import TwoPlayers
from adaptgan.objectives.adversarial import LeastSquares, Minimax
from adaptgan.params import Training
from adaptgan.testing.data import Stop
from adaptgan.training.alarms import COLLAPSES, Alarms, AlarmWarning, Watch
from adaptgan.training.collapse import STEEP, TwoPlayersWatch
from adaptgan.training.devices import make_fabric
from adaptgan.training.loop import fit
from adaptgan.training.run import Run
from tests.training.players import Critic, DigitFeeds, Slope, players

CPU = torch.device("cpu")


def adam(lr: float, first: float = 0.5) -> OptimizerOptions:
    return OptimizerOptions(lr=lr, betas=(first, 0.999))


def train(
    folder: Path, method: TwoPlayers, steps: int = 400, stop_at: int | None = None, log_every: int = 20, **options: Any
) -> Run:
    training = Training(steps=steps, batch_size=32, log_every=log_every, checkpoint_every=40, **options)
    params = {"training": training.model_dump()}
    run = Run("gan", "0" * 64, folder, folder / "log", params, steps, method, CPU)
    fit(make_fabric(CPU, "32-true"), run, DigitFeeds(stop_at=stop_at), training, seed=0)
    return run


def names(run: Run) -> set[str]:
    return {alarm["alarm"] for alarm in run.alarms}


HEALTHY: dict[str, dict[str, Any]] = {
    "non_saturating": {},
    "least_squares": {"adversarial": LeastSquares()},
    "gradient penalty": {
        "adversarial": Critic(),
        "penalties": [Slope()],
        "repeats": 2,
        "optimizer": adam(1e-3, 0.0),
        "generator_optimizer": adam(1e-3, 0.0),
    },
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_trainings_are_left_in_peace(tmp_path: Path, name: str) -> None:
    """All begin with images that are alike; the critic is hardly ever wrong. A warning would be an error here."""
    run = train(tmp_path, players(**HEALTHY[name]))
    diversity = [entry["losses"]["discriminator/diversity"] for entry in run.history]
    assert diversity[0] < 0.1 and diversity[-1] > 0.6
    assert run.alarms == []


SPOILED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a generator that is far ahead": (
        "mode_collapse",
        r"differ from each other by 0\.",
        {"adversarial": Minimax(), "optimizer": adam(1e-5), "generator_optimizer": adam(1e-2)},
    ),
    "a discriminator a hundred times as fast, of a loss that saturates": (
        "discriminator_won",
        r"puts 100\.0% of the real images above",
        {"adversarial": Minimax(), "optimizer": adam(1e-2), "generator_optimizer": adam(1e-4)},
    ),
    "a learning rate of one": (
        "divergence",
        "gradient at an image is",
        {"optimizer": adam(1.0), "generator_optimizer": adam(1.0)},
    ),
    "a critic without a penalty": (
        "divergence",
        "gradient at an image is",
        {"adversarial": Critic(), "optimizer": adam(1e-2), "generator_optimizer": adam(1e-4)},
    ),
}


@pytest.mark.filterwarnings("ignore::adaptgan.training.alarms.AlarmWarning")  # of the other kinds
@pytest.mark.parametrize("how", SPOILED)
def test_what_goes_wrong_is_named(tmp_path: Path, how: str) -> None:
    alarm, says, options = SPOILED[how]
    with pytest.warns(AlarmWarning, match=rf"gan, step \d+: {alarm}: .*{says}.*What usually helps: "):
        run = train(tmp_path, players(**options))
    assert alarm in names(run) and names(run) <= COLLAPSES
    assert not any(entry["alarm"] == "mode_collapse" and entry["step"] < 100 for entry in run.alarms)


def test_the_alarms_are_kept_with_the_run_and_raised_alike_after_an_interruption(tmp_path: Path) -> None:
    options = SPOILED["a discriminator a hundred times as fast, of a loss that saturates"][2]
    with pytest.warns(AlarmWarning):
        whole = train(tmp_path / "whole", players(**options), steps=200)
    assert json.loads((whole.log / "alarms.json").read_text()) == whole.alarms
    (step,) = (alarm["step"] for alarm in whole.alarms if alarm["alarm"] == "discriminator_won")
    assert step == 60
    for stop_at in (50, 130):  # within the stretch that the alarm asks for; behind it
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AlarmWarning)
            with pytest.raises(Stop):
                train(tmp_path / str(stop_at), players(**options), steps=200, stop_at=stop_at)
            resumed = train(tmp_path / str(stop_at), players(**options), steps=200)
        assert resumed.resumed_from == stop_at // 40 * 40
        assert resumed.alarms == whole.alarms


@pytest.mark.filterwarnings("ignore::adaptgan.training.alarms.AlarmWarning")
@pytest.mark.parametrize(
    ("options", "stops"),
    [
        ({"on_collapse": "stop"}, "training.on_collapse: warn"),
        ({"on_collapse": None, "on_alarm": "stop"}, "training.on_alarm: warn"),
        ({"on_collapse": "warn", "on_alarm": "stop"}, None),
        ({}, None),
    ],
)
def test_on_collapse_decides_and_leaves_it_to_on_alarm_where_it_is_not_set(
    tmp_path: Path, options: dict[str, Any], stops: str | None
) -> None:
    wins = SPOILED["a discriminator a hundred times as fast, of a loss that saturates"][2]
    if stops is None:
        assert train(tmp_path, players(**wins), steps=200, **options).step == 200
        return
    for _ in range(2):  # the same command gives the same answer
        with pytest.raises(TrainingError, match=rf"stopped by the alarm discriminator_won at step .*{stops}"):
            train(tmp_path, players(**wins), steps=200, **options)
    assert train(tmp_path, players(**wins), steps=200, on_collapse="warn").resumed_from > 0


def test_on_collapse_says_nothing_of_other_alarms(tmp_path: Path) -> None:
    for options, halts in (({"on_collapse": "stop"}, ""), ({"on_collapse": "warn", "on_alarm": "stop"}, "on_alarm")):
        training = {"on_alarm": "warn", **options}
        run = Run("task.dann", "f", tmp_path, tmp_path, {"training": training}, 1000, Method(), CPU)
        alarms = Alarms()
        alarms.begin(run)
        for step in range(50, 1001, 50):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AlarmWarning)
                alarms.look(run, step, {"adaptation/domain_accuracy": 0.5})
        assert [alarm["alarm"] for alarm in run.alarms] == ["domain_head_at_chance"]
        assert (halts in run.halt) if halts else run.halt == ""


def watch(
    diversity: list[float] | float = 1.0,
    ranking: list[float] | float = 0.8,
    gradient: list[float] | float = 1.0,
    loss: list[float] | float = 1.0,
    classes: list[float] | None = None,
    pixels: int = 64,
) -> list[tuple[int, str]]:
    """(step, alarm) of made-up read-outs, every 50th of 1,000 steps; a number stands for itself all along."""
    looking, raised = TwoPlayersWatch(1000, 10, pixels), []
    named = {
        "discriminator/diversity": diversity,
        "discriminator/ranking": ranking,
        "generator/image_gradient": gradient,
        "discriminator/real": loss,
        "discriminator/generated": 0.0,
    } | ({} if classes is None else {"generator/largest_generated_class": classes})
    for i in range(20):
        means = {key: float(value[i]) if isinstance(value, list) else value for key, value in named.items()}
        raised += [(50 * (i + 1), name) for name in looking.see(50 * (i + 1), means)]
    return raised


def test_a_diversity_that_falls_and_stays_low() -> None:
    assert watch([0.9] * 8 + [0.25] * 12) == [(550, "mode_collapse")]  # after 0.15 of the training
    assert watch([0.9] * 8 + [0.25] * 2 + [0.9] * 10) == []  # it got over it
    assert watch([0.9] * 18 + [0.2] * 2) == [(1000, "mode_collapse")]  # a tenth, at the very end
    assert watch([0.9] * 19 + [0.2]) == []
    assert watch([0.9] * 2 + [0.2] * 18) == []  # a fresh network's noise
    assert watch([0.3] * 8 + [0.12] * 12) == []  # less than it was, but not a third
    assert watch([3.0] * 8 + [0.5] * 12) == []  # noise differs more than images do; what is left is half of theirs


def test_images_that_never_come_to_differ() -> None:
    assert watch([0.02] * 12 + [0.5] * 8) == []  # a slow start
    assert watch([0.02] * 20) == [(650, "mode_collapse")]
    assert watch([0.02 * 1.2**i for i in range(20)]) == []
    assert watch([0.02 + 0.003 * i for i in range(20)]) == []  # it ends at 0.08, too short a training
    assert watch([0.02 + 0.0005 * i for i in range(20)]) == [(650, "mode_collapse")]


def test_a_class_that_takes_most_generated_images() -> None:
    assert watch(classes=[0.3] * 20) == []
    assert watch(classes=[0.9] * 5 + [0.3] * 15) == []
    assert watch(classes=[0.3] * 8 + [0.7] * 12) == [(650, "mode_collapse")]
    looking = TwoPlayersWatch(1000, 0)  # a regression has no classes
    assert not any(looking.see(50 * i, {"generator/largest_generated_class": 1.0}) for i in range(1, 21))


def test_classes_that_are_read_less_often_than_losses() -> None:
    looking, raised = TwoPlayersWatch(1000, 10), []
    for step in range(10, 1001, 10):
        means = {"discriminator/ranking": 0.8} | ({"generator/largest_generated_class": 0.9} if not step % 50 else {})
        raised += [(step, name) for name in looking.see(step, means)]
    assert raised == [(500, "mode_collapse")]


def test_a_discriminator_has_won_when_nothing_is_left_to_learn_from() -> None:
    assert watch(ranking=1.0) == []  # a Wasserstein critic near its optimum
    assert watch(ranking=1.0, gradient=[1.0] + [0.05] * 19) == [(250, "discriminator_won")]
    assert watch(ranking=0.9, gradient=[1.0] + [0.05] * 19) == []
    assert watch(ranking=1.0, gradient=[0.01] * 4 + [0.5] * 16) == []  # it grew
    assert watch(ranking=[1.0] * 10 + [0.7] * 10, gradient=[1.0] * 8 + [0.05] * 12) == []  # for a tenth only
    assert watch(ranking=1.0, gradient=[0.0] * 20) == []


def test_the_gradients_early_level_is_not_pooled_away() -> None:
    """A discriminator that wins within the first block of read-outs."""
    looking, raised = TwoPlayersWatch(1000), set()
    for step in range(5, 1001, 5):
        means = {"discriminator/ranking": 1.0, "generator/image_gradient": 1.0 if step == 5 else 0.02}
        raised |= looking.see(step, means).keys()
    assert raised == {"discriminator_won"}  # pooled, the first block would be at 0.118, of which 0.02 is a sixth


def test_a_discriminator_is_judged_by_its_own_opponent() -> None:
    """Several levels, each with two players of its own."""
    looking, raised = TwoPlayersWatch(1000), []
    for step in range(50, 1001, 50):
        means = {f"discriminator_{n}/ranking": 1.0 for n in (8, 16)}
        means |= {"generator_8/image_gradient": 1.0, "generator_16/image_gradient": 1.0 if step < 300 else 0.01}
        raised += [(step, name, message) for name, message in looking.see(step, means).items()]
    assert [(step, name) for step, name, _ in raised] == [(400, "discriminator_won")]
    without = TwoPlayersWatch(1000)
    assert not any(without.see(50 * i, {"discriminator/ranking": 1.0}) for i in range(1, 21))


def test_losses_and_gradients_without_bound() -> None:
    assert watch(loss=[1.5**i for i in range(20)]) == [(1000, "divergence")]
    assert watch(loss=[-(3.0**i) for i in range(20)]) == [(450, "divergence")]  # a critic's falls
    assert watch(loss=[-40.0] * 20) == []  # a healthy critic's, of large images
    assert watch(loss=[900.0] * 20) == watch(loss=[5000.0] * 20) == []  # sums over an image's patches
    assert watch(loss=[1.0] * 9 + [1e5] + [1.0] * 10) == []  # one bad batch
    steep = STEEP * 8
    assert watch(gradient=[1.1 * steep] * 20) == [(100, "divergence")]
    assert watch(gradient=[0.9 * steep] * 20) == []
    assert watch(gradient=[1.1 * steep] * 20, pixels=3 * 64) == []


def test_a_critics_terms_may_drift_together() -> None:
    looking = TwoPlayersWatch(1000)
    for step in range(50, 1001, 50):
        means = {"discriminator/real": 100.0 * step, "discriminator/generated": 2 - 100.0 * step}
        assert not looking.see(step, {**means, "discriminator/ranking": 0.95, "discriminator/diversity": 0.9})


def test_a_trial_of_some_steps_is_not_judged() -> None:
    looking = TwoPlayersWatch(190)
    assert not any(looking.see(10 * i, {"discriminator/diversity": 0.0}) for i in range(1, 20))


def test_generated_classes_are_no_predictions_of_target_images() -> None:
    """`class_swallowed` speaks of an adaptation."""
    looking = Watch(1000, 10)
    assert not any(looking.see(50 * i, {"generator/largest_generated_class": 1.0}) for i in range(1, 21))
