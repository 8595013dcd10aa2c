from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import pytest

from adaptgan.data.records import Record
from adaptgan.errors import DataError
from adaptgan.plugins import components
from adaptgan.testing import check_dataset


def records(split: str = "train", seed: int = 0, **options: Any) -> list[Record]:
    config = {"name": "moving_figures", "sequences": 3, "frames": 6, **options}
    return list(components().build("dataset", config).records(split, seed))


@pytest.mark.parametrize("options", [{}, {"kind": "digit", "background": "photo"}, {"kind": "both", "pose": True}])
def test_the_same_seed_gives_the_same_videos_and_any_part_of_them(options: dict[str, Any]) -> None:
    first, again = records(**options), records(**options)
    fewer = records(**options, sequences=2)
    for one, other in [*zip(first, again, strict=True), *zip(first, fewer, strict=False)]:
        assert np.array_equal(one.image, other.image)
        assert (one.key, one.label, one.annotations) == (other.key, other.label, other.annotations)
    for elsewhere in (records("test", **options), records(seed=1, **options)):
        assert not any(np.array_equal(a.image, b.image) for a, b in zip(first, elsewhere, strict=True))
        assert not any(
            a.annotations["keypoints"] == b.annotations["keypoints"] for a, b in zip(first, elsewhere, strict=True)
        )


def test_sequences_have_no_gaps_and_keys_are_unique() -> None:
    found = records()
    assert len({record.key for record in found}) == 18
    videos = {name: [r.annotations["frame"] for r in group] for name, group in groupby(found, _sequence)}
    assert list(videos.values()) == [list(range(6))] * 3


def test_left_joints_lie_in_the_drawn_arm() -> None:
    """The left arm is drawn last: nothing hides its joints."""
    for record in records(image_size=96, background="photo"):
        for joint in (2, 3):
            x, y = record.annotations["keypoints"][joint]
            pixel = record.image[int(y), int(x)].astype(int)
            assert np.abs(pixel - record.provenance["colours"]["left arm"]).max() <= 1, (record.key, joint)


def test_joints_are_on_the_figure() -> None:
    """A joint's pixel has a part's colour, unless the edge of another part runs through it."""
    on = []
    for record in records(image_size=96):
        palette = np.array(list(record.provenance["colours"].values()))
        for x, y in record.annotations["keypoints"]:
            pixel = record.image[int(y), int(x)].astype(int)
            on.append(np.abs(palette - pixel).max(1).min() <= 1)
    assert np.mean(on) > 0.9


def test_a_digit_fills_its_box() -> None:
    for record in records(kind="digit", image_size=96, background="plain"):
        colour = np.array(record.provenance["colours"]["digit"])
        ground = np.array(record.provenance["background"][0])
        share = ((record.image - ground) @ (colour - ground)) / ((colour - ground) @ (colour - ground))
        rows, columns = np.nonzero(share > 0.5)
        corners = np.array(record.annotations["keypoints"][:4])
        seen = np.stack([columns + 0.5, rows + 0.5], 1)
        # In the box's own axes the ink reaches from 0 to 1 along both.
        across, down = corners[1] - corners[0], corners[3] - corners[0]
        for axis in (across, down):
            along = (seen - corners[0]) @ axis / (axis @ axis)
            assert -0.05 < along.min() < 0.1, record.key
            assert 0.9 < along.max() < 1.05, record.key


def test_motion_is_smooth_and_there_is_some() -> None:
    found = records(sequences=4, frames=16)
    for _, group in groupby(found, _sequence):
        joints = np.array([record.annotations["keypoints"] for record in group])
        steps = np.linalg.norm(np.diff(joints, axis=0), axis=-1)
        turns = np.linalg.norm(np.diff(joints, n=2, axis=0), axis=-1)
        assert steps.max() < 0.2 * 64
        assert turns.mean() < 0.6 * steps.mean()
        assert np.ptp(joints, axis=0).max() > 0.1 * 64


def test_identities_are_the_same_people_in_both_splits_and_move_otherwise() -> None:
    train, test = records(identities=2, frames=2), records("test", identities=2, frames=2)
    assert [record.label for record in train] == [0, 0, 1, 1, 0, 0]
    for one, other in zip(train, test, strict=True):
        assert one.provenance == other.provenance
        assert one.annotations["keypoints"] != other.annotations["keypoints"]
    assert train[0].provenance == train[4].provenance != train[2].provenance


def test_a_pose_is_paired_with_its_frame() -> None:
    plain, posed = records(), records(pose=True)
    for frame, pair in zip(plain, posed, strict=True):
        assert pair.paired is not None
        assert np.array_equal(pair.paired, frame.image)
        assert pair.annotations == frame.annotations
        lit = pair.image.max(-1) > 60
        rows, columns = np.nonzero(lit)
        for x, y in pair.annotations["keypoints"]:
            assert np.hypot(columns + 0.5 - x, rows + 0.5 - y).min() < 1.5


def test_pose_noise_moves_the_pose_and_not_the_truth() -> None:
    exact, noisy = records(pose=True), records(pose=True, pose_noise=1.5)
    for one, other in zip(exact, noisy, strict=True):
        assert one.annotations == other.annotations
        assert np.array_equal(one.paired, other.paired)
        assert not np.array_equal(one.image, other.image)


@pytest.mark.parametrize(
    ("options", "classes"),
    [
        ({}, ("figure",)),
        ({"kind": "digit"}, tuple("0123456789")),
        ({"kind": "both"}, ("figure", "digit")),
        ({"identities": 2}, ("identity 0", "identity 1")),
    ],
)
def test_labels_name_what_is_shown(options: dict[str, Any], classes: tuple[str, ...]) -> None:
    source = components().build("dataset", {"name": "moving_figures", "sequences": 4, "frames": 1, **options})
    assert source.classes == classes
    for record in source.records("train", 0):
        if options.get("kind") == "digit":
            assert classes[record.label] == str(record.provenance["digit"])
        elif options.get("kind") == "both":
            assert classes[record.label] == record.provenance["kind"]
        assert 0 <= record.label < len(classes)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(DataError, match="moving_figures has no split 'val'"):
        records("val")


def _sequence(record: Record) -> str:
    return str(record.annotations["sequence"])


@pytest.mark.parametrize(
    "options", [{}, {"kind": "digit", "background": "photo"}, {"identities": 2, "pose": True, "pose_noise": 1.0}]
)
def test_it_conforms(options: dict[str, Any]) -> None:
    check_dataset({"name": "moving_figures", "sequences": 3, "frames": 4, "image_size": 16, **options}, limit=12)
