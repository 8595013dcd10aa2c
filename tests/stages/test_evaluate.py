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
from adaptgan.metrics.a_distance import ProxyADistance
from adaptgan.metrics.kid import KID
from adaptgan.metrics.spaces import scale_to_unit
from adaptgan.models import load_model
from adaptgan.params import load
from adaptgan.stages.evaluate import evaluate
from adaptgan.stages.train import split
from tests import evaluated


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


def run(root: Path, *overrides: str, without: tuple[str, ...] = (), **instead: Path) -> dict[str, Any]:
    given = evaluated.paths(root) | instead
    return evaluate(evaluated.params(root, *overrides), **{k: v for k, v in given.items() if k not in without})


def held_out(root: Path) -> tuple[np.ndarray, np.ndarray]:
    records = list(iter_records(root / "data/test", unseal="evaluate"))
    return np.stack([r.image for r in records]), np.array([r.label for r in records])


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


def add_row(root: Path, name: str, labels: np.ndarray | None = None, **more: Any) -> None:
    """Another row on the refined images, under labels of its own when given."""
    records = list(iter_records(root / "data/adapted"))
    images, given = np.stack([r.image for r in records]), np.array([r.label for r in records])
    adapted, target = root / "data/adapted", root / "data/target"
    labels = given if labels is None else labels
    model = root / "models/task" / name
    evaluated.train_model(model, f"task.{name}", images, labels, source=adapted, target=target, **more)


