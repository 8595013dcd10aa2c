"""A detector, trained by the real stages, and `adaptgan detect`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from adaptgan_forensics.detect import detect
from adaptgan_forensics.scores import fit_temperature, probabilities
from pictures import generated_images, real_images
from sklearn.metrics import log_loss, roc_auc_score

from adaptgan.data.dataset import ShardDataset
from adaptgan.errors import AdaptganError, DataError
from adaptgan.files import read_json
from adaptgan.models import load_model

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stage(tmp_path: Path, adaptgan_cli: Cli) -> Callable[..., None]:
    """`stage("ingest", "known", "--out", …)`: a stage of the project that succeeds."""

    def run(*arguments: object) -> None:
        code, _, errors = adaptgan_cli(*arguments, "--params", tmp_path / "params.yaml")
        assert code == 0, errors

    return run


@pytest.fixture
def project(tmp_path: Path, write: Callable[..., Path], stage: Callable[..., None]) -> Path:
    """Splits of real and generated images, and a detector that knows one of the two generators."""
    folders = {
        "real": write("real", real_images(240, 0), annotations=lambda i: {"sequence": f"s{i // 4}", "frame": i % 4}),
        "pairs": write("pairs", generated_images(240, 1)),
        "same": write("same", real_images(240, 2)),  # as good as real
    }
    known = {"name": "real_and_generated", "real": str(folders["real"]), "generated": {"pairs": str(folders["pairs"])}}
    every = {**known, "generated": {name: str(folders[name]) for name in ("pairs", "same")}, "balance": "none"}
    method = {
        "name": "supervised",
        "classifier": {"name": "forensic_cnn", "filters": 4, "widths": [8, 8]},
        "augmentation": "none",
        "ema": 0.9,
    }
    training = {"steps": 60, "batch_size": 32, "precision": "32-true", "device": "cpu", "validation": 0.0}
    params = {
        "seed": 0,
        "tracking": {"enabled": False},
        "known": {"dataset": known},
        "every": {"dataset": every},
        "detector": {"method": method, "training": training},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    stage("ingest", "known", "--out", tmp_path / "train")
    stage("ingest", "known", "--split", "validation", "--out", tmp_path / "held")
    stage("ingest", "every", "--split", "test", "--out", tmp_path / "test")
    given = ("--source", tmp_path / "train", "--trace", tmp_path / "log")
    stage("train", "detector", *given, "--out", tmp_path / "detector")
    return tmp_path


def logits(model: Path, data: Path) -> np.ndarray:
    """By the shortest way there is."""
    detector: Any = load_model(model)
    images = torch.from_numpy(np.array(ShardDataset(data).images_NCHW)).float() / 127.5 - 1
    with torch.inference_mode():
        p = detector.predict(images).double().numpy()
    found: np.ndarray = np.log(p[:, 1] / p[:, 0])
    return found


def test_the_command(project: Path, adaptgan_cli: Cli, adaptgan_scratch: Path) -> None:
    paths = {"model": "detector", "data": "test", "calibrate": "held", "out": "scores.json"}
    given = [part for name, path in paths.items() for part in (f"--{name}", project / path)]
    code, said, errors = adaptgan_cli("detect", *given)
    assert code == 0, errors
    result = read_json(project / "scores.json")
    data, expected = ShardDataset(project / "test"), logits(project / "detector", project / "test")
    np.testing.assert_allclose([one["logit"] for one in result["records"]], expected, atol=1e-4)
    assert [one["key"] for one in result["records"]] == data.keys
    held = ShardDataset(project / "held")
    assert result["temperature"] == pytest.approx(
        fit_temperature(logits(project / "detector", project / "held"), held.labels_N), rel=1e-3
    )
    p = probabilities(expected, result["temperature"])
    np.testing.assert_allclose([one["probability"] for one in result["records"]], p, atol=1e-4)
    assert result["flagged"] == pytest.approx((p > 0.5).mean())
    assert result["scores"]["auc"] == pytest.approx(roc_auc_score(data.labels_N, expected), abs=1e-6)
    names = np.array([content["provenance"]["generator"] or "" for content in data.reader.contents()])
    for name in ("pairs", "same"):
        rows = (names == name) | (names == "")
        mine = roc_auc_score(data.labels_N[rows], expected[rows])
        assert result["generators"][name]["auc"] == pytest.approx(mine, abs=1e-6)
    assert result["generators"]["pairs"]["auc"] > 0.95 > 0.7 > result["generators"]["same"]["auc"]
    assert result["calibration"]["after"]["nll"] <= result["calibration"]["before"]["nll"] + 0.02
    assert {"nll", "ece"} == result["scores"]["uncalibrated"].keys()
    assert "pairs: AUC" in said and "held to be generated" in said and " sequences" in said
    tracked = read_json(adaptgan_scratch / "stages" / "detect.json")["results"]
    assert tracked["auc"] == result["scores"]["auc"] and tracked["auc/pairs"] == result["generators"]["pairs"]["auc"]


def test_frames_are_judged_together(project: Path) -> None:
    result = detect(project / "detector", project / "test", project / "scores.json")
    assert result["temperature"] == 1 and result["calibration"] is None
    found = {one["key"]: one for one in result["sequences"]["records"]}
    data = ShardDataset(project / "test")
    members: dict[str, list[float]] = {}
    for content, one in zip(data.reader.contents(), result["records"], strict=True):
        if "sequence" in content.get("annotations", {}):
            members.setdefault(content["annotations"]["sequence"], []).append(one["logit"])
    assert found.keys() == members.keys()
    for name, values in members.items():
        assert found[name]["frames"] == len(values)
        assert found[name]["probability"] == pytest.approx(1 / (1 + np.exp(-np.mean(values))), abs=1e-4)
    assert result["sequences"]["scores"] is None and result["sequences"]["generators"] == {}  # all of them are real


def test_sequences_of_every_generator(
    project: Path, write: Callable[..., Path], stage: Callable[..., None], adaptgan_cli: Cli
) -> None:
    """Videos whose frames are hard to tell: each generator's against the real ones, by the mean of their logits."""

    def frame(i: int) -> dict[str, Any]:
        return {"sequence": f"walk{i // 10}", "frame": i % 10}

    made = generated_images(200, 5)
    mixed = np.where((np.arange(200) % 3 == 0)[:, None, None], made, real_images(200, 6))  # a third of the frames tell
    videos = {"half": mixed, "same": real_images(200, 7)}
    generated = {name: str(write(f"{name}_videos", images, annotations=frame)) for name, images in videos.items()}
    real = write("real_videos", real_images(200, 8), annotations=frame)
    dataset = {"name": "real_and_generated", "real": str(real), "generated": generated, "balance": "none"}
    dataset |= {"test": 1.0, "validation": 0.0}
    params = yaml.safe_load((project / "params.yaml").read_text())
    (project / "params.yaml").write_text(yaml.safe_dump(params | {"videos": {"dataset": dataset}}))
    stage("ingest", "videos", "--split", "test", "--out", project / "videos")
    paths = {"model": "detector", "data": "videos", "calibrate": "held", "out": "scores.json"}
    code, said, errors = adaptgan_cli(
        "detect", *(x for name, path in paths.items() for x in (f"--{name}", project / path))
    )
    assert code == 0, errors
    result = read_json(project / "scores.json")

    expected = logits(project / "detector", project / "videos")
    data = ShardDataset(project / "videos")
    names = np.array([content["annotations"]["sequence"] for content in data.reader.contents()])
    of = sorted(set(names))
    assert len(of) == 60 and {one["frames"] for one in result["sequences"]["records"]} == {10}
    means = np.array([expected[names == name].mean() for name in of])
    for name in videos:
        rows = [number for number, one in enumerate(of) if one.startswith((f"{name}/", "real/"))]
        truth = np.array([of[number].startswith(f"{name}/") for number in rows])
        found = result["sequences"]["generators"][name]
        assert found["auc"] == pytest.approx(roc_auc_score(truth, means[rows]), abs=1e-6)
        p = probabilities(means[rows], result["temperature"])
        assert found["nll"] == pytest.approx(log_loss(truth, p), abs=1e-4)
        before = log_loss(truth, probabilities(means[rows]))
        assert found["uncalibrated"]["nll"] == pytest.approx(before, abs=1e-4)
    truth = np.array([not one.startswith("real/") for one in of])
    assert result["sequences"]["scores"]["auc"] == pytest.approx(roc_auc_score(truth, means), abs=1e-6)
    assert result["generators"]["half"]["auc"] < 0.8 < 0.95 < result["sequences"]["generators"]["half"]["auc"]
    assert "60 sequences: AUC" in said and "half, sequences: AUC" in said


