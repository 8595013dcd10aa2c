from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from adaptgan.cli.main import app
from adaptgan.data.images import decode_png
from adaptgan.data.shards import iter_records
from adaptgan.errors import AdaptganError, DataError, SealedLabelsError
from adaptgan.files import read_json, scratch
from adaptgan.metrics.kid import KID
from adaptgan.metrics.spaces import scale_to_unit
from adaptgan.models import load_model
from tests import evaluated
from tests.evaluated import held_out, run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, _quiet_machine: None) -> Path:
    root = tmp_path_factory.mktemp("finished")
    evaluated.build(root)
    return root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    shutil.copytree(finished, tmp_path / "project")
    return tmp_path / "project"


def test_scores_are_those_of_the_models_on_the_test_images(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(root)
    images, labels = held_out(root)
    right = {}
    for name, row in result["rows"].items():
        said = evaluated.predictions(root / "models/task" / name, images)
        right[name] = said == labels
        assert row["accuracy"] == pytest.approx(np.mean(right[name]))
        assert row["interval"]["low"] < row["accuracy"] <= row["interval"]["high"]
        counts = json.loads((root / "reports/plots/confusion.json").read_text())["rows"][name]
        np.testing.assert_array_equal(counts, confusion_matrix(labels, said))
    gain = result["rows"]["adapted"]["gain"]["mean"]
    assert gain == pytest.approx(right["adapted"].mean() - right["source"].mean())
    accuracy = {name: row["accuracy"] for name, row in result["rows"].items()}
    assert len(set(accuracy.values())) > 2  # rows that all score alike would test nothing
    chosen = accuracy[result["selected"]]
    expected = (chosen - accuracy["source"]) / (accuracy["oracle"] - accuracy["source"])
    assert result["gap_closed"] == pytest.approx(expected)
    assert read_json(root / "reports/metrics.json") == result
    assert f"selected: {result['selected']}" in capsys.readouterr().out


def test_rows_say_how_they_were_made(root: Path) -> None:
    result = run(root)
    assert list(result["rows"]) == ["source", "adapted", "bad", "oracle"]  # baseline first, oracle last
    rows = result["rows"]
    assert [row["role"] for row in rows.values()] == ["baseline", "candidate", "candidate", "oracle"]
    assert [row["training_set"] for row in rows.values()] == ["source", "adapted", "adapted", "target"]
    assert rows["bad"]["uses_target"]
    assert not rows["adapted"]["uses_target"]
    assert rows["source"]["seconds"] == 12.5
    assert rows["bad"]["seconds"] is None
    assert rows["oracle"]["mean_rank"] is None
    assert rows["oracle"]["validators"]["class_ami"] is not None
    assert result["selected"] in ("source", "adapted")


def test_whoever_learned_from_target_labels_is_an_oracle_by_any_name(root: Path) -> None:
    (root / "models/task/oracle").rename(root / "models/task/innocent")
    result = run(root)
    assert result["rows"]["innocent"]["role"] == "oracle"
    assert result["oracle"] == "innocent"
    assert "innocent" not in result["selection"]["ranks"]


def test_label_preservation_is_the_judges_reading(root: Path) -> None:
    result = run(root)

    def read(*names: str) -> np.ndarray:
        records = [record for name in names for record in iter_records(root / "data" / name)]
        said = evaluated.predictions(root / "models/judge", np.stack([r.image for r in records]))
        return said == np.array([r.label for r in records])

    assert result["label_preservation"] == pytest.approx(read("adapted").mean())
    assert result["label_preservation_before_gate"] == pytest.approx(read("adapted", "quarantine").mean())
    assert result["quarantined"] == pytest.approx(10 / 90)


def test_realism_is_measured_in_the_baselines_features_and_cross_checked(root: Path) -> None:
    result = run(root, "evaluate.images=1000")
    model = load_model(root / "models/task/source")

    def features(name: str) -> np.ndarray:
        images = np.stack([r.image for r in iter_records(root / "data" / name)])
        with torch.inference_mode():
            return model.features(torch.from_numpy(images)[:, None] / 127.5 - 1).double().numpy()

    real, drawn, refined = scale_to_unit(features("target"), features("source"), features("adapted"))
    assert result["realism"]["source"]["kid"] == pytest.approx(KID()(drawn, real, 3)["kid"], rel=1e-4)
    assert result["realism"]["adapted"]["kid"] == pytest.approx(KID()(refined, real, 3)["kid"], rel=1e-4)
    assert set(result["realism"]) == {"source", "adapted", "floor"}
    for values in result["realism"].values():
        assert {"kid", "kid_std", "a_distance", "cross_check"} <= set(values)
        assert set(values["cross_check"]) == {"judge", "pixels"}
    assert result["realism"]["floor"]["kid"] < result["realism"]["source"]["kid"]
    other = run(root, "evaluate.images=1000", "evaluate.features=judge")["realism"]["source"]
    assert other["kid"] == pytest.approx(result["realism"]["source"]["cross_check"]["judge"]["kid"])
    assert set(other["cross_check"]) == {"baseline", "pixels"}


def test_plots_are_tables_that_dvc_reads(root: Path) -> None:
    result = run(root)
    plots = root / "reports/plots"
    with (plots / "per_class.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {(line["row"], line["class"]): float(line["accuracy"]) for line in lines} == {
        (name, label): value for name, row in result["rows"].items() for label, value in row["per_class"].items()
    }
    images, labels = held_out(root)
    said = evaluated.predictions(root / "models/task/source", images)
    with (plots / "confusion_baseline.csv").open() as file:
        pairs = Counter((line["actual"], line["predicted"]) for line in csv.DictReader(file))
    expected = Counter((evaluated.CLASSES[a], evaluated.CLASSES[b]) for a, b in zip(labels, said, strict=True))
    assert pairs == expected
    assert decode_png((plots / "before_after.png").read_bytes()).ndim == 2


def test_is_deterministic(root: Path) -> None:
    first, second = run(root), run(root)
    assert first == second
    files = {path.name: path.read_bytes() for path in (root / "reports/plots").iterdir()}
    run(root)
    assert files == {path.name: path.read_bytes() for path in (root / "reports/plots").iterdir()}


def test_headline_goes_to_the_tracker_flat(root: Path) -> None:
    result = run(root)
    recorded = read_json(scratch() / "stages/evaluate.json")["results"]
    assert recorded["selected"] == result["selected"]
    assert recorded["accuracy/source"] == result["rows"]["source"]["accuracy"]
    assert recorded["kid/adapted"] == result["realism"]["adapted"]["kid"]
    assert all(isinstance(value, float | str) for value in recorded.values())


def test_only_the_test_set_is_unsealed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import adaptgan.stages.evaluate as stage

    opened: dict[str, Any] = {}
    real = stage.ShardDataset

    def watched(path: Path, unseal: Any = None) -> Any:
        opened[path.name] = real(path, unseal)
        return opened[path.name]

    monkeypatch.setattr(stage, "ShardDataset", watched)
    run(root)
    assert {name for name, data in opened.items() if data.reader.unseal} == {"test"}
    with pytest.raises(SealedLabelsError):
        _ = opened["target"].labels_N


def test_without_test_labels_only_label_free_numbers(root: Path) -> None:
    result = run(root, without=("test",))
    assert {row["accuracy"] for row in result["rows"].values()} == {None}
    assert result["gap_closed"] is None
    assert result["selected"] == run(root)["selected"]  # the choice never looked at them
    assert "mean_rank" in result["rows"]["source"]


def test_without_adapted_judge_or_oracle(root: Path) -> None:
    for name in ("oracle", "adapted", "bad"):
        shutil.rmtree(root / "models/task" / name)
    result = run(root, without=("adapted", "judge", "quarantine"))
    assert list(result["rows"]) == ["source"]
    assert result["selected"] == "source"
    assert (result["gap_closed"], result["oracle"], result["label_preservation"]) == (None, None, None)
    assert set(result["realism"]) == {"source", "floor"}


def test_test_classes_in_another_order_are_matched_by_name(root: Path) -> None:
    before = run(root)["rows"]["source"]
    images, labels = held_out(root)
    turned = np.array([2, 0, 1])[labels]  # a, b, c are now 2, 0, 1 of (b, c, a)
    other = evaluated.write_set(root / "data/turned", images, turned, prefix="e", classes=("b", "c", "a"))
    after = run(root, test=other)["rows"]["source"]
    assert after["accuracy"] == before["accuracy"]
    assert after["per_class"] == before["per_class"]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ("classes", DataError, r"class sets differ.*--test.*has \['d'\].*has \['c'\]"),
        ("unlabelled", DataError, r"--test .*has no labels.*Leave --test out"),
        ("no models", AdaptganError, r"no trained models here.*adaptgan train task\.source"),
        ("no baseline", AdaptganError, r"baseline row 'source' is missing.*evaluate\.baseline"),
        ("judge is a row", AdaptganError, r"this model is also adapted.*another seed"),
        ("judge guards", AdaptganError, r"this model is also the gate"),
        ("no judge", AdaptganError, r"evaluate\.features: 'judge' cannot be used: no --judge was given"),
        ("cheating baseline", AdaptganError, r"baseline row was trained on the labels of --target"),
        ("other source", DataError, r"was made from 's00\d\d'.*synthesize"),
    ],
)
def test_bad_input_is_one_clear_message(root: Path, change: str, error: type[Exception], says: str) -> None:
    images, labels = held_out(root)
    task = root / "models/task"
    overrides: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    instead: dict[str, Path] = {}
    if change == "classes":
        instead["test"] = evaluated.write_set(root / "other", images, labels, prefix="e", classes=("a", "b", "d"))
    elif change == "unlabelled":
        instead["test"] = evaluated.write_set(root / "other", images, None, prefix="e")
    elif change == "no models":
        instead["models"] = root / "data"
    elif change == "no baseline":
        shutil.rmtree(task / "source")
    elif change == "judge is a row":
        instead["judge"] = task / "adapted"
    elif change == "judge guards":
        card = read_json(root / "models/judge/model.json") | {"fingerprint": "0" * 64}
        (root / "models/judge/model.json").write_text(json.dumps(card))
    elif change == "no judge":
        overrides, without = ("evaluate.features=judge",), ("judge",)
    elif change == "cheating baseline":
        shutil.rmtree(task / "source")
        (task / "oracle").rename(task / "source")
    elif change == "other source":
        evaluated.write_set(root / "data/source", images, labels, prefix="z")
    with pytest.raises(error, match=says):
        run(root, *overrides, without=without, **instead)
    assert not (root / "reports/metrics.json").exists()


def test_command_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from adaptgan.cli import register

    register(app)
    monkeypatch.chdir(root)
    arguments = ["--source", "data/source", "--target", "data/target", "--test", "data/test", "--models", "models/task"]
    answer = CliRunner().invoke(app, ["evaluate", *arguments, "--set", "evaluate.images=40"], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    assert read_json(root / "reports/metrics.json")["rows"]["source"]["seconds"] == 12.5
    assert (root / "reports/plots/per_class.csv").is_file()
