"""The examples of docs/hooks, installed as plugins and driven by real stages: each does what its page says.

A witness beside them notes every call: the order, the ranks and the exceptions that the pages tell are held to it.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import inspect
import io
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from adaptgan import hookspecs, load_dataset
from adaptgan.data.shards import iter_records
from adaptgan.plugins import plugins
from tests.conftest import torchrun, write_params
from tests.docs.pages import EXAMPLES, HOOKS, generator

STEPS, STOP_AT, BATCH = 12, 6, 8
TRAINING = {
    "steps": STEPS,
    "batch_size": BATCH,
    "log_every": 2,
    "checkpoint_every": 4,
    "sample_every": 4,
    "validation": 0.2,
    "precision": "32-true",
    "device": "cpu",
}
METHOD = {"name": "supervised", "classifier": {"name": "conv_classifier", "widths": [4], "hidden": 8}}
WILD = {**METHOD, "optimizer": {"name": "sgd", "lr": 1000.0}}
BROKEN = {**METHOD, "optimizer": {"name": "sgd", "lr": 1e30}}
SECTIONS = {
    "plain": {"method": METHOD, "training": TRAINING},
    "each": {"method": METHOD, "training": TRAINING | {"steps": 2, "log_every": 1, "checkpoint_every": 1}},
    "wild": {"method": WILD, "training": TRAINING | {"log_every": 1}},
    "broken": {"method": BROKEN, "training": TRAINING},
}
SECTIONS["each"]["training"]["sample_every"] = 1

WITNESS = """
import json, os, signal
from adaptgan import AdaptganError, hookimpl

def note(hook, rank, step=None):
    with open(os.environ["WITNESS"], "a") as file:
        file.write(json.dumps([hook, rank, step]) + chr(10))
    if hook == "adaptgan_on_step_end" and step == int(os.environ.get("STOP_AT", "-1")):
        os.kill(os.getpid(), signal.SIGTERM)
    if hook == "adaptgan_on_step_end" and os.environ.get("DRAW"):
        import torch
        torch.randn(7)
    if hook == os.environ.get("RAISE_IN"):
        raise AdaptganError("the witness had enough")
"""


def witness() -> str:
    """A plugin that implements every hook there is."""
    code = WITNESS
    for hook in HOOKS:
        parameters = inspect.signature(getattr(hookspecs, hook)).parameters
        who = next((name for name in ("run", "stage") if name in parameters), "")
        rank = f"{who}.rank" if who else 'int(os.environ.get("RANK", "0"))'
        step = "run.step" if who == "run" else "None"
        code += (
            f'\n@hookimpl(must_succeed=True, observes=True)\ndef {hook}({who}):\n    note("{hook}", {rank}, {step})\n'
        )
        code += "    return []\n" if hook == "adaptgan_register_components" else ""
    return code


class World:
    """A folder to work in, with every example installed as a distribution of its own."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder, self.source, self.site = folder, source, folder / "site"
        for example in sorted(EXAMPLES.glob("adaptgan_*.py")):
            self._install(example.stem, example.read_text())
        self._install("witness", witness())
        self.params = write_params(folder / "params.yaml", task=SECTIONS)
        self.environment = {
            "ADAPTGAN_SCRATCH": str(folder / "scratch"),
            "WITNESS": str(folder / "witness.jsonl"),
            "ADAPTGAN_LEDGER": str(folder / "ledger.jsonl"),
            "ADAPTGAN_SCORES": str(folder / "scores.csv"),
            "ADAPTGAN_BACKUP": str(folder / "backup"),
            "ADAPTGAN_NOTIFY": f"tee -a {folder / 'mail.txt'}",
        }

    def _install(self, module: str, code: str) -> None:
        info = self.site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (self.site / f"{module}.py").write_text(code)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[adaptgan]\n{module} = {module}\n")

    def arguments(self, section: str) -> list[str]:
        """Those of a training, into `SECTION/model` and `SECTION/log`."""
        places = ["--out", self.folder / section / "model", "--trace", self.folder / section / "log"]
        return ["train", f"task.{section}", *map(str, ["--source", self.source, *places, "--params", self.params])]

    def run(self, *arguments: object, **environment: str) -> tuple[int, str]:
        """A command in this process, with the plugins as a new process finds them; exit status and all output."""
        from adaptgan.cli.main import app, run

        known, said, code = list(app.registered_commands), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(self.site))
            for key, value in {**self.environment, **environment}.items():
                patch.setenv(key, value)
            plugins.cache_clear()
            try:
                with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                    run([str(argument) for argument in arguments])
            except SystemExit as stop:
                code = int(stop.code or 0)
            finally:
                plugins.cache_clear()
                app.registered_commands[:] = known
                for example in self.site.glob("*.py"):
                    sys.modules.pop(example.stem, None)
        return code, said.getvalue()

    def witnessed(self) -> list[tuple[str, int, int | None]]:
        """What was called since the last look: hook, rank, step."""
        path = self.folder / "witness.jsonl"
        calls = [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
        path.unlink(missing_ok=True)
        return calls


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path) -> World:
    return World(tmp_path_factory.mktemp("world"), tiny_source)


