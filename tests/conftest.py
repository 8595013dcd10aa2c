"""Shared fixtures: tiny data sets made by the real ingest stage, and a scratch folder of their own for all tests."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("ADAPTGAN_TRACKING", "off")  # tests/tracking turns it on for itself
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

TRACKING = {"enabled": False}


@pytest.fixture(scope="session", autouse=True)
def _quiet_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One thread, and a scratch folder for what session fixtures make."""
    import torch

    torch.set_num_threads(1)
    old = os.environ.get("ADAPTGAN_SCRATCH")
    os.environ["ADAPTGAN_SCRATCH"] = str(tmp_path_factory.mktemp("scratch"))
    yield
    if old is None:
        del os.environ["ADAPTGAN_SCRATCH"]
    else:
        os.environ["ADAPTGAN_SCRATCH"] = old


@pytest.fixture(autouse=True)
def scratch_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _quiet_machine: None) -> Path:
    """A scratch folder of its own for each test."""
    folder = tmp_path / ".adaptgan"
    monkeypatch.setenv("ADAPTGAN_SCRATCH", str(folder))
    return folder


def write_params(path: Path, **sections: Any) -> Path:
    """Write a params.yaml with tracking off."""
    path.write_text(yaml.safe_dump({"seed": 0, "tracking": TRACKING, **sections}, sort_keys=False))
    return path


def _ingested(folder: Path, section: dict[str, Any], split: str = "train") -> Path:
    from adaptgan.params import load
    from adaptgan.stages.ingest import ingest

    params = load(write_params(folder / "params.yaml", source=section))
    ingest(params, "source", folder / "data", split)
    return folder / "data"


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory, _quiet_machine: None) -> Path:
    """120 rendered digits, 32x32 grey, labelled."""
    section = {"dataset": {"name": "rendered_digits", "count": 120}, "shard_size": 50}
    return _ingested(tmp_path_factory.mktemp("tiny_source"), section)


@pytest.fixture(scope="session")
def tiny_target(tmp_path_factory: pytest.TempPathFactory, _quiet_machine: None) -> Path:
    """120 handwritten digits, 32x32 grey, labels sealed."""
    section = {"dataset": "handwriting", "labels": "sealed", "limit": 120, "shard_size": 50}
    return _ingested(tmp_path_factory.mktemp("tiny_target"), section)


@pytest.fixture(scope="session")
def tiny_test(tmp_path_factory: pytest.TempPathFactory, _quiet_machine: None) -> Path:
    """100 other handwritten digits for scoring, labels sealed."""
    section = {"dataset": "handwriting", "labels": "sealed", "limit": 100}
    return _ingested(tmp_path_factory.mktemp("tiny_test"), section, "test")


@pytest.fixture
def ingested(tmp_path: Path) -> Callable[..., Path]:
    """`ingested({"dataset": …}, split)`: a data set folder of its own, made by the real stage."""
    folders = itertools.count()

    def make(section: dict[str, Any], split: str = "train") -> Path:
        folder = tmp_path / f"ingested_{next(folders)}"
        folder.mkdir()
        return _ingested(folder, section, split)

    return make


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process; gives exit status, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        from adaptgan.cli.main import run

        capsys.readouterr()
        code: object = 0
        try:
            run([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return (code if isinstance(code, int) else 0 if code is None else 1), captured.out, captured.err

    return call


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`third_party("acme-gan", "source code", version="1.2")` puts an installed distribution on sys.path.

    Its module is called as the distribution, with underscores, and is announced as a plugin of the same name
    (or as `point`).
    """
    from adaptgan.plugins import plugins

    modules: list[str] = []

    def install(distribution: str, code: str, version: str = "1.0", point: str | None = None) -> None:
        site = tmp_path / "site" / distribution
        module = distribution.replace("-", "_")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(code)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[adaptgan]\n{point or distribution} = {module}\n")
        monkeypatch.syspath_prepend(str(site))
        modules.append(module)
        plugins.cache_clear()

    yield install
    plugins.cache_clear()
    for module in modules:
        sys.modules.pop(module, None)
