"""Small data sets of made-up images, real and generated, and the fixtures of adaptgan.testing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("ADAPTGAN_TRACKING", "off")
pytest_plugins = ["adaptgan.testing.plugin"]


@pytest.fixture(autouse=True)
def _alone(adaptgan_scratch: Path) -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write(name, images, labels, annotations=…, provenance=…)`: a data set folder, by the real writer."""
    from adaptgan.data.records import Record
    from adaptgan.data.shards import ShardWriter
    from adaptgan.files import staged

    def make(
        name: str,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        *,
        classes: tuple[str, ...] = ("a", "b"),
        seal: bool = False,
        annotations: Callable[[int], dict[str, Any]] = lambda number: {},
        provenance: Callable[[int], dict[str, Any]] = lambda number: {},
    ) -> Path:
        known = classes if labels is not None else ()
        with staged(tmp_path / name) as folder, ShardWriter(folder, known, "sealed" if seal else "open") as writer:
            for i, image in enumerate(images):
                label = None if labels is None else int(labels[i])
                writer.write(Record(f"{name}{i:04d}", image, label, annotations(i), provenance(i)))
        return tmp_path / name

    return make
