"""The conformance check of datasets: built-ins pass, each kind of mistake is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from adaptgan.data.records import Record
from adaptgan.data.sources.base import check_split, generator
from adaptgan.testing import check_dataset
from tests.testing.parts import built_in, offered

CONFIGS: dict[str, dict[str, Any]] = {
    "rendered_digits": {"annotate": ["values", "mask"]},
    "handwriting": {"annotate": ["mask"]},
    "uci_digits": {},
    "mnist_m": {},
    "photo_crops": {"image_size": 32},
    "digit_scenes": {"count": 40, "image_size": 48},
    "gaussians": {"count": 50},
    "edges": {"of": {"name": "photo_crops", "image_size": 32}},
    "domains": {"parts": [{"name": "rendered_digits", "count": 9}, "photo_crops"], "names": ["digits", "photos"]},
    "torchvision": {"dataset": "FakeData", "options": {"size": 9, "image_size": [3, 16, 16], "num_classes": 3}},
    "image_folder": {"folder": "{images}"},
    "shards": {"folder": "{shards}"},
}
SECTIONS: dict[str, dict[str, Any]] = {"domains": {"size": [32, 32], "mode": "L"}}


def test_all_built_in_datasets_are_checked() -> None:
    assert set(built_in("dataset")) == set(CONFIGS)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            (top / split / label).mkdir(parents=True)
            for number in range(4):
                cv2.imwrite(str(top / split / label / f"{number}.png"), draw.integers(0, 256, (12, 12), np.uint8))
    return top


@pytest.mark.parametrize("name", CONFIGS)
def test_built_in_datasets_conform(name: str, images: Path, tiny_source: Path) -> None:
    places = {"{images}": str(images), "{shards}": str(tiny_source)}
    options = {
        key: places.get(value, value) if isinstance(value, str) else value for key, value in CONFIGS[name].items()
    }
    splits = ("train",) if name in ("torchvision", "shards") else ("train", "test")
    check_dataset({"name": name, **options}, splits=splits, section=SECTIONS.get(name))


class Good:
    """Noise in two classes."""

    classes: Any = ("even", "odd")
    total: int | None = 30

    def records(self, split: str, seed: int) -> Iterator[Record]:
        """Thirty of them."""
        check_split(split, ("train", "test"), "good")
        return (self.record(split, seed, number) for number in range(30))

    def record(self, split: str, seed: int, number: int) -> Record:
        draw = generator("good", seed, split, number)
        notes = {"boxes": [[1.0, 2.0, 3.0, 4.0]], "keypoints": [[1.0, 1.0, 2]], "sequence": "one", "frame": number}
        return Record(f"r{number}", self.image(draw, number), number % 2, notes, {"seed": seed})

    def image(self, draw: np.random.Generator, number: int) -> np.ndarray:
        return draw.integers(0, 256, (10, 12), dtype=np.uint8)


class Split(Good):
    """Knows every split."""

    def records(self, split: str, seed: int) -> Iterator[Record]:
        return (self.record(split, seed, number) for number in range(30))


class Missing(Good):
    """Another error for a split that is not there."""

    def records(self, split: str, seed: int) -> Iterator[Record]:
        return super().records({"train": "train", "test": "test"}[split], seed)


class Unseeded(Good):
    """Draws from NumPy's global generator."""

    def image(self, draw: np.random.Generator, number: int) -> np.ndarray:
        return np.random.randint(0, 256, (10, 12)).astype(np.uint8)  # noqa: NPY002


class Counting(Good):
    """What comes depends on what came."""

    def __init__(self) -> None:
        self.given = 0

    def image(self, draw: np.random.Generator, number: int) -> np.ndarray:
        self.given += 1
        return super().image(generator(self.given), number)


class Buffer(Good):
    """One array for all images."""

    def __init__(self) -> None:
        self.pixels = np.zeros((10, 12), np.uint8)

    def image(self, draw: np.random.Generator, number: int) -> np.ndarray:
        self.pixels[:] = super().image(draw, number)
        return self.pixels


class Changed(Good):
    """Base of those that change one part of a record."""

    change: Any = None

    def record(self, split: str, seed: int, number: int) -> Record:
        record = super().record(split, seed, number)
        type(self).change(record, number)
        return record


