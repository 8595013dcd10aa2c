"""Shards: WebDataset-layout tars, written byte for byte the same every time and read by byte index."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

import numpy as np

from adaptgan.data.card import FieldTypes, card
from adaptgan.data.images import decode_png, encode_png, mode_of
from adaptgan.data.manifest import Entry, ImageFormat, Manifest, Shard, check_key
from adaptgan.data.records import Record
from adaptgan.errors import DataError, SealedLabelsError

Unseal = Literal["oracle", "evaluate"]
"""Who asks for sealed labels; nobody else may."""

_BLOCK = tarfile.BLOCKSIZE

_TRUTH = {"values", "mask"}
"""Annotations that are learned: sealed as labels are, in images without a class too."""


class ShardWriter:
    """Write records into a new data set folder; the manifest is written when the `with` block ends well.

    Use it inside `files.staged(out)`, so that a failure leaves no half data set.

    Args:
        folder: an existing empty folder.
        classes: class names; labels index them. Empty for unlabelled data.
        labels: `sealed` closes labels, annotations and provenance to all but `evaluate` and the oracle.
        shard_size: records per tar.
        origin: where the data comes from. It may be changed until the block ends.
        image: the shape images must have; without it the first image sets it.

    Raises:
        DataError: a key is taken, an image is of another shape or mode, a label is out of range or missing, or some
            records have a paired image and others none.
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        labels: Literal["open", "sealed"] = "open",
        shard_size: int = 1000,
        origin: Mapping[str, Any] | None = None,
        image: ImageFormat | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.classes = tuple(classes)
        self.origin: dict[str, Any] = dict(origin or {})
        self.image = image
        self.paired: ImageFormat | None = None
        self.count = 0
        self.manifest: Manifest | None = None
        self._labels = labels
        self._labelled: bool | None = None
        self._sealed = False
        self._first_key = ""
        self._shard_size = shard_size
        self._keys: set[str] = set()
        self._shards: list[Shard] = []
        self._tar: _Tar | None = None
        self._types = FieldTypes()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            if self._tar is not None:
                self._tar.file.close()
            return
        self._close_shard()
        self.manifest = Manifest(
            count=self.count,
            classes=self.classes,
            image=self.image,
            paired=self.paired,
            labels="sealed" if self._sealed else self._labels if self._labelled else "none",
            shards=self._shards,
            origin=self.origin,
        )
        self.manifest.write(self.folder)
        (self.folder / "README.md").write_text(card(self.manifest, self._types), encoding="utf-8")

    def write(self, record: Record) -> None:
        """Append one record."""
        self._check(record)
        content = _content(record)
        if self._labels == "sealed" and (record.label is not None or _TRUTH & record.annotations.keys()):
            content = {"sealed": content}
            self._sealed = True
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
        self._types.see(content)
        if self._tar is None:
            self._tar = _Tar(self.folder / f"{len(self._shards):06d}.tar")
        # Neighbours in the tar and equal but for the extension: what makes them one sample to WebDataset readers.
        at_text = self._tar.add(f"{record.key}.json", text)
        png = encode_png(record.image)
        at_png = self._tar.add(f"{record.key}.png", png)
        if record.paired is None:
            self._tar.records.append((record.key, at_png, len(png), at_text, len(text)))
        else:
            other = encode_png(record.paired)
            at_other = self._tar.add(f"{record.key}.paired.png", other)
            self._tar.records.append((record.key, at_png, len(png), at_text, len(text), at_other, len(other)))
        self._keys.add(record.key)
        self.count += 1
        if len(self._tar.records) == self._shard_size:
            self._close_shard()

    def _check(self, record: Record) -> None:
        try:
            check_key(record.key)
        except ValueError as error:
            raise DataError(f"a record cannot be written: {error}.") from None
        if record.key in self._keys:
            raise DataError(f"two records have the key {record.key!r}; keys must be unique in a data set.")
        found = ImageFormat(height=record.image.shape[0], width=record.image.shape[1], mode=mode_of(record.image))
        if self.image is None:
            self.image = found
        elif found != self.image:
            raise DataError(
                f"all images of a data set must agree: {record.key} is {_words(found)}, "
                f"{self._first_key or 'the data set'} is {_words(self.image)}."
            )
        self._check_pair(record)
        labelled = record.label is not None
        if self._labelled is None:
            self._labelled, self._first_key = labelled, record.key
        elif labelled != self._labelled:
            with_, without = (record.key, self._first_key) if labelled else (self._first_key, record.key)
            raise DataError(f"{with_} has a label and {without} has none; label all records or none.")
        if labelled and not 0 <= record.label < len(self.classes):  # type: ignore[operator]
            raise DataError(f"{record.key}: label {record.label} is not one of the {len(self.classes)} classes.")

    def _check_pair(self, record: Record) -> None:
        other = record.paired
        shape = None
        if other is not None:
            shape = ImageFormat(height=other.shape[0], width=other.shape[1], mode=mode_of(other))
            if other.shape[:2] != record.image.shape[:2]:
                raise DataError(
                    f"{record.key} is {_words(ImageFormat(height=record.image.shape[0], width=record.image.shape[1], mode=mode_of(record.image)))}, its paired image {_words(shape)}; both must have the same height and width."
                )
        if self.count == 0:
            self.paired = shape
        elif shape != self.paired:
            one, all_ = (_words(image) if image else "none" for image in (shape, self.paired))
            raise DataError(f"the paired image of {record.key} is {one}, those before are {all_}; all must be alike.")

    def _close_shard(self) -> None:
        if self._tar is not None:
            self._shards.append(self._tar.close())
            self._tar = None


