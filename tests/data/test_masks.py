from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from adaptgan.data.annotations import scaled
from adaptgan.data.masks import coco, decode, encode, resized
from adaptgan.errors import DataError

NAMES = ("background", "pen", "paper")


def blobs(height: int = 9, width: int = 7, classes: int = 3, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, classes, (height // 2 + 1, width // 2 + 1))
    return coarse.repeat(2, 0).repeat(2, 1)[:height, :width].astype(np.uint8)


def run_lengths(inside: np.ndarray) -> list[int]:
    """COCO's definition, pixel by pixel: down the columns, counts of 0, 1, 0, 1, …"""
    counts, value = [0], False
    for column in range(inside.shape[1]):
        for row in range(inside.shape[0]):
            if bool(inside[row, column]) != value:
                value = not value
                counts.append(0)
            counts[-1] += 1
    return counts


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_cocos_and_come_back(seed: int) -> None:
    mask = blobs(seed=seed)
    encoded = json.loads(json.dumps(encode(mask, NAMES)))
    assert encoded == {
        "size": [9, 7],
        "classes": list(NAMES),
        "counts": [run_lengths(mask == 1), run_lengths(mask == 2)],
    }
    back, names = decode(encoded)
    np.testing.assert_array_equal(back, mask)
    assert names == NAMES and back.dtype == np.uint8 and back.flags.c_contiguous


def test_by_hand() -> None:
    mask = np.array([[1, 0, 0], [1, 0, 1]])
    assert encode(mask, ("no", "yes"))["counts"] == [[0, 2, 3, 1]]
    assert encode(np.zeros((2, 2), int), ("no", "yes"))["counts"] == [[4]]
    assert encode(np.ones((2, 2), bool), ("no", "yes"))["counts"] == [[0, 4]]
    assert encode(np.zeros((2, 2), int), ("no",)) == {"size": [2, 2], "classes": ["no"], "counts": []}


def test_more_classes_than_a_byte_holds() -> None:
    mask = np.array([[0, 299], [1, 256]])
    np.testing.assert_array_equal(decode(encode(mask, [str(number) for number in range(300)]))[0], mask)


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.zeros((2, 2, 1), int), r"\(H, W\); found shape \(2, 2, 1\)"),
        (np.zeros((2, 2)), "float64"),
        (np.full((2, 2), 3), r"values 3\.\.3; 3 classes"),
        (np.full((2, 2), -1), r"values -1\.\.-1"),
    ],
)
def test_what_is_no_mask_is_refused(mask: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=says):
        encode(mask, NAMES)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"counts": [[1, 2], [9]]}, r"2 × 3 = 6; those of 'pen' add up to 3"),
        ({"counts": [[7, -1], [6]]}, "add up"),
        ({"counts": [[6]]}, "3 classes needs 2 lists"),
        ({"counts": [[0, 6], [5, 1]]}, "'paper' lies partly on an earlier one"),
        ({"counts": [["a"], [6]]}, "must be {size"),
        ({"size": [2]}, "must be {size"),
    ],
)
def test_damaged_runs_are_refused(change: dict[str, Any], says: str) -> None:
    good = {"size": [2, 3], "classes": list(NAMES), "counts": [[0, 6], [6]]}
    assert decode(good)[0].all()
    with pytest.raises(DataError, match=says):
        decode(good | change)
    with pytest.raises(DataError, match="must be"):
        decode({"size": [2, 3]})


def test_resizing_takes_the_nearest_pixel() -> None:
    mask = blobs(9, 11)
    for height, width in ((18, 22), (27, 33), (5, 7), (13, 6)):  # sizes where no centre falls between two pixels
        rows = np.floor((np.arange(height) + 0.5) * 9 / height).astype(int)
        columns = np.floor((np.arange(width) + 0.5) * 11 / width).astype(int)
        smaller, names = decode(resized(encode(mask, NAMES), height, width))
        np.testing.assert_array_equal(smaller, mask[rows][:, columns])
        assert names == NAMES


def test_annotations_carry_the_mask_along_and_refuse_values() -> None:
    mask = blobs(8, 12)
    before = {"mask": encode(mask, NAMES), "boxes": [[0, 0, 4, 4]]}
    after = scaled(before, 0.5, 2.0)
    assert after["mask"]["size"] == [16, 6] and after["boxes"] == [[0, 0, 2, 8]]
    assert before["mask"]["size"] == [8, 12]
    with pytest.raises(DataError, match=r"`values` \(slant, thickness\).*Leave `size` out"):
        scaled({"values": {"slant": 1.0, "thickness": 2.0}}, 2.0, 2.0)


def test_coco_shape_of_a_class() -> None:
    mask = np.zeros((6, 8), np.uint8)
    mask[2:5, 3:7] = 2
    mask[2, 3] = 1
    shape = coco(encode(mask, NAMES), 2)
    assert shape["bbox"] == [3, 2, 4, 3] and shape["area"] == 11
    assert shape["segmentation"] == {"size": [6, 8], "counts": run_lengths(mask == 2)}
    assert coco(encode(mask * 0, NAMES), 1) == {}
