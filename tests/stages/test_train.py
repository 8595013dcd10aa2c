"""The train stage as a user runs it: interruptions, refusals, processes, bad input."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from tests.conftest import torchrun

SIMGAN: dict[str, Any] = {
    "name": "simgan",
    "refiner": {"name": "simgan_refiner", "channels": 4, "blocks": 1, "fold": 2},
    "discriminator": {"name": "patch_discriminator", "layers": "strided", "channels": 4, "depth": 2},
    "pretrain_refiner": 2,
    "pretrain_discriminator": 2,
    "history": 32,
    "reduction": "mean",
}
TRAINING: dict[str, Any] = {
    "steps": 300,
    "batch_size": 8,
    "precision": "32-true",
    "device": "cpu",
    "checkpoint_every": 20,
    "log_every": 10,
}


class Trainer:
    """`adaptgan train refiner` in a process of its own, in a folder of its own."""

    def __init__(self, folder: Path, source: Path, target: Path, method: Any = None, **training: Any) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        params = {
            "seed": 3,
            "refiner": {"method": method or SIMGAN, "training": TRAINING | training},
            "tracking": {"enabled": False},
        }
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        self.arguments = [
            *("-m", "adaptgan", "train", "refiner", "--source", str(source), "--target", str(target)),
            *("--out", "model", "--trace", "log"),
        ]
        self.environment = {
            **os.environ,
            "ADAPTGAN_SCRATCH": str(folder / "scratch"),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *self.arguments, *more],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *more: str) -> tuple[int, str]:
        process = self.start(*more)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output + errors

    def checkpoints(self) -> list[Path]:
        return sorted(self.folder.glob("scratch/runs/*/checkpoints/step-*.sha256"))

    def wait_for_checkpoint(self, process: subprocess.Popen[str]) -> None:
        end = time.monotonic() + 60
        while not self.checkpoints():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end, "no checkpoint within a minute"
            time.sleep(0.01)

    def weights(self) -> dict[str, np.ndarray]:
        return load_file(self.folder / "model" / "model.safetensors")

    def losses(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "log" / "losses.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path, tiny_target: Path) -> Trainer:
    trainer = Trainer(tmp_path_factory.mktemp("uninterrupted"), tiny_source, tiny_target)
    code, output = trainer.run()
    assert code == 0, output
    return trainer


def assert_same_result(one: Trainer, other: Trainer) -> None:
    a, b = one.weights(), other.weights()
    assert a.keys() == b.keys()
    for name in a:
        assert np.array_equal(a[name], b[name]), name
    strip = [{key: line[key] for key in ("step", "losses")} for line in one.losses()]
    assert strip == [{key: line[key] for key in ("step", "losses")} for line in other.losses()]
    assert (one.folder / "model" / "model.json").read_bytes() == (other.folder / "model" / "model.json").read_bytes()


def test_killed_at_a_random_moment_it_resumes_bit_equal(
    tmp_path: Path, tiny_source: Path, tiny_target: Path, uninterrupted: Trainer
) -> None:
    trainer = Trainer(tmp_path, tiny_source, tiny_target)
    process = trainer.start()
    trainer.wait_for_checkpoint(process)
    time.sleep(random.random() * 0.5)
    process.kill()
    process.communicate()
    published = int(trainer.checkpoints()[-1].stem.split("-")[1])
    assert not (tmp_path / "model").exists()
    code, output = trainer.run()
    assert code == 0, output
    timing = json.loads((tmp_path / "log" / "timing.json").read_text())
    assert timing["resumed_from"] >= published  # at most the work since the last checkpoint is lost
    assert_same_result(trainer, uninterrupted)
    assert not list(tmp_path.glob("scratch/runs/*/checkpoints"))


def test_sigterm_checkpoints_exits_75_and_resumes(
    tmp_path: Path, tiny_source: Path, tiny_target: Path, uninterrupted: Trainer
) -> None:
    trainer = Trainer(tmp_path, tiny_source, tiny_target)
    process = trainer.start()
    trainer.wait_for_checkpoint(process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert "the same command goes on from there" in errors and "Traceback" not in errors
    code, output = trainer.run()
    assert code == 0, output
    assert_same_result(trainer, uninterrupted)


def test_a_damaged_checkpoint_is_named_on_the_command_line(
    tmp_path: Path, tiny_source: Path, tiny_target: Path, uninterrupted: Trainer
) -> None:
    trainer = Trainer(tmp_path, tiny_source, tiny_target)
    process = trainer.start()
    end = time.monotonic() + 60
    while len(trainer.checkpoints()) < 2 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    newest = trainer.checkpoints()[-1].with_suffix(".pt")
    newest.write_bytes(newest.read_bytes()[:-100])
    code, output = trainer.run()
    assert code == 0, output
    assert f"{newest} is damaged; going back to the checkpoint before" in output
    assert_same_result(trainer, uninterrupted)


def test_a_second_trainer_is_refused_at_once_and_changed_params_start_afresh(
    tmp_path: Path, tiny_source: Path, tiny_target: Path
) -> None:
    trainer = Trainer(tmp_path, tiny_source, tiny_target, steps=100_000)
    first = trainer.start()
    try:
        trainer.wait_for_checkpoint(first)
        code, output = trainer.run()
        assert code == 1
        assert "is being trained by process" in output and "Traceback" not in output
        # Other params are another run: they neither wait for this one nor resume its checkpoint.
        code, output = trainer.run(
            "--set", "refiner.method.self_regularization=0.25", "--set", "refiner.training.steps=4"
        )
        assert code == 0, output
        assert json.loads((tmp_path / "log" / "timing.json").read_text())["resumed_from"] == 0
    finally:
        first.kill()
        first.communicate()


def test_two_processes_give_the_losses_of_one_with_the_doubled_batch(
    tmp_path: Path, tiny_source: Path, tiny_target: Path
) -> None:
    """Each of two ranks takes half of the batch; the networks have no norm, so the gradients' mean is the same."""
    method = SIMGAN | {"history": 0}
    one = Trainer(tmp_path / "one", tiny_source, tiny_target, method, steps=20, log_every=1)
    two = Trainer(tmp_path / "two", tiny_source, tiny_target, method, steps=20, log_every=1)
    two.arguments = [*torchrun(2), *two.arguments]
    for trainer in (one, two):
        code, output = trainer.run()
        assert code == 0, output
    for a, b in zip(one.losses(), two.losses(), strict=True):
        assert a["losses"].keys() == b["losses"].keys()
        for name, value in a["losses"].items():
            if not name.endswith("/diversity"):  # it compares images of one process with each other
                assert b["losses"][name] == pytest.approx(value, rel=1e-4, abs=1e-5), (a["step"], name)


def test_a_nan_loss_names_step_term_and_last_good_checkpoint(
    tmp_path: Path, tiny_source: Path, tiny_target: Path
) -> None:
    method = SIMGAN | {"refiner_optimizer": {"lr": 1e30}, "pretrain_refiner": 24, "pretrain_discriminator": 0}
    method["refiner_optimizer"] = {"lr": 1.0e38, "schedule": "constant"}
    trainer = Trainer(tmp_path, tiny_source, tiny_target, method, steps=60, log_every=5, checkpoint_every=5)
    code, output = trainer.run()
    assert code == 1, output
    assert "Traceback" not in output
    assert "at step" in output and "self_regularization became" in output
    assert "checkpoint" in output and "What usually helps" in output
    assert not (tmp_path / "model").exists()
