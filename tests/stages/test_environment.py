"""The environment stage: what each section depends on, all mistakes at once, and no torch."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from adaptgan import plugins as plugins_module
from adaptgan.components import ComponentSpec, Registry
from adaptgan.errors import ParamsError
from adaptgan.files import scratch
from adaptgan.params import load
from adaptgan.stages import environment as stage

TREE: dict[str, Any] = {
    "source": {"dataset": {"name": "rendered_digits", "count": 100}},
    "target": {"dataset": "handwriting", "labels": "sealed"},
    "refiner": {"method": {"name": "simgan"}},
    "refine": {},
    "task": {"source": {"method": "supervised"}, "dann": {"method": "dann", "training": {"steps": 5}}},
}


def write(tmp_path: Path, tree: dict[str, Any]) -> Any:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"tracking": {"enabled": False}, **tree}))
    return load(path)


def run(tmp_path: Path, tree: dict[str, Any]) -> dict[str, Any]:
    stage.environment(write(tmp_path, tree), out=tmp_path / "environment")
    return {path.stem: json.loads(path.read_text()) for path in (tmp_path / "environment").iterdir()}


def test_every_section_has_its_file(tmp_path: Path) -> None:
    files = run(tmp_path, TREE)
    assert set(files) == {
        *("source", "target", "refiner", "refine", "task.source", "task.dann", "evaluate", "report"),
    }
    assert files["task.dann"] == {
        "python": ".".join(platform.python_version().split(".")[:2]),
        "adaptgan": version("adaptgan"),
        "torch": version("torch"),
        "components": {"method/dann": f"adaptgan=={version('adaptgan')}"},
    }
    assert set(files["evaluate"]["components"]) >= {"metric/kid", "validator/source_accuracy"}
    assert set(files["refine"]["components"]) == {"gate/classifier_agreement"}


def test_equal_installations_give_equal_bytes_and_old_sections_go(tmp_path: Path) -> None:
    run(tmp_path, TREE)
    first = {path.name: path.read_bytes() for path in (tmp_path / "environment").iterdir()}
    run(tmp_path, TREE)
    assert {path.name: path.read_bytes() for path in (tmp_path / "environment").iterdir()} == first
    smaller = {name: value for name, value in TREE.items() if name != "refiner"}
    assert "refiner" not in run(tmp_path, smaller)


def test_each_run_starts_a_new_pipeline(tmp_path: Path) -> None:
    before = time.time()
    run(tmp_path, TREE)
    first = json.loads((scratch() / "pipeline.json").read_text())
    run(tmp_path, TREE)
    second = json.loads((scratch() / "pipeline.json").read_text())
    assert first["id"] != second["id"]
    assert before <= first["started"] <= second["started"] <= time.time()


def test_all_mistakes_are_told_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    tree = {**TREE, "task": {"a": {"method": "dan"}, "b": {"method": "dann", "training": {"stepz": 5}}}}
    tree["evaluate"] = {"realism": ["kit"]}
    with pytest.raises(ParamsError) as caught:
        run(tmp_path, tree)
    message = str(caught.value)
    assert "task.a.method" in message and "'dann'" in message
    assert "task.b.training.stepz" in message
    assert "evaluate.realism[0]" in message and "'kid'" in message
    assert not (tmp_path / "environment").exists()
    assert not (scratch() / "pipeline.json").exists()


def test_a_third_partys_version_is_in_the_sections_that_use_it_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = plugins_module.components().specs()
    # It stands for a plugin's network: a distribution that is installed, and a target that takes the same arguments.
    classifier = next(spec for spec in own if spec.name == "conv_classifier")
    foreign = ComponentSpec("network", "their_net", classifier.target, distribution="pyyaml")
    registry = Registry([*own, foreign])
    monkeypatch.setattr(stage, "components", lambda: registry)
    task = {
        "source": {"method": "supervised"},
        "theirs": {"method": {"name": "supervised", "classifier": "their_net"}},
    }
    files = run(tmp_path, {"task": task})
    assert files["task.theirs"]["components"]["network/their_net"] == f"pyyaml=={version('pyyaml')}"
    assert "pyyaml" not in json.dumps(files["task.source"])


HOOKED = """
from adaptgan import ComponentSpec, hookimpl

@hookimpl{options}
def {hook}(): ...

@hookimpl
def adaptgan_register_components():
    return [ComponentSpec("network", "hooked_net", "hooked:Net")]
"""


@pytest.mark.parametrize(
    ("hook", "options", "sections"),
    [
        ("adaptgan_on_step_end", "", {"refiner", "task.source", "task.dann"}),
        ("adaptgan_before_stage", "", {*TREE, "task.source", "task.dann", "evaluate", "report"} - {"task"}),
        ("adaptgan_on_step_end", "(observes=True)", set()),
        ("adaptgan_after_train", "", set()),
        ("adaptgan_register_commands", "", set()),  # an unrelated plugin runs nothing again
    ],
)
def test_a_plugin_whose_hooks_may_change_a_result_is_in_the_sections_that_it_sees(
    tmp_path: Path, third_party: Callable[..., None], hook: str, options: str, sections: set[str]
) -> None:
    before = run(tmp_path, TREE)
    third_party("hooked-gan", HOOKED.format(hook=hook, options=options), version="1.1")
    after = run(tmp_path, TREE)
    assert {name for name in after if after[name] != before[name]} == sections
    for name in sections:
        assert after[name] == before[name] | {"hooks": ["hooked-gan==1.1"]}


def test_the_command_is_quick_and_imports_neither_torch_nor_mlflow(tmp_path: Path) -> None:
    write(tmp_path, TREE)
    program = (
        "import sys\nfrom adaptgan.cli.main import run\n"
        "try:\n    run(['environment', '--out', 'environment'])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "print([name for name in ('torch', 'mlflow', 'numpy') if name in sys.modules])"
    )
    environment = {**os.environ, "ADAPTGAN_SCRATCH": str(tmp_path / "scratch")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert (tmp_path / "environment" / "source.json").exists()