def changes(**parts: Any) -> Any:
    """A change of a record's parts, each a function of its number."""

    def change(record: Record, number: int) -> None:
        for part, value in parts.items():
            setattr(record, part, value(number))

    return staticmethod(change)


class SameKeys(Changed):
    """Two of each key."""

    change = changes(key=lambda number: f"r{number // 2}")


class Paths(Changed):
    """Keys that are paths."""

    change = changes(key=lambda number: f"a/{number}")


class Floats(Changed):
    """Images of another type."""

    change = changes(image=lambda number: np.random.default_rng(number).random((10, 12)))


class Beyond(Changed):
    """Labels beyond the classes."""

    change = changes(label=lambda number: number % 3)


class NumpyLabels(Changed):
    """Labels that JSON does not know."""

    change = changes(label=lambda number: np.int64(number % 2))


class Half(Changed):
    """Some without a label."""

    change = changes(label=lambda number: 1 if number % 2 else None)


class Tuples(Changed):
    """Annotations that JSON changes."""

    change = changes(annotations=lambda number: {"place": (1, 2)})


class Arrays(Changed):
    """Provenance that JSON cannot keep."""

    change = changes(provenance=lambda number: {"place": np.ones(2)})


class Beside(Changed):
    """Boxes outside of the image."""

    change = changes(annotations=lambda number: {"boxes": [[40.0, 2.0, 3.0, 4.0]]})


class Gaps(Changed):
    """Every second frame."""

    change = changes(annotations=lambda number: {"sequence": "one", "frame": 2 * number})


class Unnumbered(Changed):
    """Frames without a number."""

    change = changes(annotations=lambda number: {"sequence": "one"})


class SmallMask(Changed):
    """A mask of another size."""

    change = changes(annotations=lambda number: {"mask": {"size": [1, 2], "classes": ["a", "b"], "counts": [[0, 2]]}})


class Sizes(Good):
    """Images of mixed sizes."""

    def image(self, draw: np.random.Generator, number: int) -> np.ndarray:
        return draw.integers(0, 256, (10 + number, 12), dtype=np.uint8)


class Leaks(Good):
    """Equal images in both splits."""

    def image(self, draw: np.random.Generator, number: int) -> np.ndarray:
        return super().image(generator(number), number)


class Optimist(Good):
    """Fewer than it says."""

    total = 300


class Listed(Good):
    """Classes that are no tuple."""

    classes = ["even", "odd"]  # noqa: RUF012


MISTAKES = {
    Split: "it gives records of a split 'no-such-split'",
    Missing: "a split that it does not have gives a KeyError",
    Unseeded: "read again with the same seed, its records differ",
    Counting: "read again with the same seed, its records differ",
    Buffer: "their arrays share memory",
    SameKeys: "the key is there twice",
    Paths: "is not of 1 to 90 letters, digits, `_` and `-`",
    Floats: "expected a uint8 image",
    Beyond: "label 2 is no whole number below 2",
    NumpyLabels: "is no whole number below 2",
    Half: "some records have a label and some have none",
    Tuples: "annotations come back from JSON as something else",
    Arrays: "provenance cannot be written as JSON",
    Beside: "lies beside the image",
    Gaps: "the sequence 'one' has gaps",
    Unnumbered: "a frame has `sequence`, a text, and `frame`",
    SmallMask: "its mask is (1, 2), the image (10, 12)",
    Sizes: "the ingest stage refuses it: source: images of mixed sizes",
    Leaks: "two splits share an image",
    Optimist: "`total` says 300, and it gives 30",
    Listed: "`classes` must be a tuple of names",
}


@pytest.fixture(autouse=True)
def _offered() -> Iterator[None]:
    with offered("dataset", Good, *MISTAKES):
        yield


def test_a_good_one_passes() -> None:
    assert isinstance(check_dataset("Good", splits=("train", "test"), limit=40), Good)


def test_a_split_that_must_be_there() -> None:
    with pytest.raises(AssertionError, match="it gives no records: good has no split 'valid'"):
        check_dataset("Good", splits=("train", "valid"))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_each_mistake_is_named(mistake: type[Good]) -> None:
    with pytest.raises(AssertionError, match=re.escape(MISTAKES[mistake])):
        check_dataset(mistake.__name__, limit=40)
