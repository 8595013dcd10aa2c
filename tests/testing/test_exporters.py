"""The conformance check of exporters: built-ins pass, each kind of mistake is named."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from adaptgan.data.images import decode_png
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardReader
from adaptgan.data.sources.folder import ImageFolder
from adaptgan.errors import DataError
from adaptgan.testing import check_exporter
from adaptgan.testing.exporters import CLASSES, Read
from tests.testing.parts import built_in, offered


def from_folder(folder: Path) -> Iterator[Record]:
    source = ImageFolder(str(folder))
    for record in source.records("train", 0):
        assert isinstance(record, Record)
        label = None if record.label is None else CLASSES.index(source.classes[record.label])
        yield Record(Path(record.provenance["file"]).stem, record.image, label, paired=record.paired)


def from_parquet(folder: Path) -> Iterator[Record]:
    for path in folder.rglob("*.parquet"):
        for row in parquet.read_table(path).to_pylist():
            paired = decode_png(row["paired"]["bytes"]) if "paired" in row else None
            yield Record(row["key"], decode_png(row["image"]["bytes"]), row["label"], paired=paired)


READERS: dict[str, Read | None] = {"image_folder": from_folder, "parquet": from_parquet, "coco": None}
"""Categories of COCO are of its boxes, and need not tell an image's label; tests/data/exports reads them."""


def test_all_built_in_exporters_are_checked() -> None:
    assert set(built_in("exporter")) == set(READERS)


@pytest.mark.parametrize("name", READERS)
def test_built_in_exporters_conform(name: str) -> None:
    check_exporter(name, read=READERS[name])


class Lines:
    """One line of JSON for each record, and its pixels."""

    def export(self, reader: ShardReader, folder: Path) -> None:
        (folder / "all.jsonl").write_text("".join(self.line(record) + "\n" for record in reader.records()))

    def line(self, record: Record) -> str:
        return json.dumps([record.key, record.label, record.annotations, record.image.tolist()])


class Picky(Lines):
    """Refuses pairs."""

    def export(self, reader: ShardReader, folder: Path) -> None:
        if reader.manifest.paired:
            raise DataError("no pairs")
        super().export(reader, folder)


class Refuses(Lines):
    """Refuses what has no labels."""

    def export(self, reader: ShardReader, folder: Path) -> None:
        if not reader.manifest.classes:
            raise DataError("no labels")
        super().export(reader, folder)


class Dated(Lines):
    """Never the same twice."""

    def export(self, reader: ShardReader, folder: Path) -> None:
        super().export(reader, folder)
        (folder / "when").write_text(secrets.token_hex())


class Outside(Lines):
    """Writes beside the folder."""

    def export(self, reader: ShardReader, folder: Path) -> None:
        super().export(reader, folder.parent)


class Nothing(Lines):
    """Writes nothing."""

    def export(self, reader: ShardReader, folder: Path) -> None:
        pass


class Cleans(Lines):
    """Takes the data set away."""

    def export(self, reader: ShardReader, folder: Path) -> None:
        super().export(reader, folder)
        (reader.folder / "README.md").unlink()


class Peeks(Lines):
    """Opens sealed labels."""

    def export(self, reader: ShardReader, folder: Path) -> None:
        super().export(ShardReader(reader.folder, unseal="evaluate"), folder)


class KeysAlone(Lines):
    """Leaves the images out."""

    def line(self, record: Record) -> str:
        return json.dumps([record.key, record.label])


class NoLabels(Lines):
    """Leaves the labels out."""

    def line(self, record: Record) -> str:
        return json.dumps([record.key, record.image.tolist()])


MISTAKES = {
    Refuses: "it refuses a data set that is unlabelled: no labels",
    Dated: "two exports of one data set differ",
    Outside: "it writes ['all.jsonl'] outside of the folder",
    Nothing: "it wrote no file for a data set that is labelled",
    Cleans: "it changes the data set that it reads",
    Peeks: "it opens sealed labels ('evaluate')",
    KeysAlone: "a data set with another image is written as the same files",
    NoLabels: "a data set with another label is written as the same files",
}


@pytest.fixture(autouse=True)
def _offered() -> Iterator[None]:
    with offered("exporter", Lines, Picky, *MISTAKES):
        yield


@pytest.mark.parametrize("name", ["Lines", "Picky"])
def test_a_good_one_passes(name: str) -> None:
    check_exporter(name)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_each_mistake_is_named(mistake: type[Lines]) -> None:
    with pytest.raises(AssertionError, match=re.escape(MISTAKES[mistake])):
        check_exporter(mistake.__name__)


def read_back(change: str) -> Read:
    """A reader that gets one part wrong."""

    def read(folder: Path) -> Iterator[Record]:
        for line in (folder / "all.jsonl").read_text().splitlines():
            key, label, _, pixels = json.loads(line)
            image = np.asarray(pixels, np.uint8)
            if not (change == "key" and key.startswith("record-3")):
                yield Record(key, 255 - image if change == "image" else image, 0 if change == "label" else label)

    return read


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("key", "the keys that come back are"),
        ("image", "the image of record-0_x comes back changed"),
        ("label", "record-1_x has label 1, read again 0"),
        ("pair", "paired: the paired image of record-0_x comes back changed"),
    ],
)
def test_what_does_not_come_back_is_named(change: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_exporter("Lines", read=read_back(change))
