"""What a source of images is: the contract of the `dataset` components."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from adaptgan.data.records import Record
from adaptgan.errors import DataError, nearest


@dataclass(frozen=True)
class Corrupt:
    """An image that could not be read; ingest quarantines it and goes on.

    Attributes:
        name: the file, as a person knows it.
        reason: what is wrong with it.
    """

    name: str
    reason: str


class Source(Protocol):
    """A `dataset` component: options in `__init__`, images from `records`.

    Attributes:
        classes: class names, known once `records` was called; empty when there are no labels.
    """

    classes: tuple[str, ...]

    def records(self, split: str, seed: int) -> Iterator[Record | Corrupt]:
        """The records of a split (`train`, `test`), the same for the same seed.

        A source may set `total` (how many there will be) for the progress display.

        Raises:
            DataError: the input is missing, empty, or has no such split.
        """
        ...


def check_split(split: str, known: tuple[str, ...], what: str) -> None:
    """Raise DataError unless `split` is one of `known`."""
    if split not in known:
        raise DataError(f"{what} has no split {split!r}. {nearest(split, known)}")


def generator(*key: object) -> np.random.Generator:
    """A random generator that depends on `key` alone (Philox, counter-based)."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def stratified(name: str, labels_N: np.ndarray, split: str, test_share: float) -> np.ndarray:
    """Rows of a split, shuffled: a fixed share of each class is `test`, whatever the seed; `name` sets the draw."""
    draw = generator(name, "split")
    chosen = []
    for label in np.unique(labels_N):
        rows = draw.permutation(np.flatnonzero(labels_N == label))
        cut = round(len(rows) * test_share)
        chosen.append(rows[:cut] if split == "test" else rows[cut:])
    return generator(name, split).permutation(np.concatenate(chosen))


class Keys:
    """Makes record keys from file names: safe as a file name, unique, and the same every time."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def key(self, name: str) -> str:
        """A new key close to `name`; a path's slashes become `_`."""
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[-80:] or "image"
        key, number = stem, 2
        while key in self._taken:
            key, number = f"{stem}-{number}", number + 1
        self._taken.add(key)
        return key
