from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adaptgan.data.annotations import boxes
from adaptgan.data.records import Record
from adaptgan.data.transforms import augment_record, build_transforms, check_transforms_keep_geometry
from adaptgan.errors import DataError, ParamsError

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)


def record() -> Record:
    annotations = {
        "boxes": [[2.0, 3.0, 5.0, 4.0], [10.0, 10.0, 8.0, 6.0]],
        "keypoints": [[4.0, 5.0, 2], [20.0, 12.0, 1]],
        "caption": "two boxes",
    }
    return Record("a", IMAGE, 1, annotations, {"file": "f"})


def test_a_flip_moves_image_boxes_and_keypoints() -> None:
    flip = build_transforms([{"name": "HorizontalFlip", "p": 1.0}])
    after = augment_record(record(), flip, 0)
    np.testing.assert_array_equal(after.image, IMAGE[:, ::-1])
    # x of a box's left edge: width - x - its own width; of a point, which is a pixel's place: width - 1 - x.
    np.testing.assert_allclose(after.annotations["boxes"], [[23, 3, 5, 4], [12, 10, 8, 6]], atol=1e-4)
    np.testing.assert_allclose(after.annotations["keypoints"], [[25, 5, 2], [9, 12, 1]], atol=1e-4)
    assert after.annotations["caption"] == "two boxes" and after.label == 1 and after.provenance == {"file": "f"}
    assert record().annotations["boxes"][0] == [2.0, 3.0, 5.0, 4.0]


def test_a_mark_in_the_image_and_its_keypoint_stay_together() -> None:
    image = np.zeros((40, 40), np.uint8)
    image[11:14, 27:30] = 255
    marked = Record("a", image, 0, {"keypoints": [[28.0, 12.0]]})
    turn = build_transforms([{"name": "Affine", "rotate": [-40, 40], "scale": [0.8, 1.2], "p": 1.0}])
    for seed in range(5):
        after = augment_record(marked, turn, seed)
        rows, columns = np.nonzero(after.image > 100)
        np.testing.assert_allclose(after.annotations["keypoints"][0], [columns.mean(), rows.mean()], atol=0.7)


def test_what_leaves_the_image_keeps_its_place_in_the_list() -> None:
    shift = build_transforms([{"name": "Affine", "translate_px": {"x": 15, "y": 0}, "p": 1.0}])
    after = augment_record(record(), shift, 0)
    assert len(after.annotations["boxes"]) == 2 and len(after.annotations["keypoints"]) == 2
    np.testing.assert_allclose(after.annotations["boxes"][1][:2], [25, 10], atol=1e-3)


def test_the_seed_decides() -> None:
    transforms = build_transforms([{"name": "Affine", "rotate": [-30, 30], "p": 1.0}, {"name": "GaussNoise", "p": 1.0}])
    first = augment_record(record(), transforms, 2**62 + 5)
    augment_record(record(), transforms, 1)
    np.testing.assert_array_equal(augment_record(record(), transforms, 2**62 + 5).image, first.image)
    assert not np.array_equal(augment_record(record(), transforms, 6).image, first.image)


def test_none_without_transforms() -> None:
    assert build_transforms([]) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "HorizontalFlop"}, r"training\.transforms\[0\]\.name: .*'HorizontalFlop'.*'HorizontalFlip'"),
        ({"name": "Compose"}, "no transform 'Compose'"),
        ({"p": 1.0}, "expected `{name:"),
        ({"name": "HorizontalFlip", "q": 1}, r"training\.transforms\[0\]: HorizontalFlip .*q"),
        ({"name": "HorizontalFlip", "p": 7}, r"training\.transforms\[0\]: HorizontalFlip .*p"),
        ({"name": "RandomCrop"}, r"training\.transforms\[0\]: RandomCrop .*height"),
    ],
)
def test_wrong_transforms_are_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=f"(?s){message}"):
        build_transforms([config])


def test_a_change_of_size_is_refused() -> None:
    with pytest.raises(DataError, match="put a Resize last"):
        augment_record(record(), build_transforms([{"name": "Transpose", "p": 1.0}]), 0)


def test_values_and_masks_want_transforms_that_leave_pixels_where_they_are() -> None:
    check_transforms_keep_geometry([])
    check_transforms_keep_geometry([{"name": "GaussNoise"}, {"name": "RandomBrightnessContrast"}])
    with pytest.raises(ParamsError, match=r"training\.transforms\[1\]: Affine may move pixels"):
        check_transforms_keep_geometry([{"name": "GaussNoise"}, {"name": "Affine"}])


def test_transforms_of_tone_alone_leave_boxes_and_warn_of_nothing() -> None:
    transforms = build_transforms([{"name": "RandomBrightnessContrast", "p": 1.0}])
    after = augment_record(record(), transforms, 5)
    np.testing.assert_allclose(boxes(after.annotations), boxes(record().annotations), atol=1e-5)
    assert not np.array_equal(after.image, record().image)


def test_a_pair_is_not_torn_apart() -> None:
    image = np.zeros((8, 8), np.uint8)
    flip = build_transforms([{"name": "HorizontalFlip", "p": 1.0}])
    assert flip is not None
    with pytest.raises(DataError, match="r0 has a paired image"):
        augment_record(Record("r0", image, paired=image), flip, 0)
