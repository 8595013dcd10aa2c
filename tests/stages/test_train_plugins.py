"""`adaptgan train` beside third parties' plugins: who is imported, what is recorded of them, who ends a training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import torchrun

Install = Callable[..., None]

LOUD = """
import os
from adaptgan import hookimpl

with open(os.environ["MARK"], "a") as file:
    file.write("imported ")

@hookimpl
def adaptgan_on_step_end(run, step):
    run.memo["seen"] = step
"""

GROUCH = """
from adaptgan import hookimpl

@hookimpl(observes=True)
def adaptgan_on_losses(step): raise KeyError(step)
"""

HALTS = """
from adaptgan import hookimpl

@hookimpl
def adaptgan_on_step_end(run, step):
    if run.rank == 0 and step == 3:
        run.halt = "enough is enough"
"""

FAILS = """
from adaptgan import hookimpl

@hookimpl
def adaptgan_on_step_end(run, step):
    if run.rank == 0:
        raise KeyError("only here")
"""


class Project:
    """A project's folder, and commands in it that see the installed plugins."""

    def __init__(self, folder: Path, source: Path, *distributions: str) -> None:
        self.folder, self.source = folder / "project", source
        self.folder.mkdir()
        sites = [str(folder / "site" / name) for name in distributions]
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*sites, os.environ.get("PYTHONPATH", "")]),
            "MARK": str(folder / "mark"),
            "ADAPTGAN_SCRATCH": str(folder / "scratch"),
            "OMP_NUM_THREADS": "1",
        }
        self.mark = folder / "mark"

    def train(self, out: str, *launcher: str, cwd: Path | None = None, **sections: Any) -> tuple[int, str]:
        """Exit status and stderr of a training of 12 steps."""
        method = {"name": "supervised", "classifier": {"name": "conv_classifier", "widths": [4], "hidden": 8}}
        training = {"steps": 12, "batch_size": 4, "log_every": 4, "checkpoint_every": 6, "device": "cpu"}
        task = {"method": method, "training": training | {"precision": "32-true"}}
        tree = {"task": task, "tracking": {"enabled": False}, **sections}
        params = self.folder / "params.yaml"
        params.write_text(yaml.safe_dump(tree))
        given = [
            "--source",
            self.source,
            "--out",
            self.folder / out,
            "--trace",
            self.folder / "log",
            "--params",
            params,
        ]
        done = subprocess.run(
            [sys.executable, *launcher, "-m", "adaptgan", "train", "task", *map(str, given)],
            cwd=cwd or self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        return done.returncode, done.stderr

    def card(self, out: str) -> dict[str, Any]:
        card: dict[str, Any] = json.loads((self.folder / out / "model.json").read_text())
        return card


def test_a_plugin_that_params_block_is_not_imported_and_its_absence_is_another_run(
    third_party: Install, tmp_path: Path, tiny_source: Path
) -> None:
    third_party("loud-gan", LOUD, version="1.5")
    project = Project(tmp_path, tiny_source, "loud-gan")
    code, err = project.train("with")
    assert (code, project.mark.read_text()) == (0, "imported "), err
    project.mark.unlink()
    code, err = project.train("without", cwd=tmp_path, plugins={"block": ["Loud_GAN"]})  # it is --params that counts
    assert (code, project.mark.exists()) == (0, False), err
    there, away = project.card("with"), project.card("without")
    assert (there["plugins"], away["plugins"]) == ({"active": ["loud-gan==1.5"]}, {"active": []})
    assert there["versions"] == away["versions"] | {"loud-gan": "1.5"}
    assert there["fingerprint"] != away["fingerprint"]


def test_one_that_only_observes_makes_no_other_run_and_its_failure_is_recorded(
    third_party: Install, tmp_path: Path, tiny_source: Path
) -> None:
    third_party("grouch-gan", GROUCH)
    project = Project(tmp_path, tiny_source, "grouch-gan")
    code, err = project.train("with")
    assert code == 0
    assert err.count("warning: Plugin grouch-gan 1.0 (entry point 'grouch-gan') is left out: adaptgan_on_losses") == 1
    code, err = project.train("without", plugins={"allow": []})
    assert code == 0, err
    there, away = project.card("with"), project.card("without")
    assert there["plugins"] == {
        "active": [],
        "left_out": {"grouch-gan==1.0": "adaptgan_on_losses raised KeyError: 4"},
    }
    assert there["fingerprint"] == away["fingerprint"]


@pytest.mark.slow
def test_of_two_processes_none_waits_for_one_whose_plugin_failed_or_halted(
    third_party: Install, tmp_path: Path, tiny_source: Path
) -> None:
    third_party("fails-gan", FAILS)
    third_party("halts-gan", HALTS)
    project = Project(tmp_path, tiny_source, "fails-gan", "halts-gan")
    code, err = project.train("model", *torchrun(2))
    assert code == 1
    assert [line for line in err.splitlines() if line.startswith("adaptgan: enough")] == ["adaptgan: enough is enough"]
    assert err.count("is left out: adaptgan_on_step_end raised KeyError: 'only here'") == 1
    assert "Traceback" not in "".join(line for line in err.splitlines(keepends=True) if line.startswith("adaptgan"))
    (checkpoint,) = (tmp_path / "scratch").glob("runs/*/checkpoints/step-*.pt")
    assert checkpoint.name == "step-000000004.pt"  # halted in step 3, agreed on at the next read-out
