"""The check of an exporter: all of a data set, nothing that is sealed, the same every time."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from adaptgan.data.exports.base import Exporter
from adaptgan.data.masks import encode
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardReader, ShardWriter
from adaptgan.errors import DataError
from adaptgan.plugins import components
from adaptgan.testing.chance import chance
from adaptgan.testing.checks import check_component

N = 7
CLASSES = ("zero", "one, or 一", "two/three")
Read = Callable[[Path], Iterable[Record]]


def check_exporter(config: Any, *, read: Read | None = None) -> Exporter:
    """An exporter keeps its promises: see the messages of the assertions.

    It writes made-up data sets as the `export` command has it do: labelled ones with boxes, keypoints, captions and
    provenance in several scripts, unlabelled ones, and, unless it refuses them with a DataError, paired ones and ones
    with masks. Files go into the given folder and nowhere else; equal data sets give equal files; another image or
    label gives others; the data set is left as it was. It never asks for sealed labels.

    Args:
        config: its name, or `{name: …, option: …}`.
        read: reads a folder that it wrote; then every record must come back with its key, image, label and paired
            image, in any order. Without it, nobody looks into the files.

    Returns:
        The exporter.
    """
    name = config if isinstance(config, str) else config["name"]
    check_component("exporter", name)
    exporter: Exporter = components().build("exporter", config, "exporter")
    assert callable(getattr(exporter, "export", None)), f"{name}: an exporter has a method `export(reader, folder)`"
    with tempfile.TemporaryDirectory() as scratch:
        trial = Trial(config, name, Path(scratch))
        sets = data_sets()
        for what, records in sets.items():
            refusable = what in ("paired", "masks")
            written = trial.export(what, records, refusable)
            if written is None:
                continue
            assert written == trial.export(f"{what} again", records, refusable), (
                f"{name}, {what}: two exports of one data set differ; write no dates, and nothing in random order"
            )
            if read is not None:
                _compare(records, read(trial.folder / f"{what}/out"), f"{name}, {what}")
        plain = sets["labelled"]
        inverted, relabelled = replace(plain[-1], image=255 - plain[-1].image), replace(plain[-1], label=1)
        for what, last in (("image", inverted), ("label", relabelled)):
            assert trial.export("labelled", plain) != trial.export(f"other {what}", [*plain[:-1], last]), (
                f"{name}: a data set with another {what} is written as the same files; all records belong into them"
            )
        trial.export("sealed", plain, labels="sealed")
    return exporter


def data_sets() -> dict[str, list[Record]]:
    """Made-up records by what is special about them."""
    draw = np.random.default_rng(0)
    shapes = (16, 12), (16, 12, 3)
    grey, colour = ([draw.integers(0, 256, shape, dtype=np.uint8) for _ in range(N)] for shape in shapes)
    notes = {
        "objects": {"bbox": [[2.0, 3.0, 4.0, 5.0]], "categories": ["dot"]},
        "keypoints": [[1.5, 2.5], [3.0, 4.0]],
        "caption": 'a "thick" seven, 七 — on grün\nin two lines',
    }
    mask = encode(np.tril(np.ones((16, 12), np.uint8)), ("background", "corner"))
    labelled = [
        Record(f"record-{i}_x", image, i % len(CLASSES), dict(notes), {"file": f"a/{i}.png", "seed": 2**40 + i})
        for i, image in enumerate(grey)
    ]
    return {
        "labelled": labelled,
        "unlabelled": [Record(f"photo_{i}", image) for i, image in enumerate(colour)],
        "paired": [replace(one, paired=image) for one, image in zip(labelled, colour, strict=True)],
        "masks": [replace(one, annotations={"mask": mask}) for one in labelled],
    }


class Trial:
    """Runs one exporter on data sets, each in a folder of its own.

    Args:
        config: the exporter's.
        name: what messages call it.
        folder: where to work.
    """

    def __init__(self, config: Any, name: str, folder: Path) -> None:
        self.config, self.name, self.folder = config, name, folder
        self.runs = 0

    def export(
        self, what: str, records: list[Record], refusable: bool = False, labels: Any = "open"
    ) -> dict[str, str] | None:
        """Digests of the files that it wrote for these records; None where it refuses them."""
        self.runs += 1
        place = self.folder / what
        if place.exists():
            return digests(place / "out")
        data, out = place / "data", place / "out"
        data.mkdir(parents=True)
        out.mkdir()
        classes = CLASSES if records[0].label is not None else ()
        with ShardWriter(data, classes, labels, shard_size=4) as writer:
            for record in records:
                writer.write(record)
        before = digests(data)
        exporter: Exporter = components().build("exporter", self.config, "exporter")
        try:
            with chance(self.runs), _nothing_unsealed(self.name):
                exporter.export(ShardReader(data), out)
        except DataError as error:
            if refusable:
                return None
            raise AssertionError(f"{self.name}: it refuses a data set that is {what}: {error}") from error
        assert digests(data) == before, f"{self.name}: it changes the data set that it reads"
        strays = sorted(path.name for path in place.iterdir() if path not in (data, out))
        assert not strays, f"{self.name}: it writes {strays} outside of the folder that it was given"
        written = digests(out)
        assert written, f"{self.name}: it wrote no file for a data set that is {what}"
        return written


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder, by its path in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@contextmanager
def _nothing_unsealed(name: str) -> Iterator[None]:
    """Fails where a reader is made that opens sealed labels."""
    plain = ShardReader.__init__

    def watched(self: ShardReader, folder: Path, unseal: Any = None) -> None:
        assert unseal is None, f"{name}: it opens sealed labels ({unseal!r}); use the reader that it is given"
        plain(self, folder, unseal)

    with mock.patch.object(ShardReader, "__init__", watched):
        yield


def _compare(records: list[Record], found: Iterable[Record], what: str) -> None:
    theirs = {record.key: record for record in found}
    assert theirs.keys() == {record.key for record in records}, f"{what}: the keys that come back are {sorted(theirs)}"
    for record in records:
        other = theirs[record.key]
        assert np.array_equal(record.image, other.image), f"{what}: the image of {record.key} comes back changed"
        assert record.label == other.label, f"{what}: {record.key} has label {record.label}, read again {other.label}"
        same = record.paired is None or (other.paired is not None and np.array_equal(record.paired, other.paired))
        assert same, f"{what}: the paired image of {record.key} comes back changed"
