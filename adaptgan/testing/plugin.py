"""Fixtures for plugin authors: `pytest_plugins = ["adaptgan.testing.plugin"]` in the tests' top conftest.py.

It is not loaded by itself: an entry point of pytest's would cost every test run of an environment that has adaptgan
installed. With it, nothing that the tests start is tracked or downloaded: what says so in the environment is set unless
it is there already. And every test draws the same random numbers, alone or among others: torch's, NumPy's and Python's
generators are seeded before each fixture and before its body, with `ADAPTGAN_TEST_SEED` (0). Another value shows which
tests hold by luck.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from adaptgan.data.batch import Batch
    from adaptgan.datainfo import DataInfo
    from adaptgan.testing.runs import TrainedRun
    from adaptgan.testing.workbench import Workbench

QUIET = {
    "ADAPTGAN_TRACKING": "off",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}


def pytest_configure() -> None:
    """No tracking, no telemetry, no downloads."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def _seed(what: str) -> None:
    from adaptgan.training.seeding import seed_all

    seed_all("tests", int(os.environ.get("ADAPTGAN_TEST_SEED", "0")), what)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> None:
    """A random state of its own before every fixture, whichever were made before it."""
    _seed(fixturedef.argname)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """The same random state before every test."""
    _seed("")


@pytest.fixture
def adaptgan_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scratch folder for this test alone: no checkpoint or cache of it is seen by another."""
    folder = tmp_path / ".adaptgan"
    monkeypatch.setenv("ADAPTGAN_SCRATCH", str(folder))
    return folder


@pytest.fixture
def tiny_info() -> DataInfo:
    """32×32 grey images of three classes."""
    from adaptgan.testing.data import tiny_info as make

    return make()


@pytest.fixture
def tiny_batch(tiny_info: DataInfo) -> Batch:
    """Eight labelled source and eight unlabelled target images."""
    from adaptgan.testing.data import tiny_batch as make

    return make(tiny_info)


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set folder: 120 rendered digits, 32×32 grey, labelled. Made once; leave it as it is."""
    from adaptgan.testing.runs import ingested, scratch_in

    section = {"dataset": {"name": "rendered_digits", "count": 120}, "shard_size": 50}
    with scratch_in(tmp_path_factory.mktemp("tiny_source")) as folder:
        return ingested(folder, section)


@pytest.fixture(scope="session")
def tiny_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set folder: 120 handwritten digits, 32×32 grey, labels sealed. Made once; leave it as it is."""
    from adaptgan.testing.runs import ingested, scratch_in

    section = {"dataset": "handwriting", "labels": "sealed", "limit": 120, "shard_size": 50}
    with scratch_in(tmp_path_factory.mktemp("tiny_target")) as folder:
        return ingested(folder, section)


@pytest.fixture(scope="session")
def tiny_test(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set folder: 100 other handwritten digits for scoring, labels sealed. Made once; leave it as it is."""
    from adaptgan.testing.runs import ingested, scratch_in

    section = {"dataset": "handwriting", "labels": "sealed", "limit": 100}
    with scratch_in(tmp_path_factory.mktemp("tiny_test")) as folder:
        return ingested(folder, section, "test")


@pytest.fixture
def adaptgan_ingest(tmp_path: Path, adaptgan_scratch: Path) -> Callable[..., Path]:
    """`adaptgan_ingest({"dataset": …}, split)`: a data set folder of its own, made by the real stage."""
    folders = itertools.count()

    def make(section: dict[str, Any], split: str = "train") -> Path:
        from adaptgan.testing.runs import ingested

        folder = tmp_path / f"ingested_{next(folders)}"
        folder.mkdir()
        return ingested(folder, section, split)

    return make


@pytest.fixture
def adaptgan_cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`adaptgan_cli("export", folder, …)`: a command in this process; gives exit status, stdout and stderr."""

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
def adaptgan_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    """A fresh plugin manager: `adaptgan_plugins.register(module)` makes a plugin known that is not installed."""
    from adaptgan.testing.workbench import Workbench

    bench = Workbench(tmp_path / "site", monkeypatch)
    yield bench
    bench.close()


@pytest.fixture
def adaptgan_run(
    tmp_path: Path, adaptgan_scratch: Path, tiny_source: Path, tiny_target: Path
) -> Callable[..., TrainedRun]:
    """`adaptgan_run({"name": "my_method", …}, steps=4)`: a small training by the real stage, and its model folder.

    It learns from `tiny_source` and `tiny_target`, or from data sets given as `source=` and `target=`; further options
    are those of `training` in params.yaml, and `guard=`, a model folder.
    """
    folders = itertools.count()

    def make(method: Any, **options: Any) -> TrainedRun:
        from adaptgan.testing.runs import trained

        folder = tmp_path / f"run_{next(folders)}"
        folder.mkdir()
        return trained(folder, method, **{"source": tiny_source, "target": tiny_target, **options})

    return make
