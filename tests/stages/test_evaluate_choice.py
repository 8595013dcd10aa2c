"""Who is chosen among rows and snapshots, what is alarming, and how far apart the domains are."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adaptgan.data.shards import iter_records
from adaptgan.files import read_json, scratch
from adaptgan.metrics.a_distance import ProxyADistance
from adaptgan.models import load_model
from adaptgan.params import load
from adaptgan.stages.evaluate import evaluate
from adaptgan.stages.train import split
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
