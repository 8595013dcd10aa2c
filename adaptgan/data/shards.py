"""Shards: WebDataset-layout tars, written byte for byte the same every time and read by byte index."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

import numpy as np

from adaptgan.data.card import FieldTypes, card
from adaptgan.data.encoding import Encoded, encode
from adaptgan.data.images import decode_png, hwc
from adaptgan.data.manifest import Entry, ImageFormat, Manifest, Shard, check_key
from adaptgan.data.records import Record
from adaptgan.data.tar import LONGEST_NAME, TarWriter
from adaptgan.errors import DataError, SealedLabelsError

Unseal = Literal["oracle", "evaluate"]
"""Who asks for sealed labels; nobody else may."""

_LONGEST_OF_PAIR = LONGEST_NAME - len(".paired.png")
"""A key that also names a paired image may have so many characters."""


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
        self._tar: TarWriter | None = None
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
        self.write_encoded(encode(record, seal=self._labels == "sealed"))

    def write_encoded(self, record: Encoded) -> None:
        """Append one record that was encoded elsewhere; the bytes are those of `write`."""
        self._check(record)
        self._sealed |= record.sealed
        self._types.see(record.content)
        if self._tar is None:
            self._tar = TarWriter(self.folder / f"{len(self._shards):06d}.tar")
        # Neighbours in the tar and equal but for the extension: what makes them one sample to WebDataset readers.
        at_text = self._tar.add(f"{record.key}.json", record.text)
        at_png = self._tar.add(f"{record.key}.png", record.png)
        entry = (record.key, at_png, len(record.png), at_text, len(record.text))
        if record.paired is None:
            self._tar.records.append(entry)
        else:
            at_other = self._tar.add(f"{record.key}.paired.png", record.paired_png)
            self._tar.records.append((*entry, at_other, len(record.paired_png)))
        self._keys.add(record.key)
        self.count += 1
        if len(self._tar.records) == self._shard_size:
            self._close_shard()

    def _check(self, record: Encoded) -> None:
        try:
            check_key(record.key)
        except ValueError as error:
            raise DataError(f"a record cannot be written: {error}.") from None
        if record.key in self._keys:
            raise DataError(f"two records have the key {record.key!r}; keys must be unique in a data set.")
        found = record.image
        if self.image is None:
            self.image = found
        elif found is not self.image and found != self.image:
            raise DataError(
                f"all images of a data set must agree: {record.key} is {found}, "
                f"{self._first_key or 'the data set'} is {self.image}."
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

    def _check_pair(self, record: Encoded) -> None:
        shape = record.paired
        if shape and len(record.key) > _LONGEST_OF_PAIR:
            raise DataError(
                f"the key {record.key!r} is longer than the {_LONGEST_OF_PAIR} characters that a tar has room for "
                "beside `.paired.png`."
            )
        if shape and (shape.height, shape.width) != (record.image.height, record.image.width):
            raise DataError(
                f"{record.key} is {record.image}, its paired image {shape}; both must have the same height and width."
            )
        if self.count == 0:
            self.paired = shape
        elif shape != self.paired:
            one, others = (image or "none" for image in (shape, self.paired))
            raise DataError(
                f"the paired image of {record.key} is {one}, that of {self._first_key} is {others}; all must be alike, "
                "or none be there."
            )

    def _close_shard(self) -> None:
        if self._tar is not None:
            self._shards.append(self._tar.close())
            self._tar = None


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

    def unpaired(self, indices: Iterable[int], images_NCHW: np.ndarray | None = None) -> Iterator[Record]:
        """The records with these rising indices, without their paired images; one shard in memory at a time.

        Args:
            indices: of records.
            images_NCHW: all images, where they are decoded already.
        """
        opened = -1
        file = io.BytesIO()
        for index in indices:
            number, entry = self.entries[index]
            if number != opened:
                opened, file = number, io.BytesIO(self.shard_bytes(number))
            image = self._image(entry, file) if images_NCHW is None else hwc(images_NCHW[index])
            yield _made(entry[0], image, self._content(entry, file))

    def images(self, paired: bool = False) -> Iterator[tuple[str, np.ndarray]]:
        """Keys and images in order, or keys and paired images, with nothing else read."""
        for number, shard in enumerate(self.manifest.shards):
            file = io.BytesIO(self.shard_bytes(number))
            for entry in shard.records:
                image = self._paired(entry, file) if paired else self._image(entry, file)
                if image is not None:
                    yield entry[0], image

    def contents(self) -> Iterator[dict[str, Any]]:
        """All records' label, annotations and provenance in order, without decoding images."""
        for number, shard in enumerate(self.manifest.shards):
            file = io.BytesIO(self.shard_bytes(number, verify=False))
            for entry in shard.records:
                yield self._content(entry, file)

    def _record(self, entry: Entry, file: IO[bytes]) -> Record:
        record = _made(entry[0], self._image(entry, file), self._content(entry, file))
        record.paired = self._paired(entry, file)
        return record

    def _image(self, entry: Entry, file: IO[bytes]) -> np.ndarray:
        file.seek(entry[1])
        return decode_png(file.read(entry[2]), f"{self.folder}: {entry[0]}")

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


def _made(key: str, image: np.ndarray, content: Mapping[str, Any]) -> Record:
    label, annotations, provenance = (content.get(name) for name in ("label", "annotations", "provenance"))
    return Record(key, image, label, annotations or {}, provenance or {})
