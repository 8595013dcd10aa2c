"""Records as the bytes that a shard holds: made in any thread or process, put into order later."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptgan.data.images import Mode, encode_png, mode_of
from adaptgan.data.manifest import ImageFormat
from adaptgan.data.records import Record

_TRUTH = {"values", "mask"}
"""Annotations that are learned: sealed as labels are, in images without a class too."""

_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True)
class Encoded:
    """A record, ready to be written (`ShardWriter.write_encoded`).

    Attributes:
        key: of the record.
        label: of the record.
        image: its image's shape.
        content: what its JSON says.
        text: that JSON.
        png: its image.
        paired: its paired image's shape; None where there is none.
        paired_png: that image.
    """

    key: str
    label: int | None
    image: ImageFormat
    content: dict[str, Any]
    text: bytes
    png: bytes
    paired: ImageFormat | None = None
    paired_png: bytes = b""

    @property
    def provenance(self) -> dict[str, Any]:
        """Where an open record came from."""
        told: dict[str, Any] = self.content.get("provenance", {})
        return told

    @property
    def sealed(self) -> bool:
        """Whether label, annotations and provenance are closed."""
        return "sealed" in self.content


def encode(record: Record, seal: bool = False) -> Encoded:
    """The bytes of a record, the same for equal records.

    Most of the time goes into PNG, where other threads can run.

    Args:
        record: to be written.
        seal: close what it knows of the truth.

    Raises:
        DataError: an image is not uint8, grey or RGB.
    """
    content = _content(record)
    if seal and (record.label is not None or _TRUTH & record.annotations.keys()):
        content = {"sealed": content}
    paired = record.paired
    return Encoded(
        record.key,
        record.label,
        _format(record.image),
        content,
        _JSON.encode(content).encode(),
        encode_png(record.image),
        None if paired is None else _format(paired),
        b"" if paired is None else encode_png(paired),
    )


def _content(record: Record) -> dict[str, Any]:
    """What goes into a record's JSON; empty parts are left out, as Arrow has no type for an empty struct."""
    content: dict[str, Any] = {}
    if record.label is not None:
        content["label"] = int(record.label)
    if record.annotations:
        content["annotations"] = record.annotations
    if record.provenance:
        content["provenance"] = record.provenance
    return content


def _format(image: np.ndarray) -> ImageFormat:
    return _shared(*image.shape[:2], mode_of(image))


@functools.lru_cache
def _shared(height: int, width: int, mode: Mode) -> ImageFormat:
    return ImageFormat(height=height, width=width, mode=mode)
