"""Alarms: raised by real trainings that go wrong, silent on those that do not, the same whether interrupted or not."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.data.batch import Batch
from adaptgan.errors import TrainingError
from adaptgan.methods.base import Losses, Method, Phase
from adaptgan.params import Training, load
from adaptgan.plugins import plugins
from adaptgan.stages.train import train as run_stage
from adaptgan.testing.data import Stop, TinyFeeds, tiny_info
from adaptgan.tracking.logfolder import start
from adaptgan.training.alarms import AlarmWarning, Watch, largest_plausible
from adaptgan.training.devices import make_fabric
from adaptgan.training.loop import fit
from adaptgan.training.run import Run
from adaptgan.training.seeding import seed_all

CPU = torch.device("cpu")
INFO = tiny_info(size=16)
DANN = {
    "name": "dann",
    "classifier": {"name": "conv_classifier", "widths": [4], "hidden": 8, "dropout": 0.0},
    "augmentation": "none",
    "domain_hidden": 16,
    "optimizer": {"name": "adamw", "lr": 5e-3},
}


class SameFeatures(nn.Module):
    """A classifier whose features are the same for all images: a domain head can learn nothing from them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images_NCHW: torch.Tensor, features: bool = False) -> Any:
        logits_NK, features_NF = self.network(images_NCHW, features=True)
        return (logits_NK, 0 * features_NF + 1) if features else logits_NK


def blind(method: Method) -> None:
    method.classifier = SameFeatures(method.classifier)  # type: ignore[assignment,arg-type]


def collapse(method: Method, after: float = 0.0) -> None:
    """Whatever the source says, every target image is pulled to one class."""
    plain = method.phases

    def phases() -> list[Phase]:
        (phase,) = plain()

        def loss(batch: Batch) -> Losses:
            terms = phase.loss(batch)
            if batch.progress < after:
                return terms
            logits_NK = method.classifier(batch.real.images_NCHW)  # type: ignore[operator]
            return {**terms, "pull": 50 * F.cross_entropy(logits_NK, torch.ones(len(logits_NK)).long())}

        return [dataclasses.replace(phase, loss=loss)]

    method.phases = phases  # type: ignore[method-assign]


def train(
    folder: Path,
    config: dict[str, Any] | None = None,
    spoil: Any = None,
    *,
    steps: int = 200,
    stop_at: int | None = None,
    on_alarm: str = "warn",
) -> Run:
    seed_all(0, "weights")
    registry = plugins().components
    method = registry.build(
        "method", registry.resolve("method", {**DANN, **(config or {})}, "method"), "method", [INFO]
    )
    method.info = INFO
    if spoil:
        spoil(method)
    training = Training(steps=steps, batch_size=16, log_every=20, checkpoint_every=30, on_alarm=on_alarm)
    params = {"training": training.model_dump()}
    run = Run("task.dann", "0" * 64, folder, folder / "log", params, steps, method, CPU)
    feeds = TinyFeeds(info=INFO, size=16, stop_at=stop_at)
    fit(make_fabric(CPU, "32-true"), run, feeds, training, seed=0)
    return run


def names(run: Run) -> list[str]:
    return [alarm["alarm"] for alarm in run.alarms]


def accuracy(run: Run) -> list[float]:
    return [entry["losses"]["adaptation/domain_accuracy"] for entry in run.history]


def test_a_head_that_learns_nothing(tmp_path: Path) -> None:
    with pytest.warns(
        AlarmWarning, match=r"task\.dann, step 60: domain_head_at_chance: .*higher learning rate"
    ) as said:
        run = train(tmp_path, spoil=blind)
    assert max(abs(value - 0.5) for value in accuracy(run)) < 0.03
    assert names(run) == ["domain_head_at_chance"]
    assert len(said) == 1
    assert run.alarms[0]["step"] == 60
    assert json.loads((run.log / "alarms.json").read_text()) == run.alarms


@pytest.mark.filterwarnings("ignore::adaptgan.training.alarms.AlarmWarning")  # of the other kinds
def test_domains_that_are_not_aligned(tmp_path: Path) -> None:
    with pytest.warns(AlarmWarning, match=r"domain_head_at_100.*not aligned"):
        run = train(tmp_path, {"strength": 0.0, "batch_norm": "joint"})
    assert min(accuracy(run)[-3:]) >= 0.99
    assert {alarm["alarm"]: alarm["step"] for alarm in run.alarms}[
        "domain_head_at_100"
    ] == 160  # first of 150 and later


@pytest.mark.filterwarnings("ignore::adaptgan.training.alarms.AlarmWarning")  # of the other kinds
def test_a_class_that_swallows_the_others(tmp_path: Path) -> None:
    with pytest.warns(AlarmWarning, match=r"class_swallowed: .*\d% of a batch.*33%; the alarm is at 67%"):
        run = train(tmp_path, spoil=collapse)
    assert "class_swallowed" in names(run)


