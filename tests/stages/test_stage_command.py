"""A third party's command that is a stage of the pipeline: the example of docs/plugins.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from adaptgan import hookimpl, load_dataset
from adaptgan.files import read_json
from adaptgan.stages.base import Stage
from adaptgan.testing.workbench import Workbench

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "stage_command.py"
Cli = Callable[..., tuple[int, str, str]]


class Witness:
    """What the hooks of stages see."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Stage]] = []

    @hookimpl(observes=True)
    def adaptgan_before_stage(self, stage: Stage) -> None:
        self.seen.append(("before", stage))

    @hookimpl(observes=True)
    def adaptgan_after_stage(self, stage: Stage) -> None:
        self.seen.append(("after", stage))

    @hookimpl(observes=True)
    def adaptgan_on_stage_error(self, stage: Stage) -> None:
        self.seen.append(("error", stage))


@pytest.fixture
def witness(adaptgan_plugins: Workbench) -> Witness:
    """The example is installed, and somebody looks on."""
    adaptgan_plugins.install("acme-sharpness", EXAMPLE.read_text())
    found = Witness()
    adaptgan_plugins.register(found)
    return found


def test_the_hooks_see_it(
    witness: Witness, adaptgan_cli: Cli, adaptgan_scratch: Path, tiny_source: Path, tmp_path: Path
) -> None:
    (tmp_path / "params.yaml").write_text("seed: 3\ntracking: {experiment: mine}\n")
    out = tmp_path / "sharpness.json"
    given = ("--out", out, "--limit", 20, "--params", tmp_path / "params.yaml")
    code, said, errors = adaptgan_cli("sharpness", tiny_source, *given)
    assert code == 0, errors
    images = load_dataset(tiny_source).images_NCHW[:20].astype(float)
    expected = np.abs(images[..., 1:] - images[..., :-1]).mean()
    assert read_json(out)["sharpness"] == pytest.approx(expected)
    assert f"{expected:.2f}" in said
    (before, first), (after, stage) = witness.seen
    assert (before, after) == ("before", "after") and first is stage
    assert stage.title == "sharpness" and stage.seed == 3 and stage.tracking.experiment == "mine"
    assert stage.params == {"limit": 20} and stage.inputs == {"data": tiny_source} and stage.outputs == {"out": out}
    recorded = read_json(adaptgan_scratch / "stages" / "sharpness.json")
    assert recorded["results"] == {"sharpness": pytest.approx(expected)} and recorded["seconds"] == pytest.approx(
        stage.seconds, abs=0.01
    )


def test_a_failure_is_a_stages_failure(witness: Witness, adaptgan_cli: Cli, tmp_path: Path) -> None:
    code, _, errors = adaptgan_cli("sharpness", tmp_path / "nowhere", "--out", tmp_path / "sharpness.json")
    assert code == 1 and errors.startswith("adaptgan: ") and "Traceback" not in errors
    assert [moment for moment, _ in witness.seen] == ["before", "error"]
    assert not (tmp_path / "sharpness.json").exists() and not witness.seen[0][1].tracking.enabled


def test_wrong_params_are_told_before_anything_begins(witness: Witness, adaptgan_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("seed: -1\n")
    given = ("--out", tmp_path / "sharpness.json", "--params", tmp_path / "params.yaml")
    code, _, errors = adaptgan_cli("sharpness", tmp_path, *given)
    assert code == 2 and "seed" in errors
    assert not witness.seen


def test_roles_that_are_not_given_are_left_out() -> None:
    stage = Stage.of_command("x", options={"a": 1}, inputs={"model": Path("m"), "truth": None})
    assert stage.inputs == {"model": Path("m")} and stage.outputs == {} and stage.params == {"a": 1}
