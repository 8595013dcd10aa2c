"""What `train` takes in beside a source: few labelled target images, values, masks; and snapshots on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from safetensors.torch import load_file

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.masks import encode
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter
from adaptgan.errors import DataError, ParamsError, SealedLabelsError
from adaptgan.files import staged
from adaptgan.models import load_model
from adaptgan.params import Params
from adaptgan.stages.train import train

SMALL = {"name": "conv_classifier", "widths": [4, 4], "hidden": 8}
TRAINING = {"steps": 6, "batch_size": 4, "precision": "32-true", "device": "cpu", "log_every": 2, "validation": 0.25}


def params(method: str, learns: str = "classification", **training: Any) -> Params:
    network = SMALL if learns != "segmentation" else {"name": "conv_segmenter", "widths": [4, 8]}
    options = {"name": method, "classifier": network, "augmentation": "none"}
    section = {"method": options, "learns": learns, "training": TRAINING | training}
    return Params({"seed": 1, "task": {"row": section}, "tracking": {"enabled": False}}, Path("params.yaml"))


def bars(folder: Path, labels: str = "open", count: int = 16) -> Path:
    """Vertical bars of known width, with values and masks."""
    draw = np.random.default_rng(0)
    with staged(folder) as out, ShardWriter(out, ("thin", "thick"), labels) as writer:  # type: ignore[arg-type]
        for number in range(count):
            width = int(draw.integers(2, 12))
            image = np.zeros((16, 16), np.uint8)
            cv2.rectangle(image, (2, 2), (1 + width, 13), 255, -1)
            mask = encode((image > 0).astype(np.uint8), ("ground", "bar"))
            found = {"values": {"width": float(width), "area": 12.0 * width}, "mask": mask}
            writer.write(Record(f"bar_{number}", image, int(width > 6), found))
    return folder


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADAPTGAN_SCRATCH", str(tmp_path / "scratch"))
    return tmp_path


def card(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "model.json").read_text())
    return content


def test_targets_of_each_task(inside: Path) -> None:
    data = ShardDataset(bars(inside / "bars"))
    values = data.targets("regression")
    assert values.dtype == np.float32 and values.shape == (16, 2)
    info = data.info_for("regression")
    assert info.values == ("area", "width") and info.n_outputs == 2
    assert np.allclose(values[:, 0], 12 * values[:, 1])
    assert np.allclose(info.scales, np.stack([values.mean(0), values.std(0)], 1), rtol=1e-5)
    masks = data.targets("segmentation")
    assert masks.dtype == np.int64 and np.array_equal(masks, data.images_NCHW[:, 0] > 0)
    assert data.info_for("segmentation").classes == ("ground", "bar")
    assert data.info_for("classification") == data.info


def test_sealed_annotations_stay_closed(inside: Path) -> None:
    folder = bars(inside / "sealed", "sealed")
    for task in ("regression", "segmentation"):
        with pytest.raises(SealedLabelsError, match="train --oracle"):
            ShardDataset(folder).targets(task)  # type: ignore[arg-type]
        assert len(ShardDataset(folder, "evaluate").targets(task)) == 16  # type: ignore[arg-type]


def test_a_regression_trains_and_its_model_gives_the_values_back(inside: Path) -> None:
    train(params("supervised", "regression"), "task.row", source=bars(inside / "bars"), out=inside / "model")
    known = card(inside / "model")
    assert known["data"]["task"] == "regression" and known["data"]["values"] == ["area", "width"]
    assert set(known["scores"]) == {"source_r2"} and known["alarms"] == []
    model: Any = load_model(inside / "model")
    predicted = model.predict(2 * (ShardDataset(inside / "bars")[0][0][None] > 0).float() - 1)
    assert predicted.shape == (1, 2) and predicted[0, 0] > 2 * predicted[0, 1]  # in units of the values


def test_a_segmentation_trains(inside: Path) -> None:
    train(params("supervised", "segmentation"), "task.row", source=bars(inside / "bars"), out=inside / "model")
    model: Any = load_model(inside / "model")
    assert model.info.classes == ("ground", "bar")
    assert model.predict(ShardDataset(inside / "bars")[0][0][None]).shape == (1, 2, 16, 16)


def test_what_a_method_cannot_learn_is_refused(inside: Path) -> None:
    with pytest.raises(
        ParamsError, match=r"task.row.learns: .*'self_ensembling' learns classification, not regression"
    ):
        train(
            params("self_ensembling", "regression"),
            "task.row",
            source=bars(inside / "bars"),
            target=inside / "bars",
            out=inside / "model",
        )


def test_records_without_values_are_refused(inside: Path, tiny_source: Path) -> None:
    with pytest.raises(DataError, match=r"have no numbers to predict \(annotation `values`\)"):
        train(params("supervised", "regression"), "task.row", source=tiny_source, out=inside / "model")


def test_an_augmentation_that_moves_pixels_is_refused(inside: Path) -> None:
    asked = params("supervised", "regression")
    asked.sections["task"]["row"]["method"]["augmentation"] = {"name": "warp", "rotation": 5}
    with pytest.raises(ParamsError, match=r"task.row.method.augmentation: this augmentation moves pixels"):
        train(asked, "task.row", source=bars(inside / "bars"), out=inside / "model")


def test_few_labels_beside_the_source_are_learned_from(inside: Path) -> None:
    source, few = bars(inside / "bars"), bars(inside / "few", count=5)
    train(params("dann"), "task.row", source=source, target=source, labelled=few, out=inside / "with")
    train(params("dann"), "task.row", source=source, target=source, out=inside / "without")
    assert card(inside / "with")["inputs"]["labelled"]["digest"] == ShardDataset(few).digest
    assert card(inside / "with")["fingerprint"] != card(inside / "without")["fingerprint"]
    one, other = (load_file(inside / name / "model.safetensors") for name in ("with", "without"))
    assert any(not one[key].equal(other[key]) for key in one)


def test_few_labels_alone_take_the_place_of_the_source(inside: Path) -> None:
    few = bars(inside / "few", count=8)
    train(params("supervised"), "task.row", labelled=few, out=inside / "labelled")
    train(params("supervised"), "task.row", source=few, out=inside / "source")
    one, other = (load_file(inside / name / "model.safetensors") for name in ("labelled", "source"))
    assert all(one[key].equal(other[key]) for key in one)
    assert "source" not in card(inside / "labelled")["inputs"]
    with pytest.raises(ParamsError, match="`--source DIR`"):
        train(params("supervised"), "task.row", out=inside / "nothing")


def test_snapshots_are_models_of_their_own(inside: Path) -> None:
    source = bars(inside / "bars")
    train(params("supervised", snapshots=2), "task.row", source=source, out=inside / "model")
    folders = sorted((inside / "model" / "snapshots").iterdir())
    assert [folder.name for folder in folders] == ["000002", "000004"]
    assert [card(folder)["steps"] for folder in folders] == [2, 4]
    weights = [load_file(folder / "model.safetensors") for folder in [*folders, inside / "model"]]
    assert all(any(not a[key].equal(b[key]) for key in a) for a, b in zip(weights, weights[1:], strict=False))
    load_model(folders[0])
    train(params("supervised"), "task.row", source=source, out=inside / "plain")
    plain = load_file(inside / "plain" / "model.safetensors")
    assert all(weights[-1][key].equal(plain[key]) for key in plain)  # keeping them changes nothing


def test_an_empty_source_is_named_and_nothing_stands_in_for_it(inside: Path) -> None:
    empty = bars(inside / "empty", count=0)
    for few in (None, bars(inside / "few")):
        with pytest.raises(DataError, match=r"empty: this data set is empty"):
            train(params("supervised"), "task.row", source=empty, labelled=few, out=inside / "model")


def test_few_labels_with_other_values_are_refused(inside: Path) -> None:
    few = inside / "few"
    with staged(few) as out, ShardWriter(out, ("thin", "thick")) as writer:
        for number in range(4):
            writer.write(
                Record(f"bar_{number}", np.zeros((16, 16), np.uint8), 0, {"values": {"width": 1.0, "turn": 2.0}})
            )
    with pytest.raises(DataError, match=r"few has the values turn, width, .*bars has area, width"):
        train(
            params("supervised", "regression"),
            "task.row",
            source=bars(inside / "bars"),
            labelled=few,
            out=inside / "model",
        )


def test_who_makes_no_use_of_few_labels_names_those_who_do(inside: Path) -> None:
    source = bars(inside / "bars")
    with pytest.raises(ParamsError, match=r"MCD makes no use of --labelled .*: .*dann.*supervised"):
        train(params("mcd"), "task.row", source=source, target=source, labelled=source, out=inside / "model")


def test_transforms_of_target_images_need_a_method_that_sees_some(inside: Path) -> None:
    crop = [{"name": "HorizontalFlip"}]
    with pytest.raises(ParamsError, match=r"\.target_transforms: 'supervised' learns from no target"):
        train(params("supervised", target_transforms=crop), "task.row", source=bars(inside / "set"), out=inside / "m")
    with pytest.raises(ParamsError, match=r"training\.target_transforms\[0\]\.name: albumentations has no transform"):
        train(
            params("dann", target_transforms=[{"name": "HorizontalFlop"}]),
            "task.row",
            source=inside / "set",
            target=inside / "set",
            out=inside / "m",
        )
