"""The hooks: what they write whatever happens to tracking, and that tracking never fails or slows a stage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from adaptgan.params import TrackingSection
from adaptgan.plugins import PluginWarning, plugins
from adaptgan.tracking import plugin, recorder
from adaptgan.tracking.grid import labelled_grid
from adaptgan.tracking.journal import Journal, journal_folder
from adaptgan.training.run import Run
from tests.tracking.helpers import checkpoint, history, replay, the_run, tiny_training


def lines(path: Path = Path("log/losses.jsonl")) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_log_folder_is_written_with_or_without_tracking(project: Path, enabled: bool) -> None:
    run = tiny_training(stage={"tracking": TrackingSection(enabled=enabled)})
    assert lines() == run.history
    assert sorted(path.name for path in Path("log/samples").iterdir()) == ["000010.png", "000020.png"]
    timing = json.loads(Path("log/timing.json").read_text())
    assert timing == {"seconds": 0.2, "steps": 20, "resumed_from": 0, "images_per_second": pytest.approx(1600)}
    assert bool(list(journal_folder().glob("*.jsonl"))) == enabled


def test_a_resumption_rewrites_the_log_without_duplicates_or_gaps(project: Path) -> None:
    import shutil

    killed = tiny_training(die_at=14)
    assert [line["step"] for line in lines()] == [2, 4, 6, 8, 10, 12, 14]
    shutil.rmtree("log")  # as DVC does before it runs the stage again
    tiny_training(start=12, state=checkpoint(killed, 12))
    assert [line["step"] for line in lines()] == list(range(2, 21, 2))
    assert sorted(path.name for path in Path("log/samples").iterdir()) == ["000010.png", "000020.png"]


def test_a_fresh_training_clears_what_another_left_in_the_log(project: Path) -> None:
    tiny_training()
    tiny_training(steps=4)
    assert [line["step"] for line in lines()] == [2, 4]
    assert list(Path("log/samples").glob("*")) == []


def test_other_ranks_write_nothing(project: Path) -> None:
    method: Any = SimpleNamespace()
    run = Run("task.dann", "f", Path("scratch-run"), Path("log"), {}, 10, method, torch.device("cpu"), rank=1)
    run.history.append({"step": 1, "seconds": 0.1, "losses": {}})
    before = sorted(project.rglob("*"))
    for hook, arguments in (
        ("before_train", {}),
        ("on_step_end", {"step": 1, "losses": {}}),
        ("on_losses", {"step": 1, "means": {}}),
        ("on_samples", {"step": 1, "images": {"a": torch.zeros(1, 1, 4, 4)}}),
        ("on_evaluated", {"step": 1, "scores": {}}),
        ("on_checkpoint", {"step": 1, "path": Path("x")}),
        ("after_train", {}),
        ("on_train_error", {"error": ValueError()}),
    ):
        plugins().fire(f"adaptgan_{hook}", run=run, **arguments)
    assert sorted(project.rglob("*")) == before


def test_a_failing_tracker_costs_one_warning_and_nothing_else(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder.Recorder, "metrics", full)
    run = tiny_training()
    assert run.step == 20
    assert capsys.readouterr().err.count("warning: tracking stopped") == 1
    assert len(lines()) == 10


def test_a_journal_in_use_costs_a_warning_not_the_stage(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    killed = tiny_training(die_at=8)
    other = Journal(journal_folder() / f"{killed.memo[plugin.MEMO]}.jsonl")
    run = tiny_training(start=8, state=checkpoint(killed, 8))
    other.close()
    assert run.step == 20
    assert "another process" in capsys.readouterr().err


def test_params_are_logged_at_the_first_start_only(project: Path) -> None:
    killed = tiny_training(die_at=8)
    tiny_training(start=8, state=checkpoint(killed, 8))
    text = (journal_folder() / f"{killed.memo[plugin.MEMO]}.jsonl").read_text()
    assert text.count('"do":"params"') == 1
    assert text.count('"do":"begin"') == 2


def test_the_plugin_needs_neither_torch_nor_mlflow_to_be_imported() -> None:
    program = (
        "import sys, adaptgan.tracking.plugin, adaptgan.training.progress\n"
        "print([name for name in ('torch', 'mlflow', 'numpy', 'rich', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_training_process_never_imports_mlflow(project: Path) -> None:
    program = (
        "import sys\nfrom adaptgan.tracking import replayer\nreplayer.ensure_replayer = lambda *_: None\n"
        "replayer.wait_for = lambda *_: ''\n"
        "from tests.tracking.helpers import tiny_training\ntiny_training()\nprint('mlflow' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "False"


def test_a_grid_has_one_row_per_batch_with_pixels_where_they_belong() -> None:
    black, white = -torch.ones(2, 1, 60, 60), torch.ones(2, 3, 60, 60)
    grid = labelled_grid({"synthetic": black, "real": white})
    assert grid.height == 2 * (60 + 2 * 2)
    assert grid.getpixel((grid.width - 10, 30)) == (0, 0, 0)
    assert grid.getpixel((grid.width - 10, 64 + 30)) == (255, 255, 255)
    margin = grid.crop((0, 0, grid.width - 2 * 62 - 2, 64)).convert("L")
    assert margin.getextrema()[0] < 100  # the name is written there


def test_a_grid_enlarges_small_images_by_whole_factors_and_keeps_values() -> None:
    batch = torch.tensor([[[[-1.0, 1.0], [0.0, 1.0]]]])
    grid = labelled_grid({"x": batch.repeat(2, 1, 1, 1)})
    assert grid.height == 48 + 4
    left = grid.width - 50
    assert [grid.getpixel((left + x, 2 + y))[0] for x, y in ((1, 1), (30, 1), (1, 30))] == [0, 255, 128]


def test_a_grid_of_nothing_is_still_an_image() -> None:
    assert isinstance(labelled_grid({}), Image.Image)
    assert isinstance(labelled_grid({"empty": torch.zeros(0, 1, 4, 4)}), Image.Image)


ALARMING = """
from adaptgan import hookimpl