def test_a_healthy_training_is_left_in_peace(tmp_path: Path) -> None:
    """Far above chance first, at chance in the end: what DANN wants. `-W error` would turn a warning into a failure."""
    run = train(tmp_path, steps=400, config={"batch_norm": "joint", "optimizer": {"name": "adamw", "lr": 1e-3}})
    assert max(accuracy(run)) > 0.8
    assert abs(np.mean(accuracy(run)[-5:]) - 0.5) < 0.03
    assert run.alarms == []
    assert not (run.log / "alarms.json").exists()


def doomed(method: Method) -> None:
    """Nothing to adapt by, and a collapse: two alarms."""
    blind(method)
    collapse(method)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, _quiet_machine: None) -> Run:
    with pytest.warns(AlarmWarning) as said:
        run = train(tmp_path_factory.mktemp("whole"), spoil=doomed)
    assert len(said) == len(run.alarms) == 2
    return run


@pytest.mark.filterwarnings("ignore::adaptgan.training.alarms.AlarmWarning")
@pytest.mark.parametrize("stop_at", [45, 61, 130])  # before the first alarm; behind it; long after both
def test_an_interrupted_training_alarms_like_one_that_was_not(whole: Run, tmp_path: Path, stop_at: int) -> None:
    with pytest.raises(Stop):
        train(tmp_path, spoil=doomed, stop_at=stop_at)
    resumed = train(tmp_path, spoil=doomed)
    assert resumed.resumed_from == stop_at // 30 * 30
    assert resumed.alarms == whole.alarms


def test_nothing_is_said_twice(tmp_path: Path) -> None:
    with pytest.warns(AlarmWarning), pytest.raises(Stop):
        train(tmp_path, spoil=blind, stop_at=100)
    resumed = train(tmp_path, spoil=blind)  # a second warning would be an error
    assert (resumed.resumed_from, names(resumed)) == (90, ["domain_head_at_chance"])


def test_stop_ends_the_training_behind_a_checkpoint_and_warn_goes_on_from_it(tmp_path: Path) -> None:
    for _ in range(2):  # the same command gives the same answer
        with pytest.raises(TrainingError, match=r"stopped by the alarm domain_head_at_chance at step 60 of 200.*warn"):
            train(tmp_path, spoil=blind, on_alarm="stop")
        newest = (tmp_path / "checkpoints" / "latest").read_text()
        assert newest == "step-000000060.pt"
    run = train(tmp_path, spoil=blind)
    assert (run.resumed_from, run.step, names(run)) == (60, 200, ["domain_head_at_chance"])


def test_stop_at_the_last_step(tmp_path: Path) -> None:
    """An alarm of the very last read-out stops too; the finished state is kept, and `warn` has only to write it."""

    def late(method: Method) -> None:
        collapse(method, after=0.75)

    for _ in range(2):
        with pytest.raises(TrainingError, match="class_swallowed at step 200 of 200"):
            train(tmp_path, spoil=late, on_alarm="stop")
    run = train(tmp_path, spoil=late)
    assert (run.resumed_from, run.step, names(run)) == (200, 200, ["class_swallowed"])


