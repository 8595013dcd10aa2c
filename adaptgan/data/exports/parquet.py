"""Export as Parquet with Hugging Face's Image struct."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from adaptgan.data.images import encode_png
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardReader


class ParquetExporter:
    """Parquet files with the columns image (bytes and path), label, key, annotations and provenance (JSON text).

    Where there are paired images, they are in a column `paired` of the same kind as `image`.

    `datasets.load_dataset("parquet", …)` shows the images and class names: the schema carries its features.

    Args:
        records_per_file: how many records go into one file.
    """

    def __init__(self, records_per_file: Annotated[int, Field(ge=1)] = 10_000) -> None:
        self.records_per_file = records_per_file

    def export(self, reader: ShardReader, folder: Path) -> None:
        """Write a data set into an existing empty folder."""
        import pyarrow as pa
        from pyarrow import parquet

        schema = _schema(reader.manifest.classes, reader.manifest.paired is not None)
        records = reader.records()
        files = -(-reader.manifest.count // self.records_per_file)
        (folder / "data").mkdir()
        for number in range(files):
            rows = [_row(record) for record in islice(records, self.records_per_file)]
            path = folder / "data" / f"train-{number:05d}-of-{files:05d}.parquet"
            # Small row groups: viewers read single images without the whole file.
            parquet.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=100)


def _row(record: Record) -> dict[str, Any]:
    paired = {} if record.paired is None else {"paired": _picture(record.paired, f"{record.key}.paired.png")}
    return {
        "image": _picture(record.image, f"{record.key}.png"),
        **paired,
        "label": record.label,
        "key": record.key,
        "annotations": json.dumps(record.annotations, ensure_ascii=False, sort_keys=True),
        "provenance": json.dumps(record.provenance, ensure_ascii=False, sort_keys=True),
    }


def _picture(image: np.ndarray, path: str) -> dict[str, Any]:
    return {"bytes": encode_png(image), "path": path}


def _schema(classes: tuple[str, ...], paired: bool) -> Any:
    import pyarrow as pa

    text = {"dtype": "string", "_type": "Value"}
    label = {"names": list(classes), "_type": "ClassLabel"} if classes else {"dtype": "int64", "_type": "Value"}
    picture = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
    images = ("image", "paired") if paired else ("image",)
    features: dict[str, Any] = {name: {"_type": "Image"} for name in images}
    features |= {"label": label, "key": text, "annotations": text, "provenance": text}
    return pa.schema(
        [
            *(pa.field(name, picture) for name in images),
            pa.field("label", pa.int64()),
            pa.field("key", pa.string()),
            pa.field("annotations", pa.string()),
            pa.field("provenance", pa.string()),
        ],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
