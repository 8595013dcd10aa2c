"""Fixtures of adaptgan's own for plugins, and small data sets of videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["adaptgan.testing.plugin"]


FIGURES = {"name": "moving_figures", "sequences": 3, "frames": 4, "image_size": 16}


@pytest.fixture(autouse=True)
def _apart(adaptgan_scratch: Path) -> None:
    """No checkpoint or cache beside the tests."""


@pytest.fixture
def ingested(adaptgan_ingest: Callable[..., Path]) -> Callable[..., Path]:
    """`ingested(split, option=…)`: a data set of videos, made by the real stage."""
    return lambda split="train", **options: adaptgan_ingest({"dataset": {**FIGURES, **options}}, split)
