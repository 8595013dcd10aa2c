"""Class-conditional generators of unlabelled images: a guard reads the classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from adaptgan.data.dataset import load_dataset
from adaptgan.data.images import hwc, to_float
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter
from adaptgan.errors import ParamsError, SealedLabelsError
from adaptgan.files import staged
from adaptgan.models import load_model
from adaptgan.params import Params
from adaptgan.stages.train import train
from tests.stages.conftest import SHORT, TINY

CONDITIONAL: dict[str, Any] = {
    "name": "dcgan",
    **TINY,
    "generator": {**TINY["generator"], "conditional": True},
    "discriminator": {**TINY["discriminator"], "conditional": "projection"},
}
ACGAN = {**CONDITIONAL, "name": "acgan", "discriminator": TINY["discriminator"]}


def params(method: dict[str, Any]) -> Params:
    training = SHORT | {"steps": 3, "validation": 0}
    tree = {"seed": 1, "generator": {"method": method, "training": training}, "tracking": {"enabled": False}}
    return Params(tree, Path("params.yaml"))


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADAPTGAN_SCRATCH", str(tmp_path / "scratch"))


def labelled_by(guard: Path, data: Path, folder: Path, classes: bool = True) -> Path:
    """The images of a data set with what the guard reads as their labels, or with none."""
    opened = load_dataset(data)
    with torch.no_grad():
        read_N = load_model(guard).predict(to_float(torch.from_numpy(np.array(opened.images_NCHW)))).argmax(1)
    assert len(read_N.unique()) > 1
    with staged(folder) as out, ShardWriter(out, load_model(guard).info.classes if classes else ()) as writer:
        for key, image, label in zip(opened.keys, opened.images_NCHW, read_N.tolist(), strict=True):
            writer.write(Record(key, hwc(image), label if classes else None))
    return folder


@pytest.mark.parametrize("method", [CONDITIONAL, ACGAN], ids=["projection", "acgan"])
def test_the_guard_reads_what_is_sealed(method: dict[str, Any], tiny_target: Path, tiny_guard: Path) -> None:
    """Training on sealed images with a guard is training on the guard's labels, weight for weight."""
    train(params(method), "generator", source=tiny_target, guard=tiny_guard, out=Path("read"))
    given = labelled_by(tiny_guard, tiny_target, Path("given"))
    train(params(method), "generator", source=given, out=Path("told"))
    read, told = (load_file(folder / "model.safetensors") for folder in (Path("read"), Path("told")))
    assert read.keys() == told.keys() and all(torch.equal(read[name], told[name]) for name in read)
    assert load_model(Path("read")).conditional


def test_the_guard_names_the_classes_of_images_without_any(tiny_target: Path, tiny_guard: Path) -> None:
    bare = labelled_by(tiny_guard, tiny_target, Path("bare"), classes=False)
    train(params(CONDITIONAL), "generator", source=bare, guard=tiny_guard, out=Path("model"))
    assert load_model(Path("model")).info.classes == load_model(tiny_guard).info.classes


def test_without_a_guard_it_is_said_that_one_would_do(tiny_target: Path, tiny_guard: Path) -> None:
    with pytest.raises(SealedLabelsError, match=r"sealed.*--guard DIR"):
        train(params(CONDITIONAL), "generator", source=tiny_target, out=Path("model"))
    bare = labelled_by(tiny_guard, tiny_target, Path("bare"), classes=False)
    with pytest.raises(ParamsError, match=r"have none.*--guard DIR"):
        train(params(CONDITIONAL), "generator", source=bare, out=Path("model"))