@hookimpl
def adaptgan_on_losses(run, step):
    if step in (6, 14):
        run.alarms.append({"step": step, "alarm": f"alarm_{step}", "message": "what it means, what helps"})
"""


def test_alarms_are_written_tagged_and_marked_at_their_step_once(
    project: Path, third_party: Callable[..., None]
) -> None:
    third_party("alarm-gan", ALARMING)
    killed = tiny_training(die_at=14)
    assert json.loads(Path("log/alarms.json").read_text()) == killed.alarms
    run = tiny_training(start=12, state=checkpoint(killed, 12))  # step 14 comes again
    assert [alarm["step"] for alarm in run.alarms] == [14]
    replay()
    tracked = the_run("train task.dann")
    assert tracked.data.tags["alarm.alarm_6"] == "step 6: what it means, what helps"
    assert history(tracked, "alarm/alarm_6") == [(6, 1.0)]
    assert history(tracked, "alarm/alarm_14") == [(14, 1.0)]
    text = (journal_folder() / f"{killed.memo[plugin.MEMO]}.jsonl").read_text()
    assert text.count("alarm/alarm_14") == 1


GROUCH = """
from adaptgan import hookimpl

@hookimpl
def adaptgan_on_losses(step): raise KeyError(step)
"""


def test_every_run_says_whose_code_took_part(project: Path, third_party: Callable[..., None]) -> None:
    tiny_training(stage={"section": "task.alone"})
    third_party("alarm-gan", ALARMING, version="1.4.0")
    third_party("grouch-gan", GROUCH)
    with pytest.warns(PluginWarning, match="grouch-gan"):
        tiny_training()
    replay()
    alone, among = the_run("train task.alone").data.tags, the_run("train task.dann").data.tags
    assert alone["adaptgan.plugins"] == "none but the built-in ones"
    assert "adaptgan.plugins.left_out" not in alone
    assert among["adaptgan.plugins"] == "alarm-gan==1.4.0, grouch-gan==1.0"
    assert among["adaptgan.plugins.left_out"] == "grouch-gan==1.0: adaptgan_on_losses raised KeyError: 2"