class _Tar:
    """A USTAR file whose every byte follows from its members: no times, no owners."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("wb")
        self.records: list[Entry] = []
        self._hash = hashlib.sha256()
        self._size = 0

    def add(self, name: str, data: bytes) -> int:
        """Append a file; returns the offset of its first byte."""
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(data), 0o644
        self._put(member.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict"))
        offset = self._size
        self._put(data + b"\0" * (-len(data) % _BLOCK))
        return offset

    def close(self) -> Shard:
        self._put(b"\0" * (2 * _BLOCK))
        self._put(b"\0" * (-self._size % tarfile.RECORDSIZE))
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        return Shard(name=self.path.name, sha256=self._hash.hexdigest(), bytes=self._size, records=self.records)

    def _put(self, data: bytes) -> None:
        self.file.write(data)
        self._hash.update(data)
        self._size += len(data)


class ShardReader:
    """Read records of a data set folder by the manifest's byte index; nothing is ever unpacked to disk.

    Args:
        folder: the data set.
        unseal: who asks, when sealed labels are to be read.
    """

    def __init__(self, folder: Path, unseal: Unseal | None = None) -> None:
        if unseal not in (None, "oracle", "evaluate"):
            raise SealedLabelsError(f"labels can be unsealed for 'oracle' or 'evaluate' only, not for {unseal!r}.")
        self.folder = Path(folder)
        self.unseal = unseal
        self.manifest = Manifest.read(self.folder)
        self.entries: list[tuple[int, Entry]] = [
            (number, entry) for number, shard in enumerate(self.manifest.shards) for entry in shard.records
        ]

    @property
    def sealed(self) -> bool:
        """Whether the labels are there but closed to this reader."""
        return self.manifest.labels == "sealed" and self.unseal is None

    def shard_bytes(self, number: int, verify: bool = True) -> bytes:
        """A whole tar.

        Raises:
            DataError: it is missing or differs from what was written.
        """
        shard = self.manifest.shards[number]
        try:
            data = (self.folder / shard.name).read_bytes()
        except FileNotFoundError:
            raise DataError(f"{self.folder / shard.name}: this shard is missing. {_REPAIR}") from None
        if len(data) != shard.bytes or (verify and hashlib.sha256(data).hexdigest() != shard.sha256):
            raise DataError(f"{self.folder / shard.name}: this shard is damaged (its SHA-256 differs). {_REPAIR}")
        return data

    def record(self, index: int) -> Record:
        """One record, read from its bytes alone. Sealed: no label, annotations or provenance."""
        number, entry = self.entries[index]
        path = self.folder / self.manifest.shards[number].name
        try:
            with path.open("rb") as file:
                return self._record(entry, file)
        except FileNotFoundError:
            raise DataError(f"{path}: this shard is missing. {_REPAIR}") from None

    def records(self, verify: bool = True) -> Iterator[Record]:
        """All records in order, one shard in memory at a time."""
        for number, shard in enumerate(self.manifest.shards):
            file = io.BytesIO(self.shard_bytes(number, verify))
            for entry in shard.records:
                yield self._record(entry, file)

    def contents(self) -> Iterator[dict[str, Any]]:
        """All records' label, annotations and provenance in order, without decoding images."""
        for number, shard in enumerate(self.manifest.shards):
            file = io.BytesIO(self.shard_bytes(number, verify=False))
            for entry in shard.records:
                yield self._content(entry, file)

    def _record(self, entry: Entry, file: IO[bytes]) -> Record:
        key, offset, size = entry[:3]
        file.seek(offset)
        image = decode_png(file.read(size), f"{self.folder}: {key}")
        content = self._content(entry, file)
        label, annotations, provenance = (content.get(name) for name in ("label", "annotations", "provenance"))
        return Record(key, image, label, annotations or {}, provenance or {}, self._paired(entry, file))

    def _paired(self, entry: Entry, file: IO[bytes]) -> np.ndarray | None:
        if len(entry) != 7:
            return None
        file.seek(entry[5])
        return decode_png(file.read(entry[6]), f"{self.folder}: {entry[0]}, its paired image")

    def _content(self, entry: Entry, file: IO[bytes]) -> dict[str, Any]:
        key, _, _, offset, size, *_ = entry
        file.seek(offset)
        try:
            content = json.loads(file.read(size))
        except ValueError as error:
            raise DataError(f"{self.folder}: the JSON of {key} is damaged ({error}). {_REPAIR}") from None
        if not isinstance(content, dict):
            raise DataError(f"{self.folder}: the JSON of {key} is not an object. {_REPAIR}")
        if "sealed" in content:
            return {} if self.unseal is None else content["sealed"]
        return content


_REPAIR = "Run `dvc repro` or ingest the data set again."


def iter_records(folder: Path | str, unseal: Unseal | None = None) -> Iterator[Record]:
    """All records of a data set folder in order; the labels of a sealed one only with `unseal`."""
    return ShardReader(Path(folder), unseal).records()


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


def _words(image: ImageFormat) -> str:
    return f"{image.height}x{image.width} {image.mode}"
