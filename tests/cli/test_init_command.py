"""`adaptgan init`: folders of all kinds in, a pipeline out that DVC accepts and whose first stages run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from adaptgan.errors import DataError
from adaptgan.params import load
from adaptgan.plugins import components
from adaptgan.stages.environment import environment
from adaptgan.stages.project import choose, create, stored_path
from adaptgan.stages.survey import survey

Cli = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]


def images(folder: Path, count: int = 4, size: tuple[int, int] = (40, 40), mode: str = "L") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shape = size if mode == "L" else (*size, 3)
    random = np.random.default_rng(count)
    for number in range(count):
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{size[0]}{mode}{number}.png")
    return folder


def labelled(folder: Path, classes: str = "ab", **options: Any) -> Path:
    for name in classes:
        images(folder / name, **options)
    return folder


@pytest.fixture(autouse=True)
def dvc_init(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dvc init` takes a second each time; only the tests that look at it have it."""
    if request.node.name not in ("test_the_smallest_project", "test_dvc_runs_it"):
        monkeypatch.setattr("adaptgan.stages.project._dvc_init", lambda directory: iter(()))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return labelled(tmp_path / "synthetic")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return images(tmp_path / "real")


def made(project: Path, *arguments: Any, **options: Any) -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    lines = list(create(project, *arguments, **options))
    params = yaml.safe_load((project / "params.yaml").read_text())
    return lines, params, yaml.safe_load((project / "dvc.yaml").read_text())


def test_the_smallest_project(tmp_path: Path, source: Path, target: Path) -> None:
    project = tmp_path / "project"
    lines, params, dvc = made(project, source, target)
    assert params["source"]["dataset"] == {"name": "image_folder", "folder": str(source)}
    assert (params["source"]["size"], params["source"]["mode"]) == ([40, 40], "L")
    assert params["target"]["size"] == [40, 40]
    assert "labels" not in params["target"]
    assert "target_test" not in params
    assert "oracle" not in params["task"]
    assert "ingest-target-test" not in dvc["stages"]
    assert set(dvc["stages"]["supervised"]["foreach"]) == {"source", "adapted"}
    assert "--test" not in dvc["stages"]["evaluate"]["cmd"]
    assert (project / ".dvc" / "config").is_file()
    assert "/.adaptgan/" in (project / ".gitignore").read_text().splitlines()
    assert "/.adaptgan/" in (project / ".dvcignore").read_text().splitlines()
    assert any("label-free" in line for line in lines)
    load(project / "params.yaml")


def test_labels_of_the_target_make_an_oracle_only_with_a_test_set(tmp_path: Path, source: Path) -> None:
    target = labelled(tmp_path / "real")
    test = labelled(tmp_path / "test")
    _, params, dvc = made(tmp_path / "one", source, target, test)
    assert params["target"]["labels"] == params["target_test"]["labels"] == "sealed"
    assert "oracle" in params["task"]
    assert dvc["stages"]["supervised"]["foreach"]["oracle"] == {"data": "data/target", "flags": "--oracle"}
    assert "models/task/oracle" in dvc["stages"]["evaluate"]["deps"]
    assert "--test data/target_test" in dvc["stages"]["evaluate"]["cmd"]
    _, params, _ = made(tmp_path / "two", source, target)
    assert "oracle" not in params["task"]
    lines, params, _ = made(tmp_path / "three", source, images(tmp_path / "flat"), test)
    assert "oracle" not in params["task"]
    assert any("no oracle row" in line for line in lines)


def test_a_set_that_lacks_a_class_is_told_the_sources(tmp_path: Path) -> None:
    source = labelled(tmp_path / "synthetic", "abc")
    _, params, _ = made(tmp_path / "project", source, images(tmp_path / "real"), labelled(tmp_path / "test", "ac"))
    assert params["target_test"]["dataset"]["classes"] == ["a", "b", "c"]
    assert "classes" not in params["source"]["dataset"]