def test_the_fingerprint_does_not_depend_on_it(
    tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else `warn` would not go on from where `stop` stopped."""
    seen: list[str] = []

    def fit_(fabric: Any, run: Run, *_: Any) -> None:
        seen.append(run.fingerprint)
        assert run.method.info.n_classes == 10  # by which alarms know how large a class may be
        raise Stop

    monkeypatch.setattr("adaptgan.stages.train.fit", fit_)
    for change in ({"on_alarm": "warn"}, {"on_alarm": "stop"}, {"steps": 6}):
        section = {"method": "supervised", "training": {"steps": 5, **change}}
        (tmp_path / "params.yaml").write_text(json.dumps({"tracking": {"enabled": False}, "task": {"x": section}}))
        params = load(tmp_path / "params.yaml")
        with pytest.raises(Stop):
            run_stage(params, "task.x", source=tiny_source, out=tmp_path / "out", log=tmp_path / "log")
    assert seen[0] == seen[1] != seen[2]


def watch(
    values: list[float], measure: str = "domain_accuracy", classes: int = 10, every: int = 50
) -> list[tuple[int, str]]:
    """(step, alarm) of made-up read-outs."""
    looking = Watch(every * len(values), classes)
    return [
        (every * (i + 1), name)
        for i, value in enumerate(values)
        for name in looking.see(every * (i + 1), {f"adaptation/{measure}": value, "adaptation/task": 0.1})
    ]


def test_a_head_that_is_slow_is_not_dead() -> None:
    assert watch([0.5, 0.51, 0.5, 0.56, *[0.65] * 16]) == []
    assert watch([0.5] * 20) == [(250, "domain_head_at_chance")]
    assert watch([0.48, 0.51, 0.525, 0.49, 0.472, 0.9] + [0.5] * 14) == [(250, "domain_head_at_chance")]


def test_chance_in_the_end_is_no_alarm() -> None:
    assert watch([0.9, 0.8, 0.6] + [0.5] * 17) == []


def test_read_outs_too_coarse_for_the_beginning_say_nothing_of_it() -> None:
    assert watch([0.5], every=400) == []


def test_certainty_counts_only_at_full_strength_and_when_it_lasts() -> None:
    assert watch([1.0] * 10 + [0.9] * 10) == []
    assert watch([1.0] * 20) == [(750, "domain_head_at_100")]
    assert watch([0.7] * 18 + [0.995] * 2) == [(1000, "domain_head_at_100")]  # a tenth, at the very end
    assert watch([0.7] * 19 + [0.995]) == []


def test_a_collapse_counts_when_it_lasts_or_stays() -> None:
    assert watch([0.9] * 6 + [0.2] * 14, "largest_class") == []  # before it had learned anything
    assert watch([0.9] * 20, "largest_class") == [(350, "class_swallowed")]
    assert watch([0.2] * 18 + [0.6] * 2, "largest_class") == [(1000, "class_swallowed")]
    assert watch([0.2] * 17 + [0.6, 0.5, 0.6], "largest_class") == []
    assert watch([1.0] * 20, "largest_class", classes=0) == []  # a regression


@pytest.mark.parametrize("every", [1, 3])
def test_single_batches_are_pooled(every: int) -> None:
    """Decisions of a coin, batches of 16 + 16, read out at every step: any single one may be far from a half."""
    coin = np.random.default_rng(0).binomial(32 * every, 0.5, 1200 // every) / (32 * every)
    assert (abs(coin - 0.5) > 0.03).mean() > 0.3
    assert [name for _, name in watch(list(coin), every=every)] == ["domain_head_at_chance"]


def test_a_trial_of_some_steps_is_not_judged() -> None:
    assert watch([0.5] * 19, every=10) == []


def test_a_phase_that_begins_late_is_judged_from_its_own_beginning() -> None:
    looking, raised = Watch(1000, 10), []
    for step in range(50, 1001, 50):
        means = {"adversarial/domain_accuracy": 0.5} if step > 500 else {"task/task": 1.0}
        raised += [(step, name) for name in looking.see(step, means)]
    assert raised == [(750, "domain_head_at_chance")]


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_the_threshold_stays_clear_of_even_predictions(classes: int) -> None:
    rng = np.random.default_rng(0)
    largest = rng.multinomial(64, np.full(classes, 1 / classes), 20_000).max(1) / 64
    assert largest.max() < largest_plausible(classes) + 0.05  # even a single batch hardly ever gets there
    assert largest.mean() + 0.15 < largest_plausible(classes)
    if classes == 10:
        assert largest.mean() == pytest.approx(0.165, abs=0.001)
        assert largest_plausible(10) == pytest.approx(0.55)


def test_a_fresh_training_removes_alarms_of_another(tmp_path: Path) -> None:
    run = Run("task.dann", "f", tmp_path / "run", tmp_path / "log", {}, 10, Method(), CPU)
    run.alarms.append({"step": 1, "alarm": "x", "message": "y"})
    start(run)
    assert (tmp_path / "log/alarms.json").exists()
    run.alarms.clear()
    start(run)
    assert not (tmp_path / "log/alarms.json").exists()


TERMINAL = """
from pathlib import Path
from types import SimpleNamespace
import time, warnings
from adaptgan.cli import main
from adaptgan.plugins import plugins
from adaptgan.stages.train import train as run_stage
from adaptgan.training.run import Run

warnings.showwarning = main._show_warning
run = Run("task.dann", "f", Path("run"), Path("log"), {}, 1000, SimpleNamespace(), None)
fire = plugins().fire
fire("adaptgan_before_train", run=run)
for run.step in range(1, 1001):
    fire("adaptgan_on_step_end", run=run, step=run.step, losses={})
    if run.step % 50 == 0:
        time.sleep(0.02)
        means = {"adaptation/domain_accuracy": 0.5}
        run.history.append({"step": run.step, "seconds": 0.0, "losses": means})
        fire("adaptgan_on_losses", run=run, step=run.step, means=means)
fire("adaptgan_on_train_error", run=run, error=None)
"""


def test_the_bar_stays_whole(tmp_path: Path) -> None:
    """On a terminal the alarm stands on lines of its own, above the bar."""
    master, slave = pty.openpty()
    environment = {**os.environ, "ADAPTGAN_TRACKING": "off", "TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", TERMINAL], stdout=slave, stderr=slave, cwd=tmp_path, env=environment
    ) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # how Linux ends a terminal
                break
            if not part:
                break
            shown += part
    os.close(master)
    assert process.returncode == 0, shown.decode()
    screen = [line.rstrip("\r").split("\r\x1b[2K")[-1] for line in shown.decode().split("\n")]
    (place,) = [i for i, line in enumerate(screen) if "domain_head_at_chance" in line]
    assert screen[place].startswith("adaptgan: warning: task.dann, step 250")
    assert not any("/1000" in line for line in screen[place : place + 6])  # as long as the message is
    assert any("1000/1000" in line for line in screen)
