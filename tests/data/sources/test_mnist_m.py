from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from adaptgan.data.masks import decode
from adaptgan.data.measures import measured
from adaptgan.data.records import Record
from adaptgan.data.sources.handwriting import Handwriting
from adaptgan.data.sources.mnist_m import MnistM
from adaptgan.errors import DataError


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Record]]:
    return {split: list(MnistM().records(split, 0)) for split in ("train", "test")}


@pytest.fixture(scope="module")
def digits() -> dict[int, Record]:
    return {
        record.provenance["row"]: record for split in ("train", "test") for record in Handwriting().records(split, 0)
    }


def test_split_labels_and_keys_are_handwritings(splits: dict[str, list[Record]], digits: dict[int, Record]) -> None:
    for split, count in (("train", 400), ("test", 100)):
        records = splits[split]
        assert Counter(record.label for record in records) == dict.fromkeys(range(10), count)
        rows = {record.provenance["row"] for record in records}
        assert rows == {record.provenance["row"] for record in Handwriting().records(split, 0)}
        assert all(record.label == digits[record.provenance["row"]].label for record in records)
        assert all(record.image.shape == (32, 32, 3) and record.image.dtype == np.uint8 for record in records)
    assert len({record.key for records in splits.values() for record in records}) == 5000


def test_handwritings_open_labels_do_not_give_these_away(splits: dict[str, list[Record]]) -> None:
    for split, records in splits.items():
        clean = list(Handwriting().records(split, 0))
        by_number = {record.key.rsplit("_")[-1]: record.label for record in clean}
        assert np.mean([by_number[record.key.rsplit("_")[-1]] == record.label for record in records]) < 0.15
        assert np.mean([one.label == other.label for one, other in zip(clean, records, strict=True)]) < 0.15


def test_every_image_is_a_digit_blended_over_its_patch(
    splits: dict[str, list[Record]], digits: dict[int, Record]
) -> None:
    """|patch − digit|: where there is no ink the photo itself, where it is full the photo's negative."""
    photo = load_sample_image("china.jpg")
    seen = 0
    for record in splits["train"]:
        left, top, side, _ = record.provenance["patch"]
        if record.provenance["photo"] != "china.jpg" or side != 32:
            continue  # the others are resized too
        seen += 1
        patch = photo[top : top + 32, left : left + 32].astype(int)
        ink = digits[record.provenance["row"]].image.astype(int)[:, :, None]
        # One of eight turns and six orders of channels must explain every pixel.
        made = [
            np.abs(turned[:, :, list(order)] - ink)
            for turns in range(4)
            for turned in (np.rot90(patch, turns), np.rot90(patch, turns)[:, ::-1])
            for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
        ]
        assert any(np.array_equal(record.image, image) for image in made)
    assert seen > 5


def test_photo_regions_of_train_and_test_never_meet(splits: dict[str, list[Record]]) -> None:
    covered: dict[str, dict[str, np.ndarray]] = {}
    for split, records in splits.items():
        for record in records:
            left, top, side, _ = record.provenance["patch"]
            maps = covered.setdefault(record.provenance["photo"], {})
            pixels = maps.setdefault(split, np.zeros((700, 700), bool))
            pixels[top : top + side, left : left + side] = True
    assert len(covered) == 3
    for maps in covered.values():
        assert not (maps["train"] & maps["test"]).any()
        assert maps["test"].sum() > 0.1 * maps["train"].sum()


def test_photos_are_varied(splits: dict[str, list[Record]]) -> None:
    records = splits["train"]
    assert min(Counter(record.provenance["photo"] for record in records).values()) > 800
    corners = np.stack([record.image[:4, :4].reshape(-1, 3).mean(0) for record in records])  # no ink there
    assert (corners.std(0) > 50).all()
    assert np.mean([record.image[:4].mean() < 15 for record in records]) < 0.1  # black ones would be handwriting again
    assert len({record.image[:3].tobytes() for record in records}) > 3900


def test_the_seed_draws_other_patches_and_nothing_else(splits: dict[str, list[Record]]) -> None:
    again, other = list(MnistM().records("test", 0)), list(MnistM().records("test", 1))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(splits["test"], again, strict=True))
    assert [record.label for record in other] == [record.label for record in again]
    assert [record.provenance["patch"] for record in other] != [record.provenance["patch"] for record in again]


def test_annotations_are_the_clean_digits(digits: dict[int, Record]) -> None:
    for record in list(MnistM(annotate=("values", "mask")).records("test", 0))[:40]:
        clean = digits[record.provenance["row"]].image
        assert record.annotations == measured(clean, ["values", "mask"])
        np.testing.assert_array_equal(decode(record.annotations["mask"])[0] == 1, clean > int(clean.max()) / 2)


def test_your_own_photos_and_size(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(60, 200, (100, 120), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "grey.png")
    records = list(MnistM(image_size=40, photos=str(tmp_path)).records("test", 0))
    assert {record.provenance["photo"] for record in records} == {"grey.png"}
    assert records[0].image.shape == (40, 40, 3)


def test_bad_photos_and_splits(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no photos"):
        MnistM(photos=str(tmp_path)).records("train", 0)
    (tmp_path / "torn.jpg").write_bytes(b"no")
    with pytest.raises(DataError, match=r"torn\.jpg could not be read"):
        MnistM(photos=str(tmp_path)).records("train", 0)
    (tmp_path / "torn.jpg").unlink()
    Image.new("RGB", (60, 60)).save(tmp_path / "tiny.png")
    with pytest.raises(DataError, match="only 60×60"):
        MnistM(photos=str(tmp_path)).records("train", 0)
    with pytest.raises(DataError, match="no split 'valid'"):
        MnistM().records("valid", 0)
