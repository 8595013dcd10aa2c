"""`synthesize` from label maps: every record keeps all that is said of it, and gets another image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.records import Record
from adaptgan.data.shards import iter_records
from adaptgan.errors import AdaptganError, DataError
from adaptgan.params import load
from adaptgan.stages.synthesize import synthesize
from adaptgan.stages.train import train
from tests.conftest import write_params

SCENES: dict[str, Any] = {"name": "digit_scenes", "count": 24, "image_size": 32, "digits": [1, 2], "height": [0.3, 0.5]}
TINY: dict[str, Any] = {
    "name": "spade",
    "generator": {"name": "spade_generator", "channels": 4, "widest": 2, "hidden": 8, "noise": 4},
    "discriminator": {"name": "patchgan_discriminator", "channels": 4, "depth": 1, "conditional": True},
}
SHORT = {"steps": 3, "batch_size": 8, "precision": "32-true", "device": "cpu", "validation": 0}


@pytest.fixture
def scenes(ingested: Callable[..., Path]) -> Path:
    return ingested({"dataset": SCENES})


def train_on(source: Path, folder: Path, method: Any = TINY, guard: Path | None = None) -> Path:
    params = load(
        write_params(folder / "train.yaml", maps={"learns": "segmentation", "method": method, "training": SHORT})
    )
    train(params, "maps", source=source, out=folder / "model", log=folder / "log", guard=guard)
    return folder / "model"


def make(folder: Path, model: Path, source: Path, **section: Any) -> list[Record]:
    params = load(
        write_params(folder / "made.yaml", made={"gate": [], "precision": "32-true", "device": "cpu", **section})
    )
    synthesize(params, "made", model=model, source=source, out=folder / "made")
    return list(iter_records(folder / "made"))


def test_all_that_is_said_of_a_scene_is_kept(scenes: Path, tmp_path: Path) -> None:
    model = train_on(scenes, tmp_path)
    before, after = list(iter_records(scenes)), make(tmp_path, model, scenes)
    assert len(before) == len(after) == 24
    for one, other in zip(before, after, strict=True):
        assert (one.key, one.label, one.annotations) == (other.key, other.label, other.annotations)
        assert {"mask", "objects", "keypoints"} == set(other.annotations)
        assert other.image.shape == one.image.shape and not np.array_equal(other.image, one.image)
        assert other.provenance["source_key"] == one.key and other.provenance["digits"] == one.provenance["digits"]
    old, new = ShardDataset(scenes), ShardDataset(tmp_path / "made")
    assert np.array_equal(old.targets("segmentation"), new.targets("segmentation"))
    assert old.info_for("segmentation") == new.info_for("segmentation")


def test_batches_do_not_matter_and_images_of_the_source_neither(
    scenes: Path, ingested: Callable[..., Path], tmp_path: Path
) -> None:
    model = train_on(scenes, tmp_path)
    whole, small = make(tmp_path, model, scenes), make(tmp_path, model, scenes, batch_size=5)
    apart = [np.abs(a.image.astype(int) - b.image.astype(int)).max() for a, b in zip(whole, small, strict=True)]
    assert max(apart) <= 1
    # The same maps on images of another look: what is made depends on the maps and keys alone.
    grey = ingested({"dataset": SCENES, "mode": "L"})
    assert ShardDataset(grey).info.channels == 1
    again = make(tmp_path, model, grey)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(whole, again, strict=True))


def test_maps_of_other_classes_are_refused(scenes: Path, ingested: Callable[..., Path], tmp_path: Path) -> None:
    model = train_on(scenes, tmp_path)
    other = ingested({"dataset": {"name": "handwriting", "annotate": ["mask"]}, "limit": 8})
    with pytest.raises(DataError, match="masks of background, digit, the translator was trained on background, 0"):
        make(tmp_path, model, other)
    bare = ingested({"dataset": "handwriting", "limit": 8})
    with pytest.raises(AdaptganError, match="mask"):
        make(tmp_path, model, bare)


def test_a_segmenter_may_be_the_guard(scenes: Path, tmp_path: Path) -> None:
    """Its classes are the pixels', not the scenes'."""
    (tmp_path / "guard").mkdir()
    reader = {"name": "supervised", "classifier": {"name": "conv_segmenter", "widths": [4, 8]}, "augmentation": "none"}
    guard = train_on(scenes, tmp_path / "guard", reader)
    assert train_on(scenes, tmp_path, {**TINY, "semantic": 0.5}, guard).is_dir()
