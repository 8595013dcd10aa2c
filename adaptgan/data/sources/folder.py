"""A folder of images: class subfolders, flat and unlabelled, or with Hugging Face's metadata.jsonl."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from adaptgan.data.records import Record
from adaptgan.data.sources.base import Corrupt, Keys
from adaptgan.data.sources.files import EXTENSIONS, open_image
from adaptgan.data.sources.partners import Direction, halves, partners
from adaptgan.errors import DataError, nearest

METADATA = "metadata.jsonl"
PAIRED = "paired_file_name"
"""The field of metadata.jsonl that names the paired image; `datasets` shows it as an image column `paired`."""

_RESERVED = ("file_name", PAIRED, "label", "provenance")
_SPLITS = {"train": ("train", "training"), "test": ("test", "testing"), "validation": ("validation", "valid", "val")}


@dataclass(frozen=True)
class _Item:
    name: str  # relative to the folder
    label: str | None
    paired: str | None = None  # relative to the folder
    annotations: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


class ImageFolder:
    """Images of a folder: `CLASS/any.png` labelled, or all in one place unlabelled, or listed in metadata.jsonl.

    metadata.jsonl has one JSON object a line: `file_name`, perhaps `label`, and any further annotations, which are
    kept with the record. When the folder is divided into `train` and `test`, the split chooses; else all is `train`.

    Images may come in pairs, for translators that learn from examples: in a second folder, as halves of one file, or
    under `paired_file_name` in metadata.jsonl.

    Args:
        folder: where the images are.
        classes: class names in the order of their labels; found from the folder when not given.
        paired: a second folder, with the same names in the same subfolders: what is to be made of each image. Others
            that lie there are left alone.
        side_by_side: each file holds two images of one size beside each other, A|B, as pix2pix's data sets do.
        direction: of `side_by_side`: `AtoB` to learn to make the right half of the left one, `BtoA` the left of the
            right.
    """

    def __init__(
        self,
        folder: str,
        classes: list[str] | None = None,
        paired: str | None = None,
        side_by_side: bool = False,
        direction: Direction = "AtoB",
    ) -> None:
        self.folder = Path(folder)
        self.paired = Path(paired) if paired is not None else None
        self.side_by_side, self.direction = side_by_side, direction
        self.classes: tuple[str, ...] = tuple(classes or ())
        self._given = classes is not None
        self.total: int | None = None
        if len(set(self.classes)) != len(self.classes):
            raise DataError(f"image_folder: `classes` names one class twice: {list(self.classes)}.")
        if side_by_side and paired is not None:
            raise DataError("image_folder: a pair is in a second folder (`paired`) or in one file (`side_by_side`).")
        if direction != "AtoB" and not side_by_side:
            raise DataError(
                "image_folder: `direction` is for images that lie `side_by_side`. Exchange `folder` and `paired`."
            )

    def records(self, split: str, seed: int) -> Iterator[Record | Corrupt]:
        """All images in the order of their names."""
        root = _root(self.folder, split)
        items = _listed(root) if (root / METADATA).is_file() else _found(root)
        if not items:
            raise DataError(f"{root}: this folder holds no images ({', '.join(EXTENSIONS)}).")
        self.classes = self._classes(root, items)
        self.total = len(items)
        return self._records(root, items, self._partners(root, items, split))

    def _partners(self, root: Path, items: list[_Item], split: str) -> dict[str, Path]:
        """The files of the paired images, by the images' names; empty when they have none of their own."""
        listed = {item.name: root / item.paired for item in items if item.paired is not None}
        if listed and (self.paired is not None or self.side_by_side):
            raise DataError(f"{root / METADATA} names the paired images; leave `paired` and `side_by_side` out.")
        if listed and len(listed) < len(items):
            bare = next(item.name for item in items if item.paired is None)
            raise DataError(f"{root / METADATA}: {bare} has no `paired_file_name`, others do; pair all or none.")
        if self.paired is None:
            return listed
        return partners(_root(self.paired, split), [item.name for item in items])

    def _records(self, root: Path, items: list[_Item], pairs: dict[str, Path]) -> Iterator[Record | Corrupt]:
        numbers = {name: number for number, name in enumerate(self.classes)}
        keys = Keys()
        for item in items:
            key = keys.key(str(PurePosixPath(item.name).with_suffix("")))
            image = open_image(root / item.name, item.name)
            if isinstance(image, Corrupt):
                yield image
                continue
            paired: np.ndarray | Corrupt | None = None
            if self.side_by_side:
                image, paired = halves(image, item.name, self.direction)
            elif item.name in pairs:
                paired = open_image(pairs[item.name], str(pairs[item.name]))
            if isinstance(paired, Corrupt):
                yield paired
                continue
            label = None if item.label is None else numbers[item.label]
            yield Record(key, image, label, item.annotations, {"file": item.name, **item.provenance}, paired)

    def _classes(self, root: Path, items: list[_Item]) -> tuple[str, ...]:
        labelled = [item for item in items if item.label is not None]
        if not labelled:
            if self._given:
                raise DataError(f"{root}: `classes` is set, but the images have no labels (no class subfolders).")
            return ()
        if len(labelled) < len(items):
            bare = next(item for item in items if item.label is None)
            raise DataError(f"{root}: {bare.name} has no label, {labelled[0].name} has; label all images or none.")
        found = {item.label for item in items if item.label is not None}
        if not self._given:
            return tuple(sorted(found, key=_in_order))
        if unknown := sorted(found.difference(self.classes)):
            raise DataError(
                f"{root}: the class {unknown[0]!r} is not one of `classes`. {nearest(unknown[0], self.classes)}"
            )
        return self.classes


