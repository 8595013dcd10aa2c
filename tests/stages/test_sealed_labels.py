"""Only `evaluate` and the oracle may open the real domain's labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.shards import ShardWriter, iter_records
from adaptgan.errors import DataError, SealedLabelsError
from adaptgan.params import load
from adaptgan.stages.synthesize import synthesize
from adaptgan.stages.train import train

TINY = {"name": "conv_classifier", "widths": [4, 4], "hidden": 8}
BASE = {"precision": "32-true", "device": "cpu", "batch_size": 8}
PARAMS = {
    "seed": 1,
    "tracking": {"enabled": False},
    "refiner": {
        "method": {
            "name": "simgan",
            "refiner": {"name": "simgan_refiner", "channels": 4, "blocks": 1, "fold": 2, "residual": 2.0},
            "discriminator": {"name": "patch_discriminator", "layers": "strided", "channels": 4, "depth": 2},
            "semantic": 1.0,
            "pretrain_refiner": 2,
            "pretrain_discriminator": 2,
        },
        "training": {**BASE, "steps": 6},
    },
    "refine": {"precision": "32-true", "device": "cpu"},
    "task": {
        "source": {"method": {"name": "supervised", "classifier": TINY}, "training": {**BASE, "steps": 25}},
        "dann": {"method": {"name": "dann", "classifier": TINY}, "training": {**BASE, "steps": 6}},
        "self_ensembling": {
            "method": {"name": "self_ensembling", "classifier": TINY, "threshold": 0.1, "warmup": 0.0, "ramp": 0.1},
            "training": {**BASE, "steps": 6},
        },
        "oracle": {"method": {"name": "supervised", "classifier": TINY}, "training": {**BASE, "steps": 6}},
    },
}


def with_other_labels(target: Path, out: Path) -> Path:
    """The same sealed images, each with another label."""
    data = ShardDataset(target, unseal="oracle")
    out.mkdir()
    with ShardWriter(out, data.classes, "sealed") as writer:
        for record in iter_records(target, unseal="oracle"):
            assert record.label is not None
            record.label = (record.label + 3) % 10
            writer.write(record)
    return out


def pipeline(folder: Path, source: Path, target: Path) -> dict[str, bytes]:
    """Everything that sees the target, in one folder; gives each model's and data set's bytes."""
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    params = load(folder / "params.yaml")
    models = folder / "models"
    train(params, "task.source", source=source, out=models / "source", log=folder / "log")
    train(
        params,
        "refiner",
        source=source,
        target=target,
        guard=models / "source",
        out=models / "refiner",
        log=folder / "log",
    )
    adapted = folder / "adapted"
    synthesize(params, "refine", model=models / "refiner", source=source, out=adapted, guard=models / "source")
    for name in ("dann", "self_ensembling"):
        train(params, f"task.{name}", source=adapted, target=target, out=models / name, log=folder / "log")
    train(params, "task.oracle", source=target, out=models / "oracle", log=folder / "log", oracle=True)
    names = ("source", "refiner", "dann", "self_ensembling", "oracle")
    weights = {name: (models / name / "model.safetensors").read_bytes() for name in names}
    return weights | {"adapted": (adapted / "000000.tar").read_bytes()}


def test_wrong_target_labels_change_the_oracle_and_nothing_else(
    tmp_path: Path, tiny_source: Path, tiny_target: Path
) -> None:
    right = pipeline(tmp_path / "right", tiny_source, tiny_target)
    wrong = pipeline(tmp_path / "wrong", tiny_source, with_other_labels(tiny_target, tmp_path / "relabelled"))
    # Fingerprints differ because the input's digest does, so what carries them is compared by weights alone.
    for name in ("source", "refiner", "dann", "self_ensembling"):
        same = right[name] == wrong[name]
        assert same, f"{name} depends on target labels"
    assert right["oracle"] != wrong["oracle"]


def test_sealed_labels_open_for_evaluate_and_the_oracle_only(tiny_target: Path) -> None:
    with pytest.raises(SealedLabelsError):
        _ = ShardDataset(tiny_target).labels_N
    assert ShardDataset(tiny_target)[0][1] == -1
    for who in ("oracle", "evaluate"):
        assert len(ShardDataset(tiny_target, unseal=who).labels_N) == 120


def test_training_on_sealed_labels_needs_the_flag(tmp_path: Path, tiny_target: Path) -> None:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    params = load(tmp_path / "params.yaml")
    with pytest.raises(SealedLabelsError, match="oracle"):
        train(params, "task.oracle", source=tiny_target, out=tmp_path / "model", log=tmp_path / "log")
    assert not (tmp_path / "model").exists()


def test_synthesize_carries_labels_annotations_and_provenance(
    tmp_path: Path, tiny_source: Path, tiny_target: Path
) -> None:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    params = load(tmp_path / "params.yaml")
    train(params, "task.source", source=tiny_source, out=tmp_path / "guard", log=tmp_path / "log")
    train(
        params,
        "refiner",
        source=tiny_source,
        target=tiny_target,
        guard=tmp_path / "guard",
        out=tmp_path / "refiner",
        log=tmp_path / "log",
    )
    adapted, quarantine = tmp_path / "adapted", tmp_path / "quarantine"
    synthesize(
        params,
        "refine",
        model=tmp_path / "refiner",
        source=tiny_source,
        out=adapted,
        guard=tmp_path / "guard",
        quarantine=quarantine,
    )
    before = {record.key: record for record in iter_records(tiny_source)}
    kept, rejected = list(iter_records(adapted)), list(iter_records(quarantine))
    assert kept and {r.key for r in kept} | {r.key for r in rejected} == set(before)
    guard_card = json.loads((tmp_path / "refiner" / "model.json").read_text())
    for record in kept + rejected:
        original = before[record.key]
        assert record.label == original.label and record.annotations == original.annotations
        assert record.provenance["source_key"] == record.key
        assert record.provenance["model"] == guard_card["fingerprint"]
        assert 0 <= record.provenance["gate"]["classifier_agreement"] <= 1
    assert all("read as" in record.provenance["reason"] for record in rejected)
    assert all("reason" not in record.provenance for record in kept)
    origin = ShardDataset(adapted).manifest.origin
    assert (origin["kept"], origin["quarantined"]) == (len(kept), len(rejected))
    again = tmp_path / "again"
    synthesize(params, "refine", model=tmp_path / "refiner", source=tiny_source, out=again, guard=tmp_path / "guard")
    assert (again / "000000.tar").read_bytes() == (adapted / "000000.tar").read_bytes()
    shutil.rmtree(again)


def test_a_translator_that_moves_pixels_refuses_annotated_places(
    tmp_path: Path, tiny_source: Path, tiny_target: Path
) -> None:
    boxed = tmp_path / "boxed"
    boxed.mkdir()
    with ShardWriter(boxed, ShardDataset(tiny_source).classes) as writer:
        for record in iter_records(tiny_source):
            record.annotations["boxes"] = [[1, 2, 3, 4]]
            writer.write(record)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    for jitter, refused in (("none", False), ("warp", True)):
        settings = [f"refiner.method.jitter={jitter}", "refiner.method.semantic=0", "refine.gate=[]"]
        params = load(tmp_path / "params.yaml", settings)
        model, out = tmp_path / f"model-{jitter}", tmp_path / f"out-{jitter}"
        train(params, "refiner", source=boxed, target=tiny_target, out=model, log=tmp_path / "log")
        if refused:
            with pytest.raises(DataError, match="jitter: none"):
                synthesize(params, "refine", model=model, source=boxed, out=out)
            assert not out.exists()
        else:
            synthesize(params, "refine", model=model, source=boxed, out=out)
            assert next(iter_records(out)).annotations == {"boxes": [[1, 2, 3, 4]]}
