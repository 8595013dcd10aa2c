"""What the pages of hooks say of the order, the ranks and the exceptions, held to real stages by a witness."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import torchrun
from tests.docs.pages import EXAMPLES, HOOKS, generator
from tests.docs.world import STEPS, STOP_AT, World


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
