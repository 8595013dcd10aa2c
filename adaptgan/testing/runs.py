"""Data sets and trainings for tests: the real stages, with little to do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from adaptgan.methods.base import Method
from adaptgan.models import load_model
from adaptgan.params import load
from adaptgan.stages.ingest import ingest
from adaptgan.stages.train import train


@dataclass(frozen=True)
class TrainedRun:
    """A finished training.

    Attributes:
        folder: the model folder.
        log: losses (`losses.jsonl`), image grids and timing.
        losses: every read-out: `{"step": …, "seconds": …, "losses": {…}}`.
    """

    folder: Path
    log: Path
    losses: list[dict[str, Any]]

    @property
    def method(self) -> Method:
        """The trained method, loaded from its folder, in eval mode; `.card` is its model.json."""
        return load_model(self.folder)


def write_params(path: Path, **sections: Any) -> Path:
    """Write a params.yaml with tracking off."""
    tree = {"seed": 0, "tracking": {"enabled": False}, **sections}
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path


def ingested(folder: Path, section: dict[str, Any], split: str = "train") -> Path:
    """A data set folder, made by the ingest stage.

    Args:
        folder: where to work; empty.
        section: of params.yaml: `{"dataset": …, …}`.
        split: of the data set.
    """
    ingest(load(write_params(folder / "params.yaml", source=section)), "source", folder / "data", split)
    return folder / "data"


def trained(
    folder: Path,
    method: Any,
    source: Path,
    target: Path | None = None,
    guard: Path | None = None,
    steps: int = 4,
    **training: Any,
) -> TrainedRun:
    """A small training by the train stage, on the CPU.

    Args:
        folder: where to work; empty.
        method: its name, or `{name: …, option: …}`; give options that make it small.
        source: labelled data set.
        target: unlabelled data set, for methods that learn from one.
        guard: a trained classifier's model folder, for methods that ask one.
        steps: how many.
        training: further options of the section's `training`.
    """
    options = {"steps": steps, "batch_size": 8, "log_every": 1, "device": "cpu", "precision": "32-true", **training}
    params = load(write_params(folder / "params.yaml", trial={"method": method, "training": options}))
    out, log = folder / "model", folder / "log"
    train(params, "trial", out=out, source=source, target=target, guard=guard, log=log)
    lines = (log / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    return TrainedRun(out, log, [json.loads(line) for line in lines])


@contextmanager
def scratch_in(folder: Path) -> Iterator[Path]:
    """Checkpoints, caches and journals go into a folder."""
    with mock.patch.dict(os.environ, {"ADAPTGAN_SCRATCH": str(folder / ".adaptgan")}):
        yield folder