def test_snapshots_are_candidates(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A training that goes wrong at its end: an earlier step of it is chosen, scored, drawn and handed on."""
    add_row(root, "late", snapshots=(2, 30))
    broken = root / "models/task/late"
    shutil.copytree(root / "models/task/bad", root / "fallen")
    card = read_json(broken / "model.json")
    (broken / "model.safetensors").write_bytes((root / "fallen/model.safetensors").read_bytes())
    (broken / "model.json").write_text(json.dumps(card | {"scores": {"source_accuracy": 0.3}}))
    for name in ("adapted", "bad"):
        shutil.rmtree(root / "models/task" / name)
    result = run(root)
    assert list(result["rows"]) == ["source", "late", "oracle"]  # the table shows rows
    assert set(result["snapshots"]) == {"late@2", "late@30"}
    ranked, excluded = set(result["selection"]["ranks"]), set(result["selection"]["excluded"])
    assert ranked | excluded == {"source", "late", "late@2", "late@30"}
    assert {"source", "late@30"} <= ranked
    assert "late" in excluded
    images, labels = held_out(root)
    for name, entry in result["snapshots"].items():
        folder = broken / "snapshots" / f"{int(name.partition('@')[2]):06d}"
        assert entry["accuracy"] == pytest.approx(np.mean(evaluated.predictions(folder, images) == labels))
        assert (entry["snapshot_of"], entry["role"], entry["uses_target"]) == ("late", "candidate", True)
        assert (entry["mean_rank"] is None) == (name in excluded)
        source_accuracy = entry["validators"]["source_accuracy"]
        assert source_accuracy is not None and source_accuracy != 0.3  # its own, not the card's
    assert result["selected"] == "late@30"
    results = read_json(scratch() / "stages/evaluate.json")["results"]
    assert results["accuracy/selected"] == result["snapshots"]["late@30"]["accuracy"]
    assert root / "models/task" / results["selected_model"] == broken / "snapshots/000030"
    drawn = read_json(root / "reports/plots/feature_map.json")
    assert [panel["row"] for panel in drawn["panels"]] == ["source", "late@30"]
    assert "late@30" in capsys.readouterr().out


def test_snapshots_of_the_oracle_and_of_the_last_step_are_no_candidates(root: Path) -> None:
    for name, step in (("oracle", 10), ("adapted", 40)):
        folder = root / "models/task" / name
        shutil.copytree(folder, root / "copy", dirs_exist_ok=True)
        shutil.copytree(root / "copy", folder / "snapshots" / f"{step:06d}")
    assert run(root)["snapshots"] == {}


def test_a_collapsed_row_cannot_be_selected(root: Path) -> None:
    add_row(root, "swallowed", np.zeros(80, np.int64))
    alarm = {"step": 30, "alarm": "class_swallowed", "message": "Raised in training."}
    add_row(root, "alarmed", alarms=[alarm])
    result = run(root)
    assert result["rows"]["swallowed"]["largest_class"] == {"class": "a", "share": 1.0}
    assert "100% of the target images are predicted as 'a'" in result["selection"]["excluded"]["swallowed"]
    assert "swallowed" not in result["selection"]["ranks"]
    assert result["rows"]["swallowed"]["mean_rank"] is None
    assert result["rows"]["swallowed"]["validators"]["batch_nuclear_norm"] is not None  # shown all the same
    assert result["rows"]["swallowed"]["alarms"][0]["alarm"] == "class_swallowed"
    assert result["rows"]["alarmed"]["alarms"][0] == alarm
    base, now = (result["rows"][name]["largest_class"]["share"] for name in ("source", "alarmed"))
    assert ("alarmed" in result["selection"]["excluded"]) == (now > base)
    assert "class_swallowed" in read_json(scratch() / "stages/evaluate.json")["results"]["alarms/swallowed"]


def test_a_row_below_source_only_is_alarming(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_row(root, "cycled", (np.array([r.label for r in iter_records(root / "data/adapted")]) + 1) % 3)
    result = run(root)
    row = result["rows"]["cycled"]
    assert row["gain"]["high"] < 0
    assert "below_source_only" in [entry["alarm"] for entry in row["alarms"]]
    assert "below_source_only" not in [entry["alarm"] for entry in result["rows"]["adapted"]["alarms"]]
    assert "alarm: cycled: below_source_only: on the test set it is" in capsys.readouterr().out
    unmeasured = run(root, without=("test",))["rows"]["cycled"]["alarms"]
    assert "below_source_only" not in [entry["alarm"] for entry in unmeasured]


def test_what_test_labels_would_have_chosen(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(root)
    selectable = {name: row["accuracy"] for name, row in result["rows"].items() if row["role"] != "oracle"}
    best = result["oracle_choice"]
    assert best["accuracy"] == max(selectable.values()) == selectable[best["row"]]
    assert best["regret"] == pytest.approx(best["accuracy"] - selectable[result["selected"]])
    assert f"what test labels would have chosen: {best['row']}" in capsys.readouterr().out
    assert run(root, without=("test",))["oracle_choice"] is None


def test_labelled_target_images_are_named_and_the_row_stays_a_candidate(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, labels = held_out(root)
    few = evaluated.write_set(root / "data/few", images[:12], labels[:12], prefix="f")
    add_row(root, "helped", labelled=few)
    add_row(root, "alone")
    card = read_json(root / "models/task/alone/model.json")
    card["inputs"] = {"labelled": read_json(root / "models/task/helped/model.json")["inputs"]["labelled"]}
    (root / "models/task/alone/model.json").write_text(json.dumps(card))
    rows = run(root)["rows"]
    told = {name: (rows[name]["role"], rows[name]["labelled"], rows[name]["training_set"]) for name in rows}
    assert told["helped"] == ("candidate", 12, "adapted")
    assert told["alone"] == ("candidate", 12, "labelled")
    assert told["adapted"] == ("candidate", None, "adapted")
    assert rows["alone"]["a_distance"] is None
    assert "12 labelled target images" in capsys.readouterr().out
    shutil.rmtree(few)
    assert run(root)["rows"]["helped"]["labelled"] == 0  # some, but nobody can count them any more


def test_whoever_saw_all_target_labels_is_an_oracle_even_beside_the_source(root: Path) -> None:
    add_row(root, "sly", labelled=root / "data/target")
    assert run(root)["rows"]["sly"]["role"] == "oracle"


def test_the_domain_gap_of_each_row(root: Path) -> None:
    """Recomputed from the model: what it learned from against the target, in its own features."""
    rows = run(root)["rows"]
    assert rows["oracle"]["a_distance"] is None
    learn, _ = split(90, evaluated.VALIDATION, evaluated.SEED)
    model = load_model(root / "models/task/source")

    def features(name: str) -> np.ndarray:
        images = np.stack([r.image for r in iter_records(root / "data" / name)])
        with torch.inference_mode():
            return model.features(torch.from_numpy(images)[:, None] / 127.5 - 1).double().numpy()

    def shuffled(points: np.ndarray) -> np.ndarray:
        return np.random.default_rng(evaluated.SEED).permutation(points)

    expected = ProxyADistance()(features("source")[shuffled(learn)], shuffled(features("target")), evaluated.SEED)
    assert rows["source"]["a_distance"] == pytest.approx(expected["a_distance"], abs=0.05)


def test_the_feature_map_holds_true_classes_of_the_source_and_predicted_ones_of_the_target(root: Path) -> None:
    result = run(root)
    drawn = read_json(root / "reports/plots/feature_map.json")
    assert drawn["classes"] == list(evaluated.CLASSES)
    panels = {panel["row"]: panel for panel in drawn["panels"]}
    assert set(panels) == {"source", result["selected"]}
    learn, _ = split(90, evaluated.VALIDATION, evaluated.SEED)
    assert Counter(panels["source"]["source"]["classes"]) == Counter((learn % 3).tolist())
    target = np.stack([r.image for r in iter_records(root / "data/target")])
    said = evaluated.predictions(root / "models/task/source", target)
    assert Counter(panels["source"]["target"]["classes"]) == Counter(said.tolist())
    for panel in panels.values():
        for part in (panel["source"], panel["target"]):
            points = np.array(part["points"])
            assert points.shape == (len(part["classes"]), 2)
            assert 0 <= points.min() <= points.max() <= 1
    run(root, "evaluate.feature_map=false")
    assert not (root / "reports/plots/feature_map.json").exists()


def test_dev_and_snd_score_every_row_and_the_oracle_is_left_out_alone(root: Path) -> None:
    result = run(root, "evaluate.validators=[dev, snd, entropy]", "evaluate.feature_map=false")
    assert result["selection"]["left_out"] == {}
    assert result["selection"]["validators"] == ["dev", "snd", "entropy"]
    assert result["rows"]["oracle"]["validators"]["dev"] is None
    assert result["rows"]["oracle"]["validators"]["snd"] is not None
    for name in ("source", "adapted"):
        assert np.isfinite(result["rows"][name]["validators"]["dev"])
    # Trained on other labels than its set has: what was held out then is not what is found here.
    assert result["rows"]["bad"]["validators"]["dev"] is None
    assert "bad" in result["selection"]["excluded"]


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


def test_what_train_leaves_is_what_is_evaluated(tmp_path: Path, tiny_source: Path, tiny_target: Path) -> None:
    """Snapshots, seed and split of a real training, under another name than evaluate's defaults."""
    from adaptgan.stages.train import train
    from tests.conftest import write_params

    method = {"name": "supervised", "classifier": {"name": "conv_classifier", "widths": [4, 4], "hidden": 8}}
    training = {"steps": 9, "batch_size": 8, "snapshots": 2, "validation": 0.3, "precision": "32-true", "device": "cpu"}
    options = {"validators": ["source_accuracy", "dev"], "images": 40, "feature_map": False}
    sections = {"task": {"source": {"method": method, "training": training}}, "evaluate": options}
    params = load(write_params(tmp_path / "params.yaml", **sections))
    train(params, "task.source", source=tiny_source, out=tmp_path / "models/source", log=tmp_path / "logs/task.source")
    places = {"models": tmp_path / "models", "out": tmp_path / "metrics.json", "plots": tmp_path / "plots"}
    result = evaluate(params, source=tiny_source, target=tiny_target, logs=tmp_path / "logs", **places)
    steps = sorted(int(path.name) for path in (tmp_path / "models/source/snapshots").iterdir())
    assert set(result["snapshots"]) == {f"source@{step}" for step in steps if step < 9} != set()
    for entry in (result["rows"]["source"], *result["snapshots"].values()):
        # Known only if what was held out is found again by the card's seed and share.
        assert entry["validators"]["dev"] is not None
        assert 0 <= entry["validators"]["source_accuracy"] <= 1
    assert result["selection"]["left_out"] == {}
