"""Fixtures of adaptgan's own for plugins, and small data sets of videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest_plugins = ["adaptgan.testing.plugin"]


FIGURES = {"name": "moving_figures", "sequences": 3, "frames": 4, "image_size": 16}


@pytest.fixture(autouse=True)
def _apart(adaptgan_scratch: Path) -> None:
    """No checkpoint or cache beside the tests."""


@pytest.fixture
def params(tmp_path: Path) -> Callable[..., Path]:
    """`params(section=…)` writes a params.yaml with tracking off."""

    def write(**sections: Any) -> Path:
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump({"seed": 0, "tracking": {"enabled": False}, **sections}, sort_keys=False))
        return path

    return write


@pytest.fixture
def ingested(tmp_path: Path, params: Callable[..., Path]) -> Callable[..., Path]:
    """`ingested("name", split, option=…)`: a data set of videos, made by the real stage."""

    def make(name: str, split: str = "train", **options: Any) -> Path:
        from adaptgan.params import load
        from adaptgan.stages.ingest import ingest

        path = params(source={"dataset": {**FIGURES, **options}})
        ingest(load(path), "source", tmp_path / name, split)
        return tmp_path / name

    return make
