"""Evaluation of values and masks, against scikit-learn and plain numpy on what the saved models say."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score, mean_absolute_error, r2_score

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import to_float
from adaptgan.data.masks import decode, encode
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter, iter_records
from adaptgan.datainfo import TaskName
from adaptgan.errors import AdaptganError, DataError, ParamsError, SealedLabelsError
from adaptgan.files import fingerprint, read_json, scratch, staged, write_json
from adaptgan.metrics.values import bootstrap_ratio, overlaps, r_squared
from adaptgan.models import load_model, save_model
from adaptgan.params import load
from adaptgan.plugins import components
from adaptgan.stages.evaluate_values import evaluate_targets, task_of_models

NETWORKS: dict[str, dict[str, Any]] = {
    "regression": {"name": "conv_classifier", "widths": [8], "hidden": 12, "dropout": 0.0},
    "segmentation": {"name": "conv_segmenter", "widths": [4, 8]},
}


def write_set(folder: Path, count: int, seed: int, dim: float = 1.0, seal: bool = False, names: str = "ab") -> Path:
    """12×12 images with a bright square; its size and place are the values, its pixels the mask."""
    rng = np.random.default_rng(seed)
    with staged(folder) as out, ShardWriter(out, ("x", "y"), "sealed" if seal else "open") as writer:
        for number in range(count):
            side, left = int(rng.integers(3, 7)), int(rng.integers(0, 6))
            mask = np.zeros((12, 12), np.uint8)
            mask[2 : 2 + side, left : left + side] = 1
            image = (rng.integers(0, 40, (12, 12)) + mask * 200 * dim).astype(np.uint8)
            notes = {
                "values": {names[0]: float(side), names[1]: left + 0.5},
                "mask": encode(mask, ("background", "square")),
            }
            writer.write(Record(f"r{seed}_{number:03d}", image, number % 2, notes))
    return folder


def train_row(folder: Path, task: TaskName, data: Path, *, target: Path | None = None, steps: int, seal: bool) -> None:
    """A real model folder after a few steps of Adam."""
    torch.manual_seed(0)
    learned = ShardDataset(data, unseal="oracle" if seal else None)
    info = learned.info_for(task)
    config = {"name": "supervised", "classifier": NETWORKS[task], "augmentation": "none", "ema": 0.5}
    method = components().build("method", config, "task", [info]).train()
    optimizer = torch.optim.Adam(method.classifier.parameters(), 1e-2)
    x, y = to_float(torch.from_numpy(learned.images_NCHW)), torch.from_numpy(learned.targets(task))
    for _ in range(steps):
        loss = method.task.loss(method.classifier(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.average.update(method.classifier)
    inputs = {"source": data} | ({"target": target} if target else {})
    card = {
        "section": f"task.{folder.name}",
        "method": components().resolve("method", config, "task"),
        "data": asdict(info),
        "fingerprint": fingerprint(folder.name, steps, task),
        "inputs": {role: {"path": str(p), "digest": ShardDataset(p).digest} for role, p in inputs.items()},
        "steps": steps,
    }
    with staged(folder) as out:
        save_model(method.eval(), json.loads(json.dumps(card)), out)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, _quiet_machine: None) -> Path:
    """Sets, and rows of both tasks below `regression` and `segmentation`."""
    root = tmp_path_factory.mktemp("values")
    source = write_set(root / "source", 48, 0)
    target = write_set(root / "target", 48, 1, dim=0.4, seal=True)
    write_set(root / "test", 40, 2, dim=0.4, seal=True)
    for task in ("regression", "segmentation"):
        models = root / task
        train_row(models / "source", task, source, steps=25, seal=False)  # type: ignore[arg-type]
        train_row(models / "adapted", task, source, target=target, steps=60, seal=False)  # type: ignore[arg-type]
        train_row(models / "oracle", task, target, steps=60, seal=True)  # type: ignore[arg-type]
    write_json(root / "logs" / "task.source" / "timing.json", {"seconds": 4.5})
    (root / "params.yaml").write_text("seed: 3\ntracking: {enabled: false}\n")
    return root


def run(root: Path, task: TaskName, out: Path, **instead: Any) -> dict[str, Any]:
    given = {role: root / role for role in ("source", "target", "test")} | {"models": root / task}
    paths = {"logs": root / "logs", "out": out / "metrics.json", "plots": out / "plots"}
    return evaluate_targets(load(root / "params.yaml"), task=task, **(given | paths | instead))


def said_by(folder: Path, records: list[Record]) -> np.ndarray:
    with torch.inference_mode():
        images = torch.from_numpy(np.stack([record.image for record in records]))[:, None]
        answer: np.ndarray = load_model(folder).predict(images.float() / 127.5 - 1).numpy()
    return answer


def test_regression_rows_are_scored_as_scikit_learn_does(root: Path, tmp_path: Path) -> None:
    result = run(root, "regression", tmp_path)
    records = list(iter_records(root / "test", unseal="evaluate"))
    truth = np.array([[r.annotations["values"][name] for name in "ab"] for r in records])
    assert (result["task"], result["names"], result["selected"]) == ("regression", ["a", "b"], None)
    assert list(result["rows"]) == ["source", "adapted", "oracle", "constant"]
    training = np.array([list(r.annotations["values"].values()) for r in iter_records(root / "source")])
    for name, row in result["rows"].items():
        reference = np.tile(training.mean(0), (40, 1))
        said = reference if name == "constant" else said_by(root / "regression" / name, records)
        for number, value in enumerate("ab"):
            scores = row["scores"][value]
            assert scores["mae"] == pytest.approx(mean_absolute_error(truth[:, number], said[:, number]), rel=1e-5)
            assert scores["r2"] == pytest.approx(r2_score(truth[:, number], said[:, number]), rel=1e-4, abs=1e-6)
            assert scores["interval"]["low"] < scores["mae"] < scores["interval"]["high"]
    mae = {name: row["scores"]["a"]["mae"] for name, row in result["rows"].items()}
    assert len(set(mae.values())) == 4 and mae["oracle"] < mae["source"]  # else the next line tests nothing
    closed = (mae["source"] - mae["adapted"]) / (mae["source"] - mae["oracle"])
    assert result["rows"]["adapted"]["gap_closed"]["a"] == pytest.approx(closed)
    assert result["rows"]["source"]["gap_closed"]["a"] == 0 and result["rows"]["oracle"]["gap_closed"]["a"] == 1
    assert read_json(tmp_path / "metrics.json") == result


def test_segmentation_rows_are_scored_as_scikit_learn_does(root: Path, tmp_path: Path) -> None:
    result = run(root, "segmentation", tmp_path)
    records = list(iter_records(root / "test", unseal="evaluate"))
    truth = np.stack([decode(record.annotations["mask"])[0] for record in records])
    assert result["names"] == ["background", "square"]
    for name in ("source", "adapted", "oracle", "constant"):
        row = result["rows"][name]
        said = np.zeros_like(truth) if name == "constant" else said_by(root / "segmentation" / name, records).argmax(1)
        expected = jaccard_score(truth.ravel(), said.ravel(), average=None, labels=[0, 1], zero_division=0)
        assert [row["scores"][one]["iou"] for one in result["names"]] == pytest.approx(expected.tolist(), abs=1e-9)
        assert row["mean_iou"] == pytest.approx(expected.mean())
    assert result["rows"]["oracle"]["mean_iou"] > result["rows"]["constant"]["mean_iou"] + 0.2
    with (tmp_path / "plots" / "overlap.csv").open() as file:
        lines = {(line["row"], line["class"]): float(line["iou"]) for line in csv.DictReader(file)}
    assert lines[("source", "square")] == result["rows"]["source"]["scores"]["square"]["iou"]


def test_rows_say_how_they_were_made_and_the_output_that_nothing_was_chosen(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = run(root, "regression", tmp_path)["rows"]
    assert [row["role"] for row in rows.values()] == ["baseline", "candidate", "oracle", "reference"]
    assert (rows["source"]["seconds"], rows["adapted"]["seconds"]) == (4.5, None)
    assert rows["adapted"]["uses_target"] and rows["oracle"]["training_set"] == "target"
    printed = capsys.readouterr().out
    assert "selected: none; there is no label-free selection for a regression" in printed
    assert all(name in printed for name in rows)
    recorded = read_json(scratch() / "stages/evaluate.json")["results"]
    assert recorded["mae/a/source"] == rows["source"]["scores"]["a"]["mae"]
    with (tmp_path / "plots" / "predictions.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4 * 2 * 40


def test_only_the_test_set_is_unsealed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import adaptgan.stages.evaluate_values as stage

    opened: dict[str, ShardDataset] = {}
    real = stage.ShardDataset

    def watched(path: Path, unseal: Any = None) -> ShardDataset:
        opened[path.name] = real(path, unseal)
        return opened[path.name]

    monkeypatch.setattr(stage, "ShardDataset", watched)
    run(root, "regression", tmp_path)
    assert {name for name, data in opened.items() if data.reader.unseal} == {"test"}
    for task in ("regression", "segmentation"):
        with pytest.raises(SealedLabelsError):
            opened["target"].targets(task)  # type: ignore[arg-type]


def test_is_deterministic(root: Path, tmp_path: Path) -> None:
    assert run(root, "segmentation", tmp_path / "1") == run(root, "segmentation", tmp_path / "2")


def test_what_cannot_be_compared_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--test is missing.*annotated with `values`"):
        run(root, "regression", tmp_path, test=None)
    other = write_set(tmp_path / "other", 12, 5, names="ac")
    with pytest.raises(DataError, match=r"'adapted' predicts a, b; --test .* is annotated with a, c"):
        run(root, "regression", tmp_path, test=other)
    mixed = tmp_path / "mixed"
    (mixed / "one").mkdir(parents=True)
    (mixed / "two").mkdir()
    (mixed / "one" / "model.json").write_text('{"data": {"task": "regression"}}')
    assert task_of_models(mixed) == "regression" and task_of_models(tmp_path / "nothing") == "classification"
    (mixed / "two" / "model.json").write_text('{"data": {"classes": []}}')
    with pytest.raises(AdaptganError, match=r"one \(regression\) and two \(classification\)"):
        task_of_models(mixed)


def test_command_line(root: Path, tmp_path: Path, run_cli: Callable[..., tuple[int, str, str]]) -> None:
    sets = [part for role in ("source", "target", "test") for part in (f"--{role}", root / role)]
    out = ["--out", tmp_path / "m.json", "--plots", tmp_path / "p", "--params", root / "params.yaml"]
    code, printed, errors = run_cli("evaluate", *sets, "--models", root / "regression", *out)
    assert code == 0 and "selected: none" in printed, errors
    assert read_json(tmp_path / "m.json")["task"] == "regression"
    code, _, errors = run_cli("evaluate", *sets, "--models", root / "regression", "--judge", root / "test", *out)
    assert code == ParamsError.exit_code and "nothing is measured with it for a regression" in errors
    page = [
        "--metrics",
        tmp_path / "m.json",
        "--plots",
        tmp_path / "p",
        "--runs",
        root / "logs",
        "--out",
        tmp_path / "x",
    ]
    code, _, errors = run_cli("report", *sets, *page, "--params", root / "params.yaml")
    assert code == DataError.exit_code and "the page shows classifiers, and these rows learned a regression" in errors


def test_bootstrap_is_that_of_resampled_images() -> None:
    rng = np.random.default_rng(0)
    above, below = rng.gamma(2, 1, 60), rng.gamma(5, 1, 60)
    ratios = []
    for _ in range(4000):
        picked = rng.integers(0, 60, 60)
        ratios.append(above[picked].sum() / below[picked].sum())
    assert bootstrap_ratio(above, below, seed=1) == pytest.approx(np.quantile(ratios, (0.025, 0.975)), abs=0.02)
    # The mean of many: close to what the normal distribution says.
    values = rng.normal(3, 2, 500)
    half = 1.96 * values.std() / np.sqrt(500)
    expected = (values.mean() - half, values.mean() + half)
    assert bootstrap_ratio(values, np.ones(500), seed=2) == pytest.approx(expected, abs=0.03)


def test_r_squared_and_overlaps_by_hand() -> None:
    assert r_squared(np.array([1.0, 2, 3]), np.array([1.0, 2, 3])) == 1
    assert r_squared(np.array([1.0, 2, 3]), np.full(3, 2.0)) == 0
    assert r_squared(np.ones(3), np.zeros(3)) is None
    truth, said = np.array([[[0, 1], [1, 2]]]), np.array([[[0, 1], [2, 2]]])
    shared, either = overlaps(truth, said, 3)
    assert shared.tolist() == [[1, 1, 1]] and either.tolist() == [[1, 2, 2]]
