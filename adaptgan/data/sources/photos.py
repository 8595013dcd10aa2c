"""Photographs that installed packages carry, or your own, cut into tiles that are either `train` or `test`."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from adaptgan.errors import DataError

_ROWS, _COLUMNS = 4, 5
"""Each photo is cut into so many tiles; a patch lies within one."""

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

_BUNDLED = (
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
)
"""China and flower: Daniel Büchele and Vultilion, CC BY 2.0; Grace Hopper: US Navy, public domain."""

Tile = tuple[str, tuple[int, int], np.ndarray]
"""The photo's name, where in it the tile begins (left, top), and its pixels, uint8 (H, W, 3)."""

Place = tuple[int, int, int]
"""Where a patch was cut: left, top, side."""


def tiles(folder: str | None, split: str, source: str) -> list[Tile]:
    """A split's tiles of all photos; those of `train` and `test` never meet.

    Args:
        folder: photos of your own, in place of the bundled ones.
        split: `train` or `test`.
        source: who asks, for messages.

    Raises:
        DataError: there are no photos, or one cannot be read or is too small to be cut.
    """
    return [tile for file in _files(folder, source) for tile in _tiles(file, split, source)]


def patch(pixels: np.ndarray, size: int, draw: np.random.Generator) -> tuple[np.ndarray, Place]:
    """A square of a tile at a random scale, turned by quarter turns, mirrored, its colour channels exchanged.

    Args:
        pixels: a tile.
        size: S, of the patch.
        draw: decides.

    Returns:
        The patch, uint8 (S, S, 3), and where in the tile it was cut.
    """
    largest = min(pixels.shape[:2])
    side = int(draw.integers(min(size, largest), largest + 1))
    top, left = (int(draw.integers(length - side + 1)) for length in pixels.shape[:2])
    cut = pixels[top : top + side, left : left + side]
    if side != size:
        cut = cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_CUBIC)
    cut = np.rot90(cut, int(draw.integers(4)))
    if draw.integers(2):
        cut = cut[:, ::-1]
    return cut[:, :, draw.permutation(3)], (left, top, side)


def _files(folder: str | None, source: str) -> list[Path]:
    """The photos, sorted by name."""
    if folder is not None:
        found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in _SUFFIXES)
        if not found:
            raise DataError(f"{source}: photos: {folder} holds no photos ({', '.join(_SUFFIXES)}).")
        return found
    files = [Path(str(importlib.resources.files(package) / path)) for package, path in _BUNDLED]
    if missing := [file for file in files if not file.is_file()]:
        raise DataError(
            f"{source}: the photo {missing[0]} is missing. Install its package again, or give a folder of your own in "
            "`photos`."
        )
    return files


def _tiles(file: Path, split: str, source: str) -> list[Tile]:
    """A split's tiles of a photo: of every row and column of tiles about a fifth is `test`."""
    try:
        with Image.open(file) as opened:
            photo = np.asarray(opened.convert("RGB"))
    except OSError as error:
        raise DataError(f"{source}: the photo {file} could not be read ({error}). Take it out of `photos`.") from None
    height, width = photo.shape[0] // _ROWS, photo.shape[1] // _COLUMNS
    if min(height, width) < 16:
        raise DataError(f"{source}: the photo {file} is only {photo.shape[1]}×{photo.shape[0]}; it needs 80×64 pixels.")
    found = []
    for row in range(_ROWS):
        for column in range(_COLUMNS):
            if ((column + 2 * row) % _COLUMNS == 0) == (split == "test"):
                top, left = row * height, column * width
                found.append((file.name, (left, top), photo[top : top + height, left : left + width]))
    return found
