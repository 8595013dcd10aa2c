"""Fixtures for plugin authors: `pytest_plugins = ["adaptgan.testing.plugin"]` in the tests' top conftest.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from adaptgan.data.batch import Batch
    from adaptgan.datainfo import DataInfo


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
