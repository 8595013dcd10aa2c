"""What exporters share: the records they write, and the contract of the `exporter` components."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from adaptgan.data.records import Record
from adaptgan.data.shards import ShardReader


class Exporter(Protocol):
    """An `exporter` component: options in `__init__`, files from `export`."""

    def export(self, reader: ShardReader, folder: Path) -> None:
        """Write a data set into an existing empty folder."""
        ...


def class_name(record: Record, classes: tuple[str, ...]) -> str | None:
    """The name of a record's class, or None when it has no label."""
    return None if record.label is None else classes[record.label]


def notes(record: Record) -> dict[str, Any]:
    """A record's annotations and, under `provenance`, its history; empty parts are left out."""
    return {**record.annotations, **({"provenance": record.provenance} if record.provenance else {})}
