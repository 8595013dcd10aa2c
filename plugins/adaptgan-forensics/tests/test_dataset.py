"""Real and generated images as two classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from adaptgan_forensics.dataset import SPLITS, RealAndGenerated
from pictures import generated_images, real_images

from adaptgan.errors import DataError


@pytest.fixture
def sets(write: Callable[..., Path]) -> dict[str, Path]:
    labels = np.arange(80) % 2
    return {
        "real": write("real", real_images(80, 0), labels, seal=True, annotations=lambda i: {"secret": i}),
        "first": write("first", generated_images(40, 1), labels[:40], annotations=lambda i: {"caption": f"no. {i}"}),
        "second": write("second", generated_images(60, 2)),
    }


def source(sets: dict[str, Path], **options: object) -> RealAndGenerated:
    generated = {name: str(sets[name]) for name in ("first", "second")}
    return RealAndGenerated(str(sets["real"]), generated, **options)  # type: ignore[arg-type]


def test_records_say_what_they_are_and_where_they_came_from(sets: dict[str, Path]) -> None:
    found = source(sets, balance="none")
    records = list(found.records("train", 0))
    assert found.classes == ("real", "generated") and found.total == len(records)
    for record in records:
        generator = record.provenance["generator"]
        assert record.label == (generator is not None)
        assert record.provenance["folder"] == str(sets[generator or "real"])
        number = int(record.provenance["record"][-4:])
        images = {None: real_images(80, 0), "first": generated_images(40, 1), "second": generated_images(60, 2)}
        np.testing.assert_array_equal(record.image, images[generator][number])
        assert record.annotations == ({"caption": f"no. {number}"} if generator == "first" else {})
    assert len({record.key for record in records}) == len(records)
    assert len({record.provenance["generator"] for record in records[:3]}) == 3  # in turns: a `limit` has all of them


def test_splits_share_nothing_and_hold_all(sets: dict[str, Path]) -> None:
    splits = {split: {r.key for r in source(sets, balance="none").records(split, 0)} for split in SPLITS}
    assert sum(map(len, splits.values())) == len(set.union(*splits.values())) == 180
    assert 25 < len(splits["test"]) < 65 and 10 < len(splits["validation"]) < 45
    assert splits["test"] == {r.key for r in source(sets, balance="none").records("test", 7)}  # whatever the seed
    with pytest.raises(DataError, match="no split 'held_out'"):
        source(sets).records("held_out", 0)


def test_balance(sets: dict[str, Path]) -> None:
    records = list(source(sets).records("train", 0))
    counts = Counter(record.provenance["generator"] for record in records)
    assert counts["first"] == counts["second"] and counts[None] == 2 * counts["first"]
    other = {record.key for record in source(sets).records("train", 1)}
    assert {record.key for record in records} != other
    even = Counter(record.provenance["generator"] for record in source(sets, balance="sets").records("train", 0))
    assert even["first"] == even["second"] == even[None] >= counts["first"]
    few = RealAndGenerated(str(sets["first"]), {"a": str(sets["real"]), "b": str(sets["second"])})
    counts = Counter(record.provenance["generator"] for record in few.records("train", 0))
    assert counts["a"] == counts["b"] == counts[None] // 2 > 5


def test_noise_is_of_the_same_kind_for_all_and_each_records_own(sets: dict[str, Path]) -> None:
    clean = {r.key: r for r in source(sets, balance="none").records("train", 0)}
    noisy = {r.key: r for r in source(sets, balance="none", noise=5.0).records("train", 0)}
    assert clean.keys() == noisy.keys()
    difference = {key: noisy[key].image.astype(float) - one.image for key, one in clean.items()}
    for label in (0, 1):
        mine = np.stack([difference[key] for key, one in clean.items() if one.label == label])
        assert 4.7 < mine.std() < 5.2 and abs(mine.mean()) < 0.2
    one, other = list(difference)[:2]
    assert not np.array_equal(difference[one], difference[other])
    again = {r.key: r.image for r in source(sets, balance="none", noise=5.0).records("train", 0)}
    assert all(np.array_equal(again[key], record.image) for key, record in noisy.items())


def test_frames_of_a_sequence_stay_together(write: Callable[..., Path]) -> None:
    def frame(i: int) -> dict[str, object]:
        return {"sequence": f"walk{i // 5}", "frame": i % 5}

    real = write("real", real_images(100, 0), annotations=frame)
    made = write("made", generated_images(100, 1), annotations=frame)
    places: dict[str, set[str]] = {}
    for split in SPLITS:
        records = list(RealAndGenerated(str(real), {"gan": str(made)}).records(split, 0))
        frames: dict[str, list[int]] = {}
        for record in records:
            name = record.annotations["sequence"]
            assert name.startswith("gan/" if record.label else "real/")
            frames.setdefault(name, []).append(record.annotations["frame"])
            places.setdefault(name.split("/")[1], set()).add(split)
        assert all(numbers == list(range(len(numbers))) for numbers in frames.values())
    assert all(len(splits) == 1 for splits in places.values())  # the reenacted sequence with its original
    assert len(places) == 20


def test_folders_that_only_test(sets: dict[str, Path]) -> None:
    whole = source(sets, test=1.0, validation=0.0, balance="none")
    assert len(list(whole.records("test", 0))) == 180
    for split in ("train", "validation"):
        with pytest.raises(DataError, match=f"none of its records is in the split '{split}'"):
            whole.records(split, 0)


def test_what_makes_no_sense_is_refused(sets: dict[str, Path], write: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="no generator is called 'real'"):
        RealAndGenerated("x", {"real": "y"})
    with pytest.raises(DataError, match="names folders of generated images"):
        RealAndGenerated("x", {})
    with pytest.raises(DataError, match=r"0.6 and `validation` 0.5 are more than there is"):
        RealAndGenerated("x", {"gan": "y"}, test=0.6, validation=0.5)
    with pytest.raises(DataError, match="none of its records is in the split 'test'"):
        source(sets, test=0.0).records("test", 0)
