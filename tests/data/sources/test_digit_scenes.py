"""Scenes: annotations measured again by other means, splits that share nothing, and scenes that cannot be."""

from __future__ import annotations

import colorsys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from adaptgan.data.annotations import boxes, keypoints, scaled
from adaptgan.data.masks import decode
from adaptgan.data.records import Record
from adaptgan.data.sources.digit_scenes import DigitScenes
from adaptgan.data.sources.handwriting import Handwriting
from adaptgan.data.sources.photos import tiles
from adaptgan.errors import DataError

SMALL: dict[str, Any] = {"count": 60, "image_size": 48, "height": (0.3, 0.5)}


def draw(split: str = "train", seed: int = 0, **options: Any) -> list[Record]:
    return list(DigitScenes(**{**SMALL, **options}).records(split, seed))


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Record]]:
    return {split: draw(split) for split in ("train", "test")}


def mask_of(record: Record) -> np.ndarray:
    mask_HW, classes = decode(record.annotations["mask"])
    assert classes == ("background", *"0123456789")
    return mask_HW


def parts(record: Record) -> list[tuple[tuple[slice, slice], str]]:
    """Each digit's box as a window, and its name."""
    windows = [
        (slice(round(y), round(y + height)), slice(round(x), round(x + width)))
        for x, y, width, height in boxes(record.annotations)
    ]
    return list(zip(windows, record.annotations["objects"]["categories"], strict=True))


def test_boxes_and_centres_are_the_masks_own(splits: dict[str, list[Record]]) -> None:
    for record in splits["train"]:
        mask_HW, inside = mask_of(record), 0
        for (window, name), (x, y) in zip(parts(record), keypoints(record.annotations), strict=True):
            found = mask_HW[window] > 0
            assert set(np.unique(mask_HW[window])) <= {0, int(name) + 1}
            assert all(found.any(axis)[[0, -1]].all() for axis in (0, 1)), "the box is larger than the digit"
            row, column = ndimage.center_of_mass(found)
            expected = (window[1].start + column + 0.5, window[0].start + row + 0.5)
            assert (x, y) == pytest.approx(expected, abs=1e-3)
            inside += found.sum()
        assert inside == (mask_HW > 0).sum(), "some of the mask is in no box"


def test_labels_count_the_digits(splits: dict[str, list[Record]]) -> None:
    assert DigitScenes().classes == ("1 digit", "2 digits", "3 digits")
    counts = Counter(record.label for record in splits["train"])
    assert set(counts) == {0, 1, 2}
    assert all(len(boxes(record.annotations)) == record.label + 1 for record in splits["train"])  # type: ignore[operator]
    two = draw(count=5, digits=(2, 2))
    assert {record.label for record in two} == {0} and DigitScenes(digits=(2, 2)).classes == ("2 digits",)
    assert {name for record in splits["train"] for _, name in parts(record)} == set("0123456789")


def test_no_two_digits_touch(splits: dict[str, list[Record]]) -> None:
    for record in splits["train"]:
        cover = np.zeros((48, 48), int)
        for (rows, columns), _ in parts(record):
            assert rows.start >= 0 and rows.stop <= 48 and columns.start >= 0 and columns.stop <= 48
            cover[rows, columns] += 1
        assert cover.max() == 1


def test_outside_of_digits_there_is_the_photo(tmp_path: Path) -> None:
    """Of a photo as small as a scene there is one patch, in one of eight turns and six orders of channels."""
    pixels = np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    for record in draw(count=12, image_size=20, digits=(1, 1), height=(0.3, 0.4), photos=str(tmp_path)):
        left, top, width, height = record.provenance["patch"]
        assert (width, height) == (20, 20)
        patch = pixels[top : top + 20, left : left + 20]
        rows, columns = parts(record)[0][0]
        outside = np.ones((20, 20), bool)  # faint edges reach a little beyond the box
        outside[max(0, rows.start - 2) : rows.stop + 2, max(0, columns.start - 2) : columns.stop + 2] = False
        variants = [
            turned[:, :, list(order)]
            for turns in range(4)
            for turned in (np.rot90(patch, turns), np.rot90(patch, turns)[:, ::-1])
            for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
        ]
        assert any(np.array_equal(record.image[outside], one[outside]) for one in variants)


