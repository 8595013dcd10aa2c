"""The examples of docs/hooks, installed as plugins and driven by real stages: each does what its page says."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from adaptgan import load_dataset
from adaptgan.data.shards import iter_records
from tests.docs.pages import EXAMPLES
from tests.docs.world import BATCH, STEPS, STOP_AT, World


def last_losses(log: Path) -> dict[str, float]:
    losses: dict[str, float] = json.loads((log / "losses.jsonl").read_text().splitlines()[-1])["losses"]
    return losses


def test_register_components(world: World, log: Path) -> None:
    code, output = world.run("export", world.source, world.folder / "table", "--to", "label_table")
    assert code == 0, output
    with (world.folder / "table" / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    records = list(iter_records(world.source))
    classes = load_dataset(world.source).classes
    assert [(row["key"], row["class"]) for row in rows] == [(one.key, classes[one.label]) for one in records]


def test_register_commands(world: World) -> None:
    code, output = world.run("count-classes", world.source)
    assert code == 0, output
    counted = dict(line.split(": ") for line in output.splitlines())
    labels = [record.label for record in iter_records(world.source)]
    names = load_dataset(world.source).classes
    assert counted == {name: str(labels.count(k)) for k, name in enumerate(names)}
    assert "count-classes" in world.run("--help")[1]


def test_before_stage(world: World) -> None:
    world.witnessed()
    code, output = world.run(*world.arguments("wild"), ADAPTGAN_MIN_FREE_GB="1e9")
    assert code == 1
    assert "train task.wild was not begun" in output and "Traceback" not in output
    assert not (world.folder / "wild").exists()
    assert "adaptgan_on_stage_error" not in {hook for hook, *_ in world.witnessed()}


def test_after_stage(world: World, log: Path) -> None:
    lines = [json.loads(line) for line in (world.folder / "ledger.jsonl").read_text().splitlines()]
    told = [line for line in lines if line["stage"] == "train task.plain"]
    assert len(told) == 2  # the interrupted one is not among them
    assert all(line["seconds"] > 0 and line["steps"] == STEPS for line in told)


def test_on_stage_error(log: Path, story: dict[str, Any]) -> None:
    told = f"train task.plain failed: Interrupted: task.plain was stopped by a signal after step {STOP_AT} of {STEPS}"
    assert story["mail"].startswith(told)


def test_before_train(log: Path) -> None:
    with (log / "networks.csv").open() as file:
        rows = {row["network"]: row for row in csv.DictReader(file)}
    stored = load_file(log.parent / "model" / "model.safetensors")
    count = sum(
        value.size
        for name, value in stored.items()
        if name.startswith("average.network.") and not name.endswith(("_mean", "_var", "_tracked"))
    )
    assert rows["classifier"]["weights"] == rows["classifier"]["learning"] == str(count)


def test_on_step_end(log: Path) -> None:
    """The peak is no smaller than any mean of the second process's read-outs."""
    peaks = json.loads((log / "peaks.json").read_text())
    lines = [json.loads(line) for line in (log / "losses.jsonl").read_text().splitlines()]
    late = [line["losses"] for line in lines if line["step"] > STOP_AT]
    assert peaks.keys() == late[0].keys()
    for name, peak in peaks.items():
        assert peak >= max(losses[name] for losses in late) - 1e-6


def test_on_losses(world: World) -> None:
    code, output = world.run(*world.arguments("wild"))
    lines = [json.loads(line) for line in (world.folder / "wild" / "log" / "losses.jsonl").read_text().splitlines()]
    (name, last), *_ = lines[-1]["losses"].items()
    assert (code, last > 1000 * max(lines[0]["losses"][name], 1)) == (1, True), output
    assert f"at step {lines[-1]['step']}, and was" in output
    assert lines[-1]["step"] < STEPS
    assert list((world.folder / "scratch").glob(f"runs/*/checkpoints/step-{lines[-1]['step']:09d}.pt"))


def test_on_samples(log: Path) -> None:
    film = Image.open(log / "film.gif")
    with film:
        assert getattr(film, "n_frames", 1) == 3  # at steps 4, 8 and 12: the first of the process before
        assert film.size[1] % 32 == 0


def test_on_evaluated(world: World, log: Path) -> None:
    with (world.folder / "scores.csv").open() as file:
        rows = [row for row in csv.reader(file) if row[0] == "task.plain"]
    card = json.loads((world.folder / "plain" / "model" / "model.json").read_text())
    assert len(rows) == 2 * len(card["scores"])
    for run, fingerprint, step, name, value in rows:
        assert (run, fingerprint, step) == ("task.plain", card["fingerprint"][:12], str(STEPS))
        assert float(value) == pytest.approx(card["scores"][name], abs=1e-6)


def test_on_checkpoint(world: World, log: Path, story: dict[str, Any]) -> None:
    assert story["left"] == {f"step-{step:09d}.pt" for step in (4, STOP_AT)}
    copies = world.folder / "backup" / "task.plain"
    assert {path.name for path in copies.iterdir()} == {f"step-{step:09d}.pt" for step in (4, STOP_AT, 8, STEPS)}
    assert torch.load(copies / f"step-{STOP_AT:09d}.pt", weights_only=True)["step"] == STOP_AT


def test_after_train(log: Path) -> None:
    text = (log / "summary.md").read_text()
    assert text.startswith(f"# task.plain\n{STEPS} steps in ")
    assert f"this process did {STEPS - STOP_AT} of them" in text
    assert len([line for line in text.splitlines() if line.startswith("- loss ")]) == len(last_losses(log))
    assert "- score source_accuracy: " in text


def test_on_train_error(world: World) -> None:
    code, output = world.run(*world.arguments("broken"))
    assert code == 1, output
    first, *weights = (world.folder / "broken" / "log" / "autopsy.txt").read_text().splitlines()
    assert "NonFiniteLoss" in first
    assert any(line.startswith("classifier.") and line.endswith("are not finite") for line in weights)


def test_save_state(log: Path) -> None:
    assert (log / "images_seen.txt").read_text() == f"{STEPS * BATCH}\n"
    assert (log.parents[1] / "straight" / "log" / "images_seen.txt").read_text() == f"{STEPS * BATCH}\n"


def test_load_state(log: Path) -> None:
    """Interrupted or not, the slow means are the same, and are those of the read-outs."""
    smooth = json.loads((log / "smooth.json").read_text())
    assert smooth == json.loads((log.parents[1] / "straight" / "log" / "smooth.json").read_text())
    expected: dict[str, float] = {}
    for line in (log / "losses.jsonl").read_text().splitlines():
        for name, mean in json.loads(line)["losses"].items():
            expected[name] = 0.9 * expected.get(name, mean) + 0.1 * mean
    assert smooth == pytest.approx(expected)


def test_the_example_of_a_hooks_own_test_passes(adaptgan_plugins: Any, adaptgan_run: Any) -> None:
    spec = importlib.util.spec_from_file_location("test_my_hook", EXAMPLES / "test_my_hook.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.test_it_hears_of_every_step(adaptgan_plugins, adaptgan_run)
