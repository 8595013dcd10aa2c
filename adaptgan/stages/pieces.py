"""Encoded records on their way from one process to another: a file for each batch, whole or absent."""

from __future__ import annotations

import json
from collections.abc import Sequence

from adaptgan.data.encoding import Encoded
from adaptgan.data.manifest import ImageFormat

_LENGTH = 8


def packed(records: Sequence[tuple[Encoded, str]]) -> bytes:
    """Records without pairs, and why each is rejected, as the content of a file: an index, then all bytes."""
    index = [
        (record.key, record.label, record.image.model_dump(), len(record.text), len(record.png), reason)
        for record, reason in records
    ]
    head = json.dumps(index).encode()
    parts = [part for record, _ in records for part in (record.text, record.png)]
    return b"".join([len(head).to_bytes(_LENGTH, "little"), head, *parts])


def unpacked(data: bytes) -> list[tuple[Encoded, str]]:
    """What `packed` was given."""
    at = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    records = []
    for key, label, image, text_size, png_size, reason in json.loads(data[_LENGTH:at]):
        text, png = data[at : at + text_size], data[at + text_size : at + text_size + png_size]
        at += text_size + png_size
        records.append((Encoded(key, label, ImageFormat(**image), json.loads(text), text, png), reason))
    return records