def test_a_mixture_is_brought_to_the_targets_size_and_to_grey(tmp_path: Path) -> None:
    source = labelled(tmp_path / "synthetic", size=(64, 48), mode="RGB")
    target = images(tmp_path / "real", 5, (30, 36))
    images(target, 2, (20, 20))
    choice = choose({"source": survey(source), "target": survey(target)})
    assert choice.size == (32, 36)  # 30 is no multiple of 4
    assert choice.mode == "L"
    said = " ".join(choice.remarks)
    assert "30x36" in said
    assert "there is no colour in target" in said
    assert "proportions" in said


def test_large_images_are_made_small_unless_told_otherwise(tmp_path: Path) -> None:
    found = {"target": survey(images(tmp_path / "real", 2, (600, 300), "RGB"))}
    choice = choose(found)
    assert choice.size == (128, 64)
    assert choice.mode == "RGB"
    assert any("600x300" in remark for remark in choice.remarks)
    assert choose(found, size="600x300").size == (600, 300)
    assert choose(found, mode="L").mode == "L"


def test_all_alike_is_kept_without_a_word(source: Path, target: Path) -> None:
    assert choose({"source": survey(source), "target": survey(target)}).remarks == ()


def test_folders_inside_the_project_are_relative(tmp_path: Path) -> None:
    project = tmp_path / "project"
    assert stored_path(project, project / "raw" / "real") == "raw/real"
    assert stored_path(project, tmp_path / "real") == str(tmp_path / "real")
    assert stored_path(project, project / ".." / "real") == str(tmp_path / "real")


def test_odd_names_survive(tmp_path: Path) -> None:
    source = labelled(tmp_path / "a: 'b' #c \"d\"")
    target = images(tmp_path / "[ünï] code")
    _, params, dvc = made(tmp_path / "project", source, target)
    assert params["source"]["dataset"]["folder"] == str(source)
    assert str(target) in dvc["stages"]["ingest-target"]["deps"]


def test_shards_are_surveyed(tmp_path: Path, tiny_source: Path, target: Path) -> None:
    found = survey(tiny_source)
    assert (found.dataset, found.classes, dict(found.modes)) == ("shards", tuple("0123456789"), {"L": 120})
    _, params, _ = made(tmp_path / "project", tiny_source, target)
    assert params["source"]["dataset"]["name"] == "shards"


def test_metadata_gives_labels(tmp_path: Path) -> None:
    folder = images(tmp_path / "listed", 3)
    names = sorted(path.name for path in folder.iterdir())
    rows = [f'{{"file_name": "{name}", "label": "{label}"}}' for name, label in zip(names, "bab", strict=True)]
    (folder / "metadata.jsonl").write_text("\n".join(rows))
    assert survey(folder).classes == ("a", "b")