@pytest.fixture(scope="module")
def story(world: World) -> dict[str, Any]:
    """One training, stopped by a signal, then run to its end; and the same without an interruption."""
    world.witnessed()
    told: dict[str, Any] = {}
    told["stopped"] = world.run(*world.arguments("plain"), STOP_AT=str(STOP_AT))
    told["calls before"] = [hook for hook, *_ in world.witnessed()]
    told["mail"] = (world.folder / "mail.txt").read_text()
    told["left"] = {path.name for path in (world.folder / "backup" / "task.plain").iterdir()}
    told["finished"] = world.run(*world.arguments("plain"))
    told["calls after"] = [hook for hook, *_ in world.witnessed()]
    straight = world.arguments("plain")
    places = {"plain/model": "straight/model", "plain/log": "straight/log"}
    for old, new in places.items():
        straight = [argument.replace(str(world.folder / old), str(world.folder / new)) for argument in straight]
    told["straight"] = world.run(*straight, DRAW="1")
    world.witnessed()
    return told


@pytest.fixture
def log(world: World, story: dict[str, Any]) -> Iterator[Path]:
    assert [story[part][0] for part in ("stopped", "finished", "straight")] == [75, 0, 0], story
    return world.folder / "plain" / "log"


# What the pages say of the order, the ranks and the exceptions.


