"""A folder of tars: a data set of ours, or any in WebDataset layout."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from adaptgan.data.manifest import NAME
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardReader
from adaptgan.data.sources.base import Corrupt, Keys
from adaptgan.data.sources.files import EXTENSIONS, open_image
from adaptgan.errors import DataError, nearest


class Shards:
    """Records of a folder of .tar files, read in the order of their names and never unpacked to disk.

    A data set of ours is copied with annotations, provenance and paired images, a sealed one without labels. In other
    tars, files that share a name up to the first dot are one record: an image, and perhaps `.json` (its `label`; the
    rest are annotations), `.cls` (a class number or name) or a paired image (`.paired.png`, or another format).

    Args:
        folder: where the tars are.
        classes: class names in the order of their labels; found from the tars when not given.
    """

    def __init__(self, folder: str, classes: list[str] | None = None) -> None:
        self.folder = Path(folder)
        self.classes: tuple[str, ...] = tuple(classes or ())
        self.total: int | None = None

    def records(self, split: str, seed: int) -> Iterator[Record | Corrupt]:
        """All records; tars have no splits, so only `train` is there."""
        if split != "train":
            raise DataError(
                f"{self.folder}: shards have no split {split!r}; point a section of its own to the test shards."
            )
        if not self.folder.is_dir():
            raise DataError(f"{self.folder}: there is no such folder. Set the section's dataset.folder to your shards.")
        if (self.folder / NAME).is_file():
            return self._ours()
        tars = sorted(self.folder.glob("*.tar"))
        if not tars:
            raise DataError(f"{self.folder}: this folder holds no .tar files.")
        found = {label for tar in tars for _, label in _labels(tar)} - {None}
        if found:
            self.classes = self._classes(found)
        elif self.classes:
            raise DataError(
                f"{self.folder}: `classes` is set, but the records have no labels (no .cls, no `label` in .json)."
            )
        return self._theirs(tars)

    def _ours(self) -> Iterator[Record]:
        reader = ShardReader(self.folder)
        if self.classes and self.classes != reader.manifest.classes:
            raise DataError(
                f"{self.folder}: `classes` is {list(self.classes)}, the data set says {list(reader.manifest.classes)}."
            )
        self.classes = () if reader.sealed else reader.manifest.classes
        self.total = reader.manifest.count
        return reader.records()

    def _theirs(self, tars: list[Path]) -> Iterator[Record | Corrupt]:
        keys = Keys()
        for tar in tars:
            for name, files in _samples(tar):
                where = f"{tar.name}:{name}"
                pictures = [extension for extension in files if f".{extension}" in EXTENSIONS]
                if len(pictures) != 1:
                    yield Corrupt(
                        where, "expected one image" + (f", found {', '.join(pictures)}" if pictures else ", found none")
                    )
                    continue
                image = open_image(files[pictures[0]], where)
                if isinstance(image, Corrupt):
                    yield image
                    continue
                paired = _paired(files, where)
                if isinstance(paired, Corrupt):
                    yield paired
                    continue
                content, label = _content(files, where), _label(files, where)
                number = None if label is None else self.classes.index(_name(label, self.classes, where))
                annotations = {key: value for key, value in content.items() if key != "label"}
                yield Record(keys.key(name), image, number, annotations, {"file": where}, paired)

    def _classes(self, found: set[Any]) -> tuple[str, ...]:
        if self.classes:
            return self.classes
        if all(isinstance(label, int) for label in found):
            if min(found) < 0:
                raise DataError(
                    f"{self.folder}: a label is {min(found)}; labels are whole numbers from 0, or class names."
                )
            return tuple(str(number) for number in range(max(found) + 1))
        return tuple(sorted(str(label) for label in found))


def _samples(tar: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Names and files by extension. Member names are only ever names here: nothing is written to disk."""
    current, files = "", dict[str, bytes]()
    try:
        with tarfile.open(tar) as archive:
            for member in archive:
                if not member.isfile():
                    continue
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts:
                    raise DataError(
                        f"{tar}: the member {member.name!r} points outside of the archive; this tar is not safe."
                    )
                stem, _, extension = path.name.partition(".")
                name = (path.parent / stem).as_posix()
                if name != current and files:
                    yield current, files
                    files = {}
                content = archive.extractfile(member)
                assert content is not None
                current, files[extension.lower()] = name, content.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{tar}: this tar file is damaged: {error}.") from None
    if files:
        yield current, files


def _paired(files: dict[str, bytes], where: str) -> np.ndarray | Corrupt | None:
    """The image under `.paired.png` or another format's ending."""
    found = [name for name in files if name.startswith("paired.") and name.removeprefix("paired") in EXTENSIONS]
    if len(found) > 1:
        return Corrupt(where, f"expected one paired image, found {', '.join(found)}")
    return open_image(files[found[0]], f"{where}, its paired image") if found else None


def _labels(tar: Path) -> Iterator[tuple[str, int | str | None]]:
    for name, files in _samples(tar):
        yield name, _label(files, f"{tar.name}:{name}")


def _label(files: dict[str, bytes], where: str) -> int | str | None:
    if "cls" in files:
        text = files["cls"].decode(errors="replace").strip()
        return int(text) if text.lstrip("-").isdecimal() else text
    label = _content(files, where).get("label")
    if label is None or (isinstance(label, int | str) and not isinstance(label, bool)):
        return label
    raise DataError(f"{where}: `label` must be a class number or name; found {label!r}.")


def _content(files: dict[str, bytes], where: str) -> dict[str, Any]:
    try:
        content = json.loads(files.get("json", b"{}"))
    except ValueError as error:
        raise DataError(f"{where}: its .json is damaged ({error}).") from None
    if not isinstance(content, dict):
        raise DataError(f"{where}: its .json must be an object; found {type(content).__name__}.")
    return content


def _name(label: int | str, classes: tuple[str, ...], where: str) -> str:
    if isinstance(label, int) and 0 <= label < len(classes):
        return classes[label]
    if str(label) in classes:
        return str(label)
    raise DataError(f"{where}: the label {label!r} is not one of the classes. {nearest(str(label), classes)}")