def test_unreadable_images_are_named(tmp_path: Path, source: Path, target: Path) -> None:
    (target / "bad.png").write_text("no image")
    lines = list(create(tmp_path / "project", source, target))
    assert any("bad.png" in line for line in lines)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda top: {"source": images(top / "flat")}, "--source .*: its images have no labels"),
        (lambda top: {"source": top / "nowhere"}, "no such folder"),
        (lambda top: {"target": top / "empty"}, "no images"),
        (lambda top: {"target_test": images(top / "flat")}, "--target-test .* no labels to measure accuracy with"),
        (lambda top: {"target_test": labelled(top / "t", "ax")}, "the source has no class 'x'"),
        (lambda top: {"target": labelled(top / "t", "ax")}, "--target .*the source has no class 'x'"),
        (lambda top: {"source": top}, "the project .* would lie inside it"),
        (lambda top: {"target": images(top / "project" / "data" / "target")}, "writes its own data set there"),
        (lambda top: {"size": "33x33"}, "multiples of 4.* Try 32x32"),
        (lambda top: {"size": "big"}, "expected HEIGHTxWIDTH"),
    ],
)
def test_what_cannot_be_a_pipeline_is_refused(
    tmp_path: Path, source: Path, target: Path, run_cli: Cli, make: Callable[[Path], dict[str, Any]], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    project = tmp_path / "project"
    options = {"source": source, "target": target, **make(tmp_path)}
    arguments = [part for name, value in options.items() for part in ("--" + name.replace("_", "-"), value)]
    code, _, err = run_cli("init", project, *arguments)
    assert code != 0
    assert "Traceback" not in err
    message = " ".join(err.split())
    assert re.search(said, message), message
    assert not (project / "params.yaml").exists()


def test_nothing_is_overwritten_without_force(tmp_path: Path, source: Path, target: Path, run_cli: Cli) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "params.yaml").write_text("mine")
    (project / "README.md").write_text("mine too")
    (project / ".gitignore").write_text("/secret")
    code, _, err = run_cli("init", project, "--source", source, "--target", target)
    assert code == 1
    assert "--force" in err
    assert (project / "params.yaml").read_text() == "mine"
    code, _, err = run_cli("init", project, "--source", source, "--target", target, "--force")
    assert code == 0, err
    assert "mine" not in (project / "params.yaml").read_text()
    assert (project / "README.md").read_text() == "mine too"
    assert (project / ".gitignore").read_text().splitlines()[:2] == ["/secret", "/.adaptgan/"]


def test_a_palette_with_16_bits_is_refused(tmp_path: Path) -> None:
    folder = images(tmp_path / "real", 2)
    Image.fromarray(np.full((40, 40), 3000, dtype=np.uint16)).save(folder / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png: images must be of 8 bits"):
        survey(folder)


def methods(params: dict[str, Any]) -> dict[str, str]:
    """The method of each row."""
    given = {row: section["method"] for row, section in params["task"].items()}
    return {row: method if isinstance(method, str) else method["name"] for row, method in given.items()}


def test_the_shape_is_the_repositorys_own(tmp_path: Path, source: Path) -> None:
    """A stage, command or section that changes in this repository's pipeline must change in the templates too."""
    project = tmp_path / "project"
    _, params, dvc = made(project, source, labelled(tmp_path / "real"), labelled(tmp_path / "test"))
    own = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    stages = dvc["stages"]
    assert list(stages) == list(own)
    for name in own:
        if not name.startswith("ingest"):
            assert stages[name] == own[name], name
    own_params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name in ("refiner", "refine", "evaluate"):
        assert params[name].keys() == own_params[name].keys(), name
    assert params["refiner"]["method"].keys() == own_params["refiner"]["method"].keys()
    assert methods(params) == methods(own_params)


def test_all_that_it_writes_is_accepted(tmp_path: Path, source: Path) -> None:
    project = tmp_path / "project"
    made(project, source, labelled(tmp_path / "real"), labelled(tmp_path / "test"))
    environment(load(project / "params.yaml"), out=project / "environment")
    for name, section in load(project / "params.yaml").leaves().items():
        for kind in {"dataset", "method"} & section.keys():
            components().resolve(kind, section[kind], f"{name}.{kind}")


def test_dvc_runs_it(tmp_path: Path, source: Path, target: Path) -> None:
    project = tmp_path / "project"
    list(create(project, source, target))
    variables = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ADAPTGAN_SCRATCH": str(project / ".adaptgan"),
        "DVC_NO_ANALYTICS": "1",
    }
    variables.pop("DVC_ROOT", None)
    assert shutil.which("dvc", path=variables["PATH"])
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("tracking: {", "tracking: {enabled: false, "))
    command = [sys.executable, "-m", "dvc", "repro", "ingest-source", "ingest-target"]
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (project / "data" / "source" / "manifest.json").is_file()
    assert (project / "data" / "target" / "manifest.json").is_file()
    listed = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "supervised@adapted" in listed.stdout
    assert "report" in listed.stdout
