"""A look at a folder of images: how many, how large, which classes. Of image files only headers are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from adaptgan.data.images import mode_of
from adaptgan.data.records import Record
from adaptgan.data.sources.files import EXTENSIONS
from adaptgan.data.sources.folder import ImageFolder
from adaptgan.data.sources.shards import Shards
from adaptgan.errors import DataError

LOOKED_AT = 2000
"""Headers read at most, evenly spread over the folder."""

_RECORDS = 200
"""Records of shards read at most: these are decoded."""

_MODES = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB"}


@dataclass
class Survey:
    """What was found in a folder.

    Attributes:
        folder: where.
        dataset: the component that reads it, `image_folder` or `shards`.
        images: how many there are; None when only reading all would tell.
        classes: class names; empty when there are no labels.
        sizes: how many of each (height, width), of those looked at.
        modes: how many are grey (L) and colour (RGB), of those looked at.
        unreadable: names of files that are no images, of those looked at.
    """

    folder: Path
    dataset: str
    images: int | None = None
    classes: tuple[str, ...] = ()
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """One line for a person."""
        (height, width), _ = self.sizes.most_common(1)[0]
        count = "shards of" if self.images is None else f"{self.images}"
        sizes = f"{height}x{width}" if len(self.sizes) == 1 else f"{len(self.sizes)} sizes, mostly {height}x{width}"
        modes = " and ".join({"L": "grey", "RGB": "colour"}[mode] for mode, _ in self.modes.most_common())
        labels = f"{len(self.classes)} classes" if self.classes else "no labels"
        return f"{count} images, {sizes}, {modes}, {labels}"


def survey(folder: Path) -> Survey:
    """Look at a folder; which images and labels it has is told by the component that will ingest it.

    Raises:
        DataError: it is missing, holds no readable image, or its layout cannot be told.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder.")
    found = _of_shards(folder) if any(folder.glob("*.tar")) else _of_files(folder)
    if not found.sizes:
        example = f" ({found.unreadable[0]} for one)" if found.unreadable else ""
        raise DataError(f"{folder}: none of its images could be read{example}.")
    return found


def _of_files(folder: Path) -> Survey:
    source = ImageFolder(str(folder))
    source.records("train", 0)  # lists them; nothing is read before the first is asked for
    found = Survey(folder, "image_folder", source.total, source.classes)
    files = sorted(_images(folder))
    stride = max(1, len(files) // LOOKED_AT)
    for path in files[::stride]:
        _look(path, found)
    return found


def _images(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in EXTENSIONS and not hidden:
            yield path


def _look(path: Path, found: Survey) -> None:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            size, mode = (image.height, image.width), image.mode
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        found.unreadable.append(path.name)
        return
    if mode not in _MODES:
        raise DataError(
            f"{path}: images must be of 8 bits, grey or RGB; this one has the mode {mode} of Pillow. Convert it "
            "first, in all images alike."
        )
    found.sizes[size] += 1
    found.modes[_MODES[mode]] += 1


def _of_shards(folder: Path) -> Survey:
    source = Shards(str(folder))
    records = source.records("train", 0)
    found = Survey(folder, "shards", source.total, source.classes)
    for record in islice(records, _RECORDS):
        if isinstance(record, Record):
            height, width = record.image.shape[:2]
            found.sizes[(height, width)] += 1
            found.modes[mode_of(record.image)] += 1
        else:
            found.unreadable.append(record.name)
    return found
