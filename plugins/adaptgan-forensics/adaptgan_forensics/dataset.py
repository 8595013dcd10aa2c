"""Real and generated images as two classes: what a detector learns from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from adaptgan.data.randomness import stream_key
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardReader
from adaptgan.data.sources.base import Keys, check_split, generator
from adaptgan.errors import DataError

CLASSES = REAL, GENERATED = ("real", "generated")
"""In the order of their labels."""

SPLITS = ("train", "validation", "test")


class RealAndGenerated:
    """A data set of real images and those that one generator or several made, labelled `real` and `generated`.

    Of a record its image and its open annotations are kept; what it was labelled is not. Its provenance tells the
    `generator` (null: real), the `folder` and the `record` in it. Which split a record is in is decided by a hash of
    its key, whatever the seed; frames of a sequence (annotation `sequence`) stay together, those of sequences of one
    name in several data sets too, which are told apart by the data set's name before theirs: a video made after a real
    one, which kept its name, stays with it. Whose still image was set in motion is not looked at: keep those people out
    of `real`, or give learning and test folders of their own (`test: 0`, `test: 1`).

    Both classes should have come the same way: what was once a JPEG, or was resized on one side alone, is told apart by
    that. Sizes and modes may differ here; the section's `size` and `mode` make them alike.

    Args:
        real: data set folder of real images; its labels stay closed.
        generated: data set folders by the name of what made them, such as `{dcgan: data/made/dcgan}`.
        test: share of `--split test`: for numbers; 1 where no record of these folders is to be learned from.
        validation: share of `--split validation`: for `adaptgan detect --calibrate`.
        balance: what is made equal by leaving some out: `classes`, as many real images as generated ones, and of each
            generator as many; `sets`, as many real images as of each generator, to hold each against them; `none`.
        noise: standard deviation, in grey levels of 255, of Gaussian noise that every image of either class is given:
            hides what gives an image away by its last bits alone, such as a ground that is not exactly black.
    """

    classes: tuple[str, ...] = CLASSES

    def __init__(
        self,
        real: str,
        generated: dict[str, str],
        test: Annotated[float, Field(ge=0, le=1)] = 0.25,
        validation: Annotated[float, Field(ge=0, lt=1)] = 0.15,
        balance: Literal["classes", "sets", "none"] = "classes",
        noise: Annotated[float, Field(ge=0)] = 0.0,
    ) -> None:
        if not generated or REAL in generated:
            raise DataError(
                "real_and_generated: `generated` names folders of generated images, such as {dcgan: data/made/dcgan}, "
                f"and no generator is called {REAL!r}; found {generated}."
            )
        if test + validation > 1:
            raise DataError(f"real_and_generated: `test` {test} and `validation` {validation} are more than there is.")
        self.folders = {REAL: Path(real)} | {name: Path(folder) for name, folder in generated.items()}
        self.shares = {"test": test, "validation": validation}
        self.balance, self.noise = balance, noise
        self.total: int | None = None

    def records(self, split: str, seed: int) -> Iterator[Record]:
        """The split's records, of each data set in turn while it lasts; the seed decides what balance leaves out.

        Raises:
            DataError: a folder is no data set, or has no record in this split.
        """
        check_split(split, SPLITS, "real_and_generated")
        parts = {name: self._part(name, folder, split, seed) for name, folder in self.folders.items()}
        counts = {name: len(part.order) for name, part in parts.items()}
        if empty := [name for name, count in counts.items() if not count]:
            raise DataError(f"{self.folders[empty[0]]}: none of its records is in the split {split!r}.")
        if self.balance != "none":
            real = len(parts) - 1 if self.balance == "classes" else 1  # times as many as of a generator
            each = min(min(counts.values()), counts[REAL] // real)
            counts = dict.fromkeys(counts, each) | {REAL: each * real}
        self.total = sum(counts.values())
        return self._records({name: (part, counts[name]) for name, part in parts.items()}, seed)

    def _part(self, name: str, folder: Path, split: str, seed: int) -> _Part:
        """A data set's records of a split, at random, those of one sequence beside each other."""
        reader = ShardReader(folder)
        units = [
            str((content.get("annotations") or {}).get("sequence") or entry[0])
            for (_, entry), content in zip(reader.entries, reader.contents(), strict=True)
        ]
        mine = [number for number, unit in enumerate(units) if self._split_of(unit) == split]
        order = sorted(mine, key=lambda number: (stream_key("balance", seed, name, units[number]), number))
        return _Part(reader, order)

    def _split_of(self, unit: str) -> str:
        place = stream_key("real_and_generated", unit) / 2**128
        if place < self.shares["test"]:
            return "test"
        return "validation" if place < sum(self.shares.values()) else "train"

    def _records(self, parts: dict[str, tuple[_Part, int]], seed: int) -> Iterator[Record]:
        keys = Keys()
        flows = {name: part.reader.unpaired(sorted(part.order[:count])) for name, (part, count) in parts.items()}
        while flows:
            for name, flow in list(flows.items()):
                if (record := next(flow, None)) is None:
                    del flows[name]
                    continue
                label = CLASSES.index(REAL if name == REAL else GENERATED)
                annotations = dict(record.annotations)
                if "sequence" in annotations:
                    annotations["sequence"] = f"{name}/{annotations['sequence']}"
                maker, folder = None if name == REAL else name, str(self.folders[name])
                history = {"generator": maker, "folder": folder, "record": record.key}
                image = self._noisy(record.image, seed, name, record.key)
                yield Record(keys.key(f"{name}_{record.key}"), image, label, annotations, history)

    def _noisy(self, image: np.ndarray, *key: object) -> np.ndarray:
        """With noise of its own, that the record's key and the seed decide; 8 bits again."""
        if not self.noise:
            return image
        noise = generator("real_and_generated", "noise", *key).normal(0, self.noise, image.shape)
        return (image + noise).round().clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class _Part:
    """One data set: its reader, and the numbers of a split's records in the order in which they are taken."""

    reader: ShardReader
    order: list[int]
