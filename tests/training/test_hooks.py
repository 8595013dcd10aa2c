"""Hooks as a third party sees them: in the real loop and the real command line, in order, with what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from adaptgan.params import Training
from adaptgan.plugins import plugins
from adaptgan.testing.data import Stop, TinyFeeds, tiny_info, tiny_side
from adaptgan.training.devices import make_fabric
from adaptgan.training.loop import fit
from adaptgan.training.run import Run
from adaptgan.training.seeding import seed_all
from adaptgan.training.statistics import NonFiniteLoss

RECORDER = """
from adaptgan import hookimpl

calls = []

@hookimpl
def adaptgan_before_train(run): calls.append(("before_train", run.step))
@hookimpl
def adaptgan_on_step_end(run, step, losses): calls.append(("on_step_end", step)); seen.append(losses)
@hookimpl
def adaptgan_on_losses(run, step, means): calls.append(("on_losses", step)); read.append(means)
@hookimpl
def adaptgan_on_samples(run, step, images): calls.append(("on_samples", step))
@hookimpl
def adaptgan_on_evaluated(run, step, scores): calls.append(("on_evaluated", step)); scored.append(scores)
@hookimpl
def adaptgan_on_checkpoint(run, step, path): calls.append(("on_checkpoint", step)); paths.append((path, path.exists()))
@hookimpl
def adaptgan_on_train_error(run, error): calls.append(("on_train_error", type(error).__name__))
@hookimpl
def adaptgan_save_state(run): return {"recorder": {"steps": run.step}}
@hookimpl
def adaptgan_load_state(run, state): calls.append(("load_state", state["recorder"]["steps"]))

seen, read, scored, paths = [], [], [], []
"""

CONFIG = {"name": "supervised", "classifier": {"name": "conv_classifier", "widths": [4], "hidden": 8}}


@pytest.fixture
def recorder(third_party: Callable[..., None]) -> Any:
    third_party("recorder-gan", RECORDER)
    return plugins().manager.get_plugin("recorder-gan")


def train(folder: Path, stop_at: int | None = None, spoil: bool = False) -> None:
    info = tiny_info()
    seed_all(0, "weights")
    method = plugins().components.build("method", CONFIG, "method", [info])
    if spoil:
        with torch.no_grad():
            method.classifier.head.bias.fill_(float("nan"))
    training = Training(steps=4, batch_size=4, log_every=2, checkpoint_every=2, sample_every=0)
    run = Run("trial", "0" * 64, folder, folder / "log", {}, 4, method, torch.device("cpu"))
    feeds = TinyFeeds(info=info, size=4, stop_at=stop_at, held_out=tiny_side(info, 4, 99))
    fit(make_fabric(torch.device("cpu"), "32-true"), run, feeds, training, seed=0)


def test_a_training_its_interruption_and_its_end_in_order(recorder: Any, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(tmp_path, stop_at=3)
    assert recorder.calls == [
        ("before_train", 0),
        ("on_step_end", 1),
        ("on_step_end", 2),
        ("on_losses", 2),
        ("on_checkpoint", 2),
        ("on_step_end", 3),
        ("on_train_error", "Stop"),
    ]
    recorder.calls.clear()
    train(tmp_path)
    calls = [call for call in recorder.calls if call[0] != "on_samples"]
    assert calls == [
        ("load_state", 2),
        ("before_train", 2),
        ("on_step_end", 3),
        ("on_step_end", 4),
        ("on_losses", 4),
        ("on_evaluated", 4),
        ("on_checkpoint", 4),
    ]


def test_what_they_are_given(recorder: Any, tmp_path: Path) -> None:
    train(tmp_path)
    losses, (first, last) = recorder.seen, recorder.read
    assert all(key.startswith("classifier/") or "/" in key for key in losses[0])
    assert all(value.shape == () and not value.requires_grad for value in losses[0].values())
    for key, mean in first.items():  # plain numbers: the means of the two steps before
        assert isinstance(mean, float)
        assert mean == pytest.approx((losses[0][key].item() + losses[1][key].item()) / 2, rel=1e-5)
    assert first.keys() == last.keys()
    assert all(exists for _, exists in recorder.paths)
    (scores,) = recorder.scored
    assert 0 <= scores["source_accuracy"] <= 1


def test_an_error_is_told(recorder: Any, tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLoss):
        train(tmp_path, spoil=True)
    assert recorder.calls[-1] == ("on_train_error", "NonFiniteLoss")


COMMAND = """
from adaptgan import hookimpl

@hookimpl
def adaptgan_register_commands(app):
    @app.command("greet")
    def greet(name: str) -> None:
        print("hello " + name)
"""


def test_a_plugin_adds_a_command(third_party: Callable[..., None], tmp_path: Path) -> None:
    third_party("greet-gan", COMMAND)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site" / "greet-gan")}
    command = [sys.executable, "-m", "adaptgan", "greet", "you"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (0, "hello you\n"), done.stderr