def test_generated_images_alone(project: Path, write: Callable[..., Path], adaptgan_cli: Cli) -> None:
    """Labels that are all `generated` leave nothing to hold them against; that was a traceback."""
    alone = write(
        "alone",
        generated_images(6, 9),
        np.ones(6),
        classes=("real", "generated"),
        annotations=lambda i: {"sequence": "walk", "frame": i},
        provenance=lambda i: {"generator": "pairs"},
    )
    given = ("--model", project / "detector", "--data", alone, "--out", project / "scores.json")
    code, said, errors = adaptgan_cli("detect", *given)
    assert code == 0, errors
    result = read_json(project / "scores.json")
    assert result["scores"] is None and result["generators"] == {} and result["sequences"]["scores"] is None
    assert "6 images" in said and "1 sequences" in said


def test_images_of_unknown_truth_are_scored_alone(project: Path) -> None:
    result = detect(project / "detector", project / "pairs", project / "scores.json")
    assert result["scores"] is None and result["generators"] == {} and result["sequences"] is None
    assert len(result["records"]) == 240 and result["flagged"] > 0.8


def test_what_does_not_fit_is_named(project: Path, write: Callable[..., Path], stage: Callable[..., None]) -> None:
    with pytest.raises(DataError, match="expected a data set with the classes real and generated"):
        detect(project / "detector", project / "test", project / "x.json", calibrate=project / "pairs")
    small = write("small", real_images(20, 0)[:, :8, :8])
    with pytest.raises(DataError, match=r"\(1, 8, 8\).*knows \(1, 16, 16\)"):
        detect(project / "detector", small, project / "x.json")
    labels = np.arange(40) % 2
    write("letters", real_images(40, 3), labels)
    given = ("--set", "detector.training.steps=1", "--source", project / "letters", "--trace", project / "log2")
    stage("train", "detector", *given, "--out", project / "reader")
    with pytest.raises(AdaptganError, match="this one has a, b"):
        detect(project / "reader", project / "test", project / "x.json")
    assert not (project / "x.json").exists()
