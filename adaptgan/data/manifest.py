"""The manifest: what a data set folder holds, and where in its tars each record lies."""

from __future__ import annotations

import functools
import hashlib
import json
import operator
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from adaptgan.components import explain
from adaptgan.datainfo import DataInfo
from adaptgan.errors import AdaptganError, DataError
from adaptgan.files import read_json, write_atomic

NAME = "manifest.json"
SCHEMA_VERSION: Literal[1] = 1
KEY = re.compile(r"[A-Za-z0-9_-]{1,90}")
"""A key becomes a file name in tars and exports: nothing that could be a path, and no longer than USTAR holds."""

Entry = tuple[str, int, int, int, int] | tuple[str, int, int, int, int, int, int]
"""key, offset and size of its PNG, of its JSON, and of its paired PNG if it has one; offsets from the start of the tar,
in bytes."""


def check_key(key: str) -> str:
    """The key itself.

    Raises:
        ValueError: it is empty, too long, or holds anything but letters, digits, `_` and `-`.
    """
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise ValueError(f"the key {key!r} is not of 1 to 90 letters, digits, `_` and `-`")
    return key


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class ImageFormat(_Part):
    """The shape that all images of a data set share."""

    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    mode: Literal["L", "RGB"]

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return 1 if self.mode == "L" else 3

    def __str__(self) -> str:
        return f"{self.height}x{self.width} {self.mode}"


class Shard(_Part):
    """One tar file and the byte index of its records."""

    name: Annotated[str, Field(pattern=r"^[0-9]{6,9}\.tar$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]
    records: list[Entry]

    @pydantic.field_validator("records")
    @classmethod
    def _inside(cls, records: list[Entry], info: pydantic.ValidationInfo) -> list[Entry]:
        size = info.data.get("bytes", 0)
        for key, *places in records:
            check_key(key)
            ends = map(operator.add, places[::2], places[1::2])
            if min(places) < 0 or max(ends) > size:
                raise ValueError(f"the index places {key} outside of {info.data.get('name')}")
        return records

    @functools.cached_property
    def index(self) -> str:
        """`records` as the manifest has them, one a line."""
        return ",\n".join(f'   ["{key}", {", ".join(map(str, places))}]' for key, *places in self.records)


class Manifest(_Part):
    """A data set's table of contents.

    Attributes:
        schema_version: of this file.
        count: how many records there are.
        classes: class names; a label k means `classes[k]`.
        image: the shape of all images; null only for an empty data set.
        paired: the shape of all paired images; null where there are none.
        labels: `open`, `sealed` (present, but closed to all but `evaluate` and the oracle) or `none`.
        shards: the tars, in order.
        origin: where the data came from: component, versions, statistics, corrupt inputs. Not part of the digest.
    """

    schema_version: Literal[1] = 1
    count: Annotated[int, Field(ge=0)]
    classes: tuple[str, ...] = ()
    image: ImageFormat | None
    paired: ImageFormat | None = None
    labels: Literal["open", "sealed", "none"]
    shards: list[Shard]
    origin: dict[str, Any] = {}

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Manifest:
        keys = [entry[0] for shard in self.shards for entry in shard.records]
        if len(keys) != self.count:
            raise ValueError(f"count says {self.count}, the index lists {len(keys)} records")
        if len(set(keys)) != len(keys):
            raise ValueError("two records have the same key")
        if len({shard.name for shard in self.shards}) != len(self.shards):
            raise ValueError("two shards have the same name")
        if self.count and self.image is None:
            raise ValueError("there are records, but no image format")
        if any(len(entry) != (7 if self.paired else 5) for shard in self.shards for entry in shard.records):
            raise ValueError("either all records have a paired image and `paired` tells its shape, or none has")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 over the shards' own and the class names: equal digests hold equal images and labels."""
        content = json.dumps([[shard.sha256 for shard in self.shards], list(self.classes)], ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()

    def info(self, folder: Path) -> DataInfo:
        """Image shape and classes for components.

        Raises:
            DataError: the data set is empty.
        """
        if self.image is None:
            raise DataError(f"{folder}: this data set is empty; there are no images to work on.")
        paired = self.paired.channels if self.paired else 0
        return DataInfo(self.image.channels, self.image.height, self.image.width, self.classes, paired=paired)

    def write(self, folder: Path) -> None:
        """Write `manifest.json`, one record a line, so that differences of two manifests can be read."""
        tree = self.model_dump(mode="json", exclude={"shards"} if self.paired else {"shards", "paired"})
        lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in tree.items()]
        parts = []
        for shard in self.shards:
            head = json.dumps(shard.model_dump(mode="json", exclude={"records"}))
            parts.append(f'  {head[:-1]}, "records": [\n{shard.index}\n  ]}}')
        lines.append(' "shards": [\n' + ",\n".join(parts) + "\n ]")
        write_atomic(folder / NAME, "{\n" + ",\n".join(lines) + "\n}\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and check `manifest.json`.

        Raises:
            DataError: the folder or file is missing, damaged, or of another schema version.
        """
        path = Path(folder) / NAME
        if not path.is_file():
            raise DataError(
                f"{folder}: there is no data set here (no {NAME}). "
                "Give a folder that `adaptgan ingest` or `adaptgan synthesize` wrote, or run `dvc repro`."
            )
        try:
            tree = read_json(path)
        except AdaptganError as error:
            raise DataError(str(error)) from None
        version = tree.get("schema_version") if isinstance(tree, dict) else None
        if version != SCHEMA_VERSION:
            raise DataError(
                f"{path}: expected schema_version {SCHEMA_VERSION}, found {version!r}. "
                "It was written by another version of adaptgan: ingest the data set again."
            )
        try:
            return cls.model_validate(tree)
        except pydantic.ValidationError as error:
            raise DataError(
                f"{path}: the manifest is damaged; ingest the data set again.\n{explain(error, '')}"
            ) from None
