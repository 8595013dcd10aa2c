"""Training on values and masks as a user runs it, from ingest to the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter
from adaptgan.errors import DataError, ParamsError, SealedLabelsError
from adaptgan.files import read_json, staged
from adaptgan.params import Params, load
from adaptgan.stages.evaluate_values import evaluate_targets
from adaptgan.stages.ingest import ingest
from adaptgan.stages.train import train

STILL = {"name": "warp", "rotation": 0, "scale": [1, 1], "shear": 0, "translate": 0, "gain": [0.8, 1.2]}
SUPERVISED = {"name": "supervised", "ema": 0.8}
TRAINING = {"steps": 30, "batch_size": 16, "device": "cpu", "precision": "32-true"}


def params(folder: Path, learns: str, classifier: dict[str, Any], sets: dict[str, Any], **training: Any) -> Params:
    row = {"classifier": classifier, "augmentation": STILL, "optimizer": {"name": "adam", "lr": 0.01}}
    tree = {
        "seed": 0,
        "tracking": {"enabled": False},
        **sets,
        "task": {
            name: {"learns": learns, "method": {**method, **row}, "training": TRAINING | training}
            for name, method in (("source", SUPERVISED), ("dann", {"name": "dann"}), ("oracle", SUPERVISED))
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(tree))
    return load(folder / "params.yaml")


def pipeline(folder: Path, options: Params, task: Any, adapt: bool = True) -> dict[str, Any]:
    """Rows and table, from sets that are there."""
    sets = {role: folder / "data" / role for role in ("source", "target", "test")}
    out = folder / "models"
    train(options, "task.source", source=sets["source"], out=out / "source", log=folder / "log" / "1")
    if adapt:
        both = {role: sets[role] for role in ("source", "target")}
        train(options, "task.dann", **both, out=out / "dann", log=folder / "log" / "2")
    train(options, "task.oracle", source=sets["target"], oracle=True, out=out / "oracle", log=folder / "log" / "3")
    paths = {"out": folder / "metrics.json", "plots": folder / "plots"}
    return evaluate_targets(options, task=task, **sets, models=out, logs=folder / "log", **paths)


def bars(folder: Path, count: int, seed: int, dim: float, seal: bool) -> None:
    """Images with values and no class, as of gaze or pose: how far down a bar lies."""
    rng = np.random.default_rng(seed)
    with staged(folder) as out, ShardWriter(out, (), "sealed" if seal else "open") as writer:
        for number in range(count):
            row = int(rng.integers(0, 9))
            image = rng.integers(0, 60, (12, 12))
            image[row : row + 3] += round(180 * dim)
            writer.write(Record(f"r{number:03d}", image.astype(np.uint8), None, {"values": {"row": float(row)}}))


def test_a_regression_needs_no_classes_and_learns(tmp_path: Path) -> None:
    for role, seed in (("source", 0), ("target", 1), ("test", 2)):
        real = role != "source"
        bars(tmp_path / "data" / role, 64, seed, 0.5 if real else 1.0, seal=real)
    network = {"name": "conv_classifier", "widths": [8], "hidden": 16, "dropout": 0.0}
    options = params(tmp_path, "regression", network, {}, steps=80)
    rows = pipeline(tmp_path, options, "regression")["rows"]
    error = {name: row["scores"]["row"]["mae"] for name, row in rows.items()}
    assert error["oracle"] < 0.5 * error["constant"]
    card = read_json(tmp_path / "models" / "source" / "model.json")
    assert (card["data"]["task"], card["data"]["values"]) == ("regression", ["row"])
    assert card["scores"]["source_r2"] > 0.5
    with pytest.raises(SealedLabelsError, match="annotations of this data set are sealed"):
        train(options, "task.source", source=tmp_path / "data" / "target", out=tmp_path / "x")


@pytest.mark.parametrize("task", ["regression", "segmentation"])
def test_augmentation_that_moves_pixels_is_refused(tmp_path: Path, task: str) -> None:
    section = {"dataset": {"name": "rendered_digits", "count": 20, "annotate": ["values", "mask"]}}
    name = "conv_classifier" if task == "regression" else "conv_segmenter"
    options = params(tmp_path, task, {"name": name}, {"source": section})
    ingest(options, "source", tmp_path / "data")
    tree = yaml.safe_load((tmp_path / "params.yaml").read_text())
    for change, says in (
        (
            {"method": {"name": "supervised", "classifier": name}},
            r"task\.source\.method\.augmentation: .* moves pixels",
        ),
        ({"training": TRAINING | {"transforms": [{"name": "Affine"}]}}, r"transforms\[0\]: Affine may move pixels"),
    ):
        tree["task"]["other"] = tree["task"]["source"] | change
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(tree).replace("other", "source_2"))
        with pytest.raises(ParamsError, match=says.replace("task\\.source", "task\\.source_2")):
            train(load(tmp_path / "params.yaml"), "task.source_2", source=tmp_path / "data", out=tmp_path / "model")


def test_values_do_not_survive_resizing_but_masks_do(tmp_path: Path) -> None:
    digits = {"name": "rendered_digits", "count": 4, "annotate": ["values"]}
    options = params(
        tmp_path, "regression", {"name": "conv_classifier"}, {"source": {"dataset": digits, "size": [16, 16]}}
    )
    with pytest.raises(DataError, match=r"`values` \(slant, thickness\)"):
        ingest(options, "source", tmp_path / "data")
    digits["annotate"] = ["mask"]
    options = params(
        tmp_path, "segmentation", {"name": "conv_segmenter"}, {"source": {"dataset": digits, "size": [16, 16]}}
    )
    ingest(options, "source", tmp_path / "data")
    from adaptgan.data.dataset import ShardDataset

    assert ShardDataset(tmp_path / "data").targets("segmentation").shape == (4, 16, 16)


def test_segmentation_from_clean_digits_to_digits_on_photos(tmp_path: Path) -> None:
    sets = {
        "source": {"dataset": {"name": "handwriting", "annotate": ["mask"]}, "mode": "RGB", "limit": 160},
        "target": {"dataset": {"name": "mnist_m", "annotate": ["mask"]}, "labels": "sealed", "limit": 160},
    }
    options = params(tmp_path, "segmentation", {"name": "conv_segmenter", "widths": [8, 12]}, sets, steps=250)
    for role, section, split in (
        ("source", "source", "train"),
        ("target", "target", "train"),
        ("test", "target", "test"),
    ):
        ingest(options, section, tmp_path / "data" / role, split)
    rows = pipeline(tmp_path, options, "segmentation", adapt=False)["rows"]
    digit = {name: row["scores"]["digit"]["iou"] for name, row in rows.items()}
    assert digit["constant"] == 0 and digit["oracle"] > digit["source"] + 0.3
    card = read_json(tmp_path / "models" / "source" / "model.json")
    assert card["data"]["classes"] == ["background", "digit"]
    assert card["scores"]["source_accuracy"] > 0.9  # pixels of clean digits
