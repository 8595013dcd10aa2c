"""Photo crops: what they say of where they come from is true, and no test crop touches a training one."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from adaptgan.data.records import Record
from adaptgan.data.sources.photo_crops import PhotoCrops
from adaptgan.errors import DataError


def crops(split: str, seed: int = 0, **options: object) -> list[Record]:
    source = PhotoCrops(**{"image_size": 48, "count": 60, **options})  # type: ignore[arg-type]
    found = list(source.records(split, seed))
    assert source.total == len(found)
    return [record for record in found if isinstance(record, Record)]


def photo(name: str) -> np.ndarray:
    folder = Path(str(importlib.resources.files("sklearn"))) / "datasets/images"
    if not (folder / name).is_file():
        folder = Path(str(importlib.resources.files("matplotlib"))) / "mpl-data/sample_data"
    return np.asarray(Image.open(folder / name).convert("RGB"))


def test_crops_are_where_they_say() -> None:
    found = crops("train")
    for record in found[:20]:
        left, top, side, _ = record.provenance["patch"]
        assert side >= 48
        cut = photo(record.provenance["photo"])[top : top + side, left : left + side]
        cut = cv2.resize(cut, (48, 48), interpolation=cv2.INTER_AREA) if side > 48 else cut
        # However it was turned, mirrored and recoloured, each channel has the same values.
        ours, theirs = (np.sort(np.sort(image.reshape(-1, 3), 0).sum(0)) for image in (record.image, cut))
        np.testing.assert_array_equal(ours, theirs)
    assert {record.provenance["photo"] for record in found} == {"china.jpg", "flower.jpg", "grace_hopper.jpg"}
    assert record.label is None and found[0].image.shape == (48, 48, 3)


def test_the_splits_regions_never_meet() -> None:
    covered = {}
    for split in ("train", "test"):
        covered[split] = {name: np.zeros(photo(name).shape[:2], bool) for name in ("china.jpg", "flower.jpg")}
        for record in crops(split, count=400):
            left, top, side, _ = record.provenance["patch"]
            if record.provenance["photo"] in covered[split]:
                covered[split][record.provenance["photo"]][top : top + side, left : left + side] = True
    for name, area in covered["train"].items():
        assert not (area & covered["test"][name]).any()
        assert area.mean() > 0.6 and 0.1 < covered["test"][name].mean() < 0.25


def test_splits_and_seeds() -> None:
    train, test, other = crops("train"), crops("test"), crops("train", seed=1)
    assert (len(train), len(test)) == (60, 15)
    assert not {record.key for record in train} & {record.key for record in test}
    assert all(np.array_equal(a.image, b.image) for a, b in zip(train, crops("train"), strict=True))
    assert not np.array_equal(train[0].image, other[0].image)
    with pytest.raises(DataError, match="no split 'val'"):
        crops("val")


def test_flat_crops_are_drawn_again() -> None:
    plain, chosen = (
        np.array([record.image.std((0, 1)).mean() for record in crops("train", count=200, detail=detail)])
        for detail in (0.0, 15.0)
    )
    assert (plain < 15).mean() > 0.2
    assert (chosen < 15).mean() < 0.02
    kept = plain >= 15
    np.testing.assert_array_equal(chosen[kept], plain[kept])  # the others are as they were


def test_photos_of_ones_own(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 250, 3), np.uint8)).save(tmp_path / "noise.png")
    found = crops("train", photos=str(tmp_path), image_size=50)
    assert {record.provenance["photo"] for record in found} == {"noise.png"}
    with pytest.raises(DataError, match=r"image_size 51 .* noise\.png has in one tile, 50 pixels"):
        crops("train", photos=str(tmp_path), image_size=51)
    assert crops("test", image_size=102)[0].image.shape == (102, 102, 3)
    with pytest.raises(DataError, match="102 pixels"):
        crops("test", image_size=103)
