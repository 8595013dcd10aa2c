"""`export`: write a data set in another format. Not a pipeline stage: nothing depends on it."""

from __future__ import annotations

from pathlib import Path

from adaptgan.data.exports.base import Exporter
from adaptgan.data.shards import ShardReader
from adaptgan.errors import DataError
from adaptgan.files import staged
from adaptgan.plugins import components


def export(dataset: Path, kind: str, out: Path) -> int:
    """Write `dataset` to the folder `out` with the exporter named `kind`; sealed labels stay out of it.

    Returns:
        How many records were written.

    Raises:
        DataError: there is no data set, or `out` is not empty.
        ParamsError: there is no such exporter.
    """
    exporter: Exporter = components().build("exporter", kind, "--to")
    reader = ShardReader(dataset)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise DataError(f"{out}: this is there already and not empty; choose another folder, or remove it first.")
    with staged(out) as folder:
        exporter.export(reader, folder)
    return reader.manifest.count