def _root(folder: Path, split: str) -> Path:
    """Where a split's images are: in a folder of its own, or all in one place."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder. Set the section's dataset.folder to your images.")
    names = {child.name for child in folder.iterdir() if child.is_dir()}
    parts = {kind: sorted(names.intersection(known)) for kind, known in _SPLITS.items()}
    divided = names and names <= {name for found in parts.values() for name in found}
    if divided and not (folder / METADATA).is_file():
        if not parts.get(split):
            raise DataError(f"{folder}: there is no folder for the split {split!r}. {nearest(split, names)}")
        return folder / parts[split][0]
    if split != "train":
        raise DataError(
            f"{folder}: this folder is not divided into train and test, so it has no split {split!r}. "
            "Point a section of its own to the test images and ingest it without --split."
        )
    return folder


def _found(root: Path) -> list[_Item]:
    """Images by their place: in class subfolders, or all directly in the folder."""
    for name in ("metadata.csv", "metadata.parquet"):
        if (root / name).is_file():
            raise DataError(
                f"{root / name}: metadata is read from {METADATA} only; write it as one JSON object a line."
            )
    flat = [_Item(path.name, None) for path in sorted(root.iterdir()) if _is_image(path)]
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    inside = {folder: [path for path in sorted(folder.rglob("*")) if _is_image(path)] for folder in folders}
    if not any(inside.values()):
        return flat
    if flat:
        raise DataError(
            f"{root}: there are images in class folders ({next(f.name for f in folders if inside[f])}) and beside them "
            f"({flat[0].name}). Move each into its class folder, or put unlabelled images in a folder of their own."
        )
    if empty := [folder.name for folder in folders if not inside[folder]]:
        raise DataError(f"{root}: the class folder {empty[0]!r} holds no images. Fill it, or remove it.")
    if len(folders) == 1:
        raise DataError(
            f"{root}: there is one class folder only, {folders[0].name!r}. With labels there must be two or more; "
            f"for unlabelled images set the section's dataset.folder to {folders[0]}."
        )
    return [_Item(path.relative_to(root).as_posix(), folder.name) for folder in folders for path in inside[folder]]


def _listed(root: Path) -> list[_Item]:
    """Images by the lines of metadata.jsonl."""
    items = []
    for number, line in enumerate((root / METADATA).read_text(encoding="utf-8").splitlines(), 1):
        where = f"{root / METADATA}, line {number}"
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}: this is not JSON ({error}).") from None
        name = entry.get("file_name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            raise DataError(f"{where}: expected an object with a `file_name`; found {line[:80]}.")
        paired = entry.get(PAIRED)
        if paired is not None and (not isinstance(paired, str) or not paired):
            raise DataError(f"{where}: `{PAIRED}` must be a file name; found {paired!r}.")
        for one in (name, paired):
            if one is not None and not _is_inside(root, one):
                raise DataError(f"{where}: {one} lies outside of the folder; file names must be relative to it.")
        label = entry.get("label")
        if label is not None and (isinstance(label, bool) or not isinstance(label, str | int)):
            raise DataError(f"{where}: `label` must be a class name or number; found {label!r}.")
        annotations = {key: value for key, value in entry.items() if key not in _RESERVED}
        origin = {"from": entry["provenance"]} if entry.get("provenance") else {}
        items.append(_Item(name, None if label is None else str(label), paired, annotations, origin))
    return items


def _is_inside(root: Path, name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and (root / name).resolve().is_relative_to(root.resolve())


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()


def _in_order(name: str) -> tuple[int, int, str]:
    """Numbers by value, then names by alphabet."""
    return (0, int(name), "") if name.isdecimal() else (1, 0, name)