def test_digits_have_their_colour_and_stand_out(splits: dict[str, list[Record]]) -> None:
    far = []
    for record in splits["train"]:
        mask_HW = mask_of(record)
        for (window, _), facts in zip(parts(record), record.provenance["digits"], strict=True):
            inside, image = mask_HW[window] > 0, record.image[window].astype(float)
            colour = np.array(facts["colour"])
            assert np.abs(image[inside] - colour).mean(1).min() < 25  # where the stroke is full
            far.append(np.linalg.norm(image[inside].mean(0) - image[~inside].mean(0)))
    assert np.median(far) > 60 and np.mean(np.array(far) > 25) > 0.9


def test_a_record_depends_on_seed_split_and_number_alone(splits: dict[str, list[Record]]) -> None:
    for one, other in zip(draw(count=10), splits["train"], strict=False):
        assert np.array_equal(one.image, other.image)
        assert (one.key, one.label, one.annotations, one.provenance) == (
            other.key,
            other.label,
            other.annotations,
            other.provenance,
        )
    assert not np.array_equal(draw(count=1, seed=1)[0].image, splits["train"][0].image)
    assert len({record.key for records in splits.values() for record in records}) == 120


def test_splits_share_no_font_no_handwriting_and_no_photo_region(splits: dict[str, list[Record]]) -> None:
    seen: dict[str, dict[str, set[Any]]] = {}
    covered: dict[tuple[str, str], np.ndarray] = {}
    for split, records in splits.items():
        drawn = [facts for record in records for facts in record.provenance["digits"]]
        seen[split] = {name: {facts[name] for facts in drawn if name in facts} for name in ("font", "row")}
        for record in records:
            left, top, width, height = record.provenance["patch"]
            pixels = covered.setdefault((record.provenance["photo"], split), np.zeros((700, 700), bool))
            pixels[top : top + height, left : left + width] = True
    for name in ("font", "row"):
        assert seen["train"][name] and seen["test"][name]
        assert not seen["train"][name] & seen["test"][name]
    assert len(covered) == 6
    for (photo, split), pixels in covered.items():
        assert split == "test" or not (pixels & covered[photo, "test"]).any()


def test_what_draws_the_digits() -> None:
    labels = {record.provenance["row"]: record.label for record in Handwriting().records("train", 0)}
    written = draw(count=20, strokes="handwriting")
    for record in written:
        for (window, name), facts in zip(parts(record), record.provenance["digits"], strict=True):
            assert labels[facts["row"]] == int(name)
            assert window[0].stop - window[0].start <= facts["height"] <= round(0.5 * 48)
    rendered = draw(count=20, strokes="rendered")
    assert all("font" in facts for record in rendered for facts in record.provenance["digits"])


def test_every_class_has_its_hue() -> None:
    for record in draw(colours="class"):
        for (_, name), facts in zip(parts(record), record.provenance["digits"], strict=True):
            hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in facts["colour"]))
            assert (hue * 10 - int(name) + 5) % 10 - 5 == pytest.approx(0, abs=0.1)
            assert saturation > 0.5 and value > 0.5


def test_annotations_move_with_a_resized_scene(splits: dict[str, list[Record]]) -> None:
    record = splits["train"][0]
    moved = scaled(record.annotations, 2, 2)
    large, _ = decode(moved["mask"])
    assert np.array_equal(large, mask_of(record).repeat(2, 0).repeat(2, 1))
    assert boxes(moved) == [[2 * value for value in box] for box in boxes(record.annotations)]
    assert moved["objects"]["categories"] == record.annotations["objects"]["categories"]


def test_tiles_of_both_splits_make_the_photo(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    rebuilt, count = np.zeros_like(pixels), np.zeros(pixels.shape[:2], int)
    for split in ("train", "test"):
        for name, (left, top), tile in tiles(str(tmp_path), split, "test"):
            assert name == "photo.png"
            rebuilt[top : top + len(tile), left : left + tile.shape[1]] = tile
            count[top : top + len(tile), left : left + tile.shape[1]] += 1
    assert np.array_equal(rebuilt, pixels) and (count == 1).all()
    assert len(tiles(str(tmp_path), "test", "test")) == 4


def test_scenes_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="9 digits as high as .* do not fit"):
        draw(count=1, digits=(9, 9), height=(0.6, 0.7))
    with pytest.raises(DataError, match="digits must be"):
        DigitScenes(digits=(3, 1))
    with pytest.raises(DataError, match="height must be"):
        DigitScenes(height=(0.2, 0.9))
    with pytest.raises(DataError, match="no split 'both'"):
        draw("both")
    with pytest.raises(DataError, match="digit_scenes: photos: .* holds no photos"):
        draw(photos=str(tmp_path))