def test_a_training_calls_them_in_the_order_of_the_page(world: World) -> None:
    code, output = world.run(*world.arguments("each"))
    assert code == 0, output
    calls = [hook for hook, _ in groupby(hook for hook, *_ in world.witnessed())]
    order = [(level, hook) for level, hook, _ in generator().ORDER if hook != "adaptgan_load_state"]
    turn = [hook for level, hook in order if level == 3]
    begin = [hook for level, hook in order[: len(order) // 2] if level < 3]
    end = [hook for level, hook in order[len(begin) + len(turn) :]]
    assert [hook for _, hook in order] == begin + turn + end
    first, last = turn, turn[: turn.index("adaptgan_save_state")]  # the last step's checkpoint waits for the scores
    assert calls == begin + first + last + end


def test_a_signal_a_resumption_and_what_is_called_instead(world: World, log: Path, story: dict[str, Any]) -> None:
    before, after = story["calls before"], story["calls after"]
    assert before[-4:] == [
        "adaptgan_save_state",
        "adaptgan_on_checkpoint",
        "adaptgan_on_train_error",
        "adaptgan_on_stage_error",
    ]
    assert not {"adaptgan_after_train", "adaptgan_after_stage", "adaptgan_load_state"} & set(before)
    start = after.index("adaptgan_before_stage")
    assert after[start : start + 4] == [
        "adaptgan_before_stage",
        "adaptgan_load_state",
        "adaptgan_before_train",
        "adaptgan_on_step_end",
    ]
    assert after.count("adaptgan_on_step_end") == STEPS - STOP_AT
    assert not {"adaptgan_on_train_error", "adaptgan_on_stage_error"} & set(after)


def test_no_stage_hook_for_what_is_wrong_before_it_begins(world: World) -> None:
    world.witnessed()
    code, _ = world.run(*world.arguments("plain"), "--set", "task.plain.training.stepps=3")
    assert code == 2
    assert {hook for hook, *_ in world.witnessed()} <= {"adaptgan_register_components", "adaptgan_register_commands"}


@pytest.mark.slow
def test_the_ranks_are_those_of_the_page(world: World) -> None:
    """Two processes, as torchrun starts them."""
    world.witnessed()
    (world.folder / "each-2").mkdir()
    arguments = [part.replace("/each/", "/each-2/") for part in world.arguments("each")]
    done = subprocess.run(
        [sys.executable, *torchrun(2), "-m", "adaptgan", *arguments],
        env={
            **os.environ,
            **world.environment,
            "PYTHONPATH": os.pathsep.join([str(world.site), *sys.path[:1], str(Path.cwd())]),
            "OMP_NUM_THREADS": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    ranks: dict[str, set[int]] = {}
    for hook, rank, _ in world.witnessed():
        ranks.setdefault(hook, set()).add(rank)
    expected = {"0": {0}, "all": {0, 1}}
    errors = {"adaptgan_on_stage_error", "adaptgan_on_train_error", "adaptgan_load_state"}
    assert ranks == {hook: expected[generator().facts(hook)["Ranks"]] for hook in HOOKS if hook not in errors}
    assert (world.folder / "each-2" / "log" / "networks.csv").read_text().count("classifier") == 1  # by rank 0 alone


def test_random_numbers_that_a_hook_draws_change_no_training(log: Path) -> None:
    drew = (log.parents[1] / "straight" / "model" / "model.safetensors").read_bytes()
    assert drew == (log.parent / "model" / "model.safetensors").read_bytes()


STAGE, TRAIN = "adaptgan_on_stage_error", "adaptgan_on_train_error"


@pytest.mark.parametrize(
    ("hook", "told", "kept"),
    [
        ("adaptgan_before_stage", [], set()),
        ("adaptgan_load_state", [STAGE], {1}),
        ("adaptgan_before_train", [STAGE], set()),
        ("adaptgan_on_step_end", [TRAIN, STAGE], set()),
        ("adaptgan_on_samples", [TRAIN, STAGE], set()),
        ("adaptgan_on_losses", [TRAIN, STAGE], set()),
        ("adaptgan_save_state", [TRAIN, STAGE], set()),
        ("adaptgan_on_checkpoint", [TRAIN, STAGE], {1}),
        ("adaptgan_on_evaluated", [TRAIN, STAGE], {1}),
        ("adaptgan_after_train", [STAGE], {1, 2}),
        ("adaptgan_after_stage", [STAGE], {1, 2}),
    ],
)
def test_a_hook_that_must_succeed_and_fails(world: World, hook: str, told: list[str], kept: set[int]) -> None:
    """It stops the run there; what is called then and which checkpoints are left is what its page says."""
    scratch = world.folder / f"scratch of {hook}"
    arguments = [part.replace("/each/", f"/{hook}/") for part in world.arguments("each")]
    if hook == "adaptgan_load_state":
        world.run(*arguments, ADAPTGAN_SCRATCH=str(scratch), RAISE_IN="adaptgan_on_checkpoint")
    world.witnessed()
    code, output = world.run(*arguments, ADAPTGAN_SCRATCH=str(scratch), RAISE_IN=hook)
    assert code == 1 and output.splitlines()[-1] == "adaptgan: the witness had enough"
    calls = [name for name, *_ in world.witnessed()]
    assert calls[calls.index(hook) + 1 :] == told
    assert {int(path.stem.removeprefix("step-")) for path in scratch.glob("runs/*/checkpoints/*.pt")} == kept
    assert (world.folder / hook / "model").exists() == (hook in ("adaptgan_after_train", "adaptgan_after_stage"))


@pytest.mark.parametrize("hook", ["adaptgan_on_train_error", "adaptgan_on_stage_error"])
def test_a_hook_for_errors_hides_none(world: World, hook: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, output = world.run(*world.arguments("broken"), RAISE_IN=hook)
    assert code == 1
    assert output.splitlines()[-1].startswith("adaptgan: task.broken: ")
    assert "the witness had enough" in output  # as a warning


def test_the_stages_are_those_of_the_page() -> None:
    """What fires the hooks of stages is what `adaptgan_before_stage` lists."""
    sources = [path.read_text() for path in (EXAMPLES.parents[1] / "adaptgan" / "stages").glob("*.py")]
    stages = {name for text in sources if ".running()" in text for name in re.findall(r' Stage\(\s*"(\w+)"', text)}
    assert stages == set(re.findall(r"`(\w+)`", generator().facts("adaptgan_before_stage")["Called"]))


def test_the_example_of_a_hooks_own_test_passes(adaptgan_plugins: Any, adaptgan_run: Any) -> None:
    spec = importlib.util.spec_from_file_location("test_my_hook", EXAMPLES / "test_my_hook.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.test_it_hears_of_every_step(adaptgan_plugins, adaptgan_run)


# What each example's page promises.


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
