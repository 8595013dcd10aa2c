"""`synthesize` of domains and pairs: where images go, what is carried along, what stays behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adaptgan import load_dataset, load_model
from adaptgan.data.images import to_float, to_uint8
from adaptgan.data.masks import encode
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter, iter_records
from adaptgan.errors import DataError, ParamsError
from adaptgan.params import load
from adaptgan.stages.synthesize import synthesize
from adaptgan.stages.train import train
from tests.conftest import write_params

TRAINING = {"steps": 2, "batch_size": 4, "precision": "32-true", "device": "cpu", "validation": 0}
STARGAN = {
    "name": "stargan",
    "generator": {"name": "stargan_generator", "channels": 4, "blocks": 1},
    "discriminator": {"name": "stargan_discriminator", "channels": 4, "depth": 2},
    "repeats": 1,
    "generator_optimizer": {"lr": 0.01},
}
SIMGAN = {
    "name": "simgan",
    "refiner": {"name": "simgan_refiner", "channels": 4, "blocks": 1},
    "pretrain_refiner": 1,
    "pretrain_discriminator": 1,
}
DOMAINS = {
    "dataset": {
        "name": "domains",
        "parts": [{"name": "rendered_digits", "count": 20}, "handwriting", {"name": "uci_digits", "image_size": 11}],
        "names": ["rendered", "handwriting", "uci"],
    },
    "limit": 30,
    "size": [32, 32],
}


def trained(folder: Path, method: Any, source: Path, target: Path | None = None, guard: Path | None = None) -> Path:
    folder.mkdir()
    params = load(write_params(folder / "params.yaml", translator={"method": method, "training": TRAINING}))
    train(params, "translator", source=source, target=target, guard=guard, out=folder / "model", log=folder / "log")
    return folder / "model"


def translated(folder: Path, model: Path, source: Path, **section: Any) -> list[Record]:
    options = {"gate": [], "precision": "32-true", "device": "cpu", "batch_size": 8, **section}
    params = load(write_params(folder / "params.yaml", refine=options))
    synthesize(params, "refine", model=model, source=source, out=folder / "out")
    return list(iter_records(folder / "out"))


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """Labelled digits with a pair and every kind of annotation."""
    draw = np.random.default_rng(0)
    folder = tmp_path / "annotated"
    folder.mkdir()
    with ShardWriter(folder, [str(k) for k in range(10)]) as writer:
        for number in range(12):
            image, other = draw.integers(0, 256, (32, 32), np.uint8), draw.integers(0, 256, (32, 32, 3), np.uint8)
            notes = {
                "boxes": [[1.5, 2, 3, 4]],
                "keypoints": [[5.0, 6.5, 2]],
                "mask": encode((image > 99).astype(np.uint8), ("ground", "ink")),
                "caption": f"the digit {number}",
                "values": {"slant": 0.1 * number},
            }
            writer.write(Record(f"r{number}", image, number % 10, notes, {"n": number}, other))
    return folder


@pytest.fixture
def stargan(tmp_path: Path, ingested: Callable[..., Path]) -> Path:
    return trained(tmp_path / "stargan", STARGAN, ingested(DOMAINS))


def test_images_go_where_they_are_sent_with_all_that_is_known_of_them(
    tmp_path: Path, stargan: Path, annotated: Path
) -> None:
    model: Any = load_model(stargan)
    assert model.domains == ("rendered", "handwriting", "uci")
    images = to_float(torch.from_numpy(load_dataset(annotated).images_NCHW))
    made = {}
    for to in (None, "uci"):
        records = translated(tmp_path, stargan, annotated, to=to)
        assert [one.key for one in records] == [f"r{i}" for i in range(12)]
        for record, original in zip(records, iter_records(annotated), strict=True):
            assert (record.label, record.annotations) == (original.label, original.annotations)
            assert record.provenance["source_key"] == original.key
        with torch.inference_mode():
            expected = to_uint8(model.translate(images, to=to))[:, 0].numpy()
        made[to] = np.stack([one.image for one in records])
        assert np.abs(made[to].astype(int) - expected).max() <= 1  # another batch size rounds otherwise
    assert (made[None] != made["uci"]).any()


def test_a_pair_stays_behind(tmp_path: Path, stargan: Path, annotated: Path) -> None:
    """It was what another translator should make of the image, not what this one made."""
    assert {one.paired for one in translated(tmp_path, stargan, annotated)} == {None}
    data = load_dataset(tmp_path / "out")
    assert data.info.paired == 0 and data.manifest.paired is None


def test_a_domain_that_is_unknown_and_one_too_many(
    tmp_path: Path, stargan: Path, annotated: Path, tiny_source: Path, tiny_target: Path
) -> None:
    with pytest.raises(ParamsError, match=r"refine.to: 'stargan' knows no domain 'usi'. .*uci"):
        translated(tmp_path, stargan, annotated, to="usi")
    one_way = trained(tmp_path / "simgan", SIMGAN, tiny_source, tiny_target)
    with pytest.raises(ParamsError, match=r"refine.to: 'simgan' goes one way only"):
        translated(tmp_path, one_way, annotated, to="target")


@pytest.mark.parametrize("note", ["boxes", "keypoints", "mask", "values", "caption"])
def test_a_method_that_moves_pixels_takes_no_places(
    tmp_path: Path, annotated: Path, tiny_source: Path, tiny_target: Path, note: str
) -> None:
    mover = trained(tmp_path / "mover", {**SIMGAN, "jitter": "warp"}, tiny_source, tiny_target)
    folder = tmp_path / "one"
    folder.mkdir()
    with ShardWriter(folder, [str(k) for k in range(10)]) as writer:
        for record in iter_records(annotated):
            writer.write(Record(record.key, record.image, record.label, {note: record.annotations[note]}))
    if note == "caption":
        assert translated(tmp_path, mover, folder)[3].annotations == {"caption": "the digit 3"}
        return
    with pytest.raises(DataError, match=rf"annotated with \['{note}'\].*moves pixels"):
        translated(tmp_path, mover, folder)
    assert not (tmp_path / "out").exists()


def test_a_guard_of_classes_stands_beside_labels_of_domains(
    tmp_path: Path, ingested: Callable[..., Path], tiny_guard: Path
) -> None:
    """A classifier of ten digits guards three domains; beside labels that are classes, others are refused."""
    domains = ingested(DOMAINS)
    model = trained(tmp_path / "guarded", {**STARGAN, "semantic": 1.0}, domains, guard=tiny_guard)
    assert load_model(model).info.classes == ("rendered", "handwriting", "uci")
    with pytest.raises(DataError, match="it knows the classes"):
        trained(tmp_path / "refused", "supervised", domains, guard=tiny_guard)
