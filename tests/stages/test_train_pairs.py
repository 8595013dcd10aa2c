"""`train` of a method that learns from pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from adaptgan import load_model
from adaptgan.errors import DataError, ParamsError
from adaptgan.params import load
from adaptgan.stages.train import train
from tests.conftest import write_params

METHOD = {
    "name": "pix2pix",
    "generator": {"name": "unet_translator", "channels": 4},
    "discriminator": {"name": "patchgan_discriminator", "channels": 4, "depth": 1, "conditional": True},
}
TRAINING = {"steps": 3, "batch_size": 4, "precision": "32-true", "device": "cpu", "validation": 0.2}


def trained(folder: Path, source: Path, method: Any = METHOD, **training: Any) -> Path:
    folder.mkdir(exist_ok=True)
    params = load(write_params(folder / "params.yaml", row={"method": method, "training": TRAINING | training}))
    train(params, "row", source=source, out=folder / "model", log=folder / "log")
    return folder / "model"


@pytest.fixture
def edges(ingested: Callable[..., Path]) -> Path:
    return ingested({"dataset": {"name": "edges", "of": "mnist_m"}, "limit": 20})


def test_streamed_pairs_teach_the_same_as_those_on_the_device(tmp_path: Path, edges: Path) -> None:
    weights = [
        load_file(trained(tmp_path / loading, edges, loading=loading) / "model.safetensors")
        for loading in ("device", "stream")
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert load_model(tmp_path / "stream" / "model").info.paired == 3


def test_a_method_that_needs_no_pairs_is_not_told_of_them(tmp_path: Path, edges: Path) -> None:
    method = {"name": "supervised", "classifier": {"name": "conv_classifier", "widths": [4, 4], "hidden": 8}}
    assert load_model(trained(tmp_path / "row", edges, method)).info.paired == 0


def test_without_pairs_it_says_so_before_the_first_step(tmp_path: Path, tiny_source: Path) -> None:
    with pytest.raises(DataError, match=r"this data set has no paired images, and they are needed here.*image_folder"):
        trained(tmp_path / "row", tiny_source)
    assert not (tmp_path / "row" / "model").exists()


def test_transforms_are_refused(tmp_path: Path, edges: Path) -> None:
    with pytest.raises(ParamsError, match=r"training.transforms: these would change an image and not its pair"):
        trained(tmp_path / "row", edges, transforms=[{"name": "GaussNoise"}])
