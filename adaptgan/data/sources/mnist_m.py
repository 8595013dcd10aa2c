"""Digits on photographs, as Ganin 2016 built MNIST-M, from what installed packages carry."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from PIL import Image
from pydantic import Field

from adaptgan.data.measures import Annotation, measured
from adaptgan.data.records import Record
from adaptgan.data.sources.base import check_split, generator
from adaptgan.data.sources.handwriting import Handwriting
from adaptgan.errors import DataError

_ROWS, _COLUMNS = 4, 5
"""Each photo is cut into so many tiles; a patch lies within one, and every tile is either `train` or `test`."""

_DARK, _TRIES = 40, 8
"""A patch of a mean below this is drawn again, a few times."""

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

_BUNDLED = (
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
)
"""China and flower: Daniel Büchele and Vultilion, CC BY 2.0; Grace Hopper: US Navy, public domain."""


class MnistM:
    """The digits of `handwriting` over patches of photographs: |patch − digit| in each channel (Ganin 2016, §5.2.4).

    4,000 `train` and 1,000 `test` images, RGB; digits and photo regions of the two never meet. The paper cut its
    patches from the 500 photos of BSDS500; here are three, so each patch is also drawn at a random scale, turned by
    quarter turns, mirrored, and its colour channels are exchanged, and dark patches, on which a digit would look as it
    does in `handwriting`, are avoided. Slant, thickness and mask are those of the digit before it was laid over the
    photo.

    Args:
        image_size: height and width; the 28×28 digits are centred in it, not enlarged.
        photos: a folder of your own photos, used in place of the bundled ones.
        annotate: what to measure on every digit: `values` (slant, thickness) for a regression, `mask` for a
            segmentation.
    """

    classes: tuple[str, ...] = Handwriting.classes

    def __init__(
        self,
        image_size: Annotated[int, Field(ge=28, le=512)] = 32,
        photos: str | None = None,
        annotate: tuple[Annotation, ...] = (),
    ) -> None:
        self.image_size, self.photos, self.annotate = image_size, photos, annotate
        self.total: int | None = None

    def records(self, split: str, seed: int) -> Iterator[Record]:
        """The split's records, in another order than handwriting's; the patches follow the seed."""
        check_split(split, ("train", "test"), "mnist_m")
        digits = list(Handwriting(self.image_size).records(split, seed))
        files = _files(self.photos)
        tiles = [tile for file in files for tile in _tiles(file, split)]
        self.total = len(digits)
        # Neither keys nor places may match those of `handwriting`, whose labels may be open where these are sealed.
        order = generator("mnist_m", split).permutation(len(digits))
        first = 0 if split == "train" else 4 * len(digits)
        return (self._record(first + number, digits[index], tiles, split, seed) for number, index in enumerate(order))

    def _record(self, number: int, digit: Record, tiles: list[Tile], split: str, seed: int) -> Record:
        draw = generator("mnist_m", seed, split, number)
        for _ in range(_TRIES):
            file, box, pixels = tiles[int(draw.integers(len(tiles)))]
            patch, place = self._patch(pixels, draw)
            if patch.mean() >= _DARK:
                break
        image = np.abs(patch.astype(np.int16) - digit.image[:, :, None]).astype(np.uint8)
        provenance = {
            **digit.provenance,
            "photo": file,
            "patch": [box[0] + place[0], box[1] + place[1], place[2], place[2]],
        }
        found = measured(digit.image, self.annotate)
        return Record(f"mnist_m_{number:04d}", image, digit.label, found, provenance)

    def _patch(self, pixels: np.ndarray, draw: np.random.Generator) -> tuple[np.ndarray, tuple[int, int, int]]:
        """A square of a tile, uint8 (S, S, 3), and where it was cut: left, top, side."""
        largest = min(pixels.shape[:2])
        side = int(draw.integers(min(self.image_size, largest), largest + 1))
        top, left = (int(draw.integers(size - side + 1)) for size in pixels.shape[:2])
        patch = pixels[top : top + side, left : left + side]
        if side != self.image_size:
            method = cv2.INTER_AREA if side > self.image_size else cv2.INTER_CUBIC
            patch = cv2.resize(patch, (self.image_size, self.image_size), interpolation=method)
        patch = np.rot90(patch, int(draw.integers(4)))
        if draw.integers(2):
            patch = patch[:, ::-1]
        return patch[:, :, draw.permutation(3)], (left, top, side)


Tile = tuple[str, tuple[int, int], np.ndarray]
"""The photo's name, where in it the tile begins (left, top), and its pixels."""


def _files(folder: str | None) -> list[Path]:
    """The photos, sorted by name.

    Raises:
        DataError: there are none.
    """
    if folder is not None:
        found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in _SUFFIXES)
        if not found:
            raise DataError(f"mnist_m: photos: {folder} holds no photos ({', '.join(_SUFFIXES)}).")
        return found
    files = [Path(str(importlib.resources.files(package) / path)) for package, path in _BUNDLED]
    if missing := [file for file in files if not file.is_file()]:
        raise DataError(
            f"mnist_m: the photo {missing[0]} is missing. Install its package again, or give a folder of your own in "
            "`photos`."
        )
    return files


def _tiles(file: Path, split: str) -> list[Tile]:
    """A split's tiles of a photo: of every row and column of tiles about a fifth is `test`.

    Raises:
        DataError: the photo cannot be read or is too small to be cut.
    """
    try:
        with Image.open(file) as opened:
            photo = np.asarray(opened.convert("RGB"))
    except OSError as error:
        raise DataError(f"mnist_m: the photo {file} could not be read ({error}). Take it out of `photos`.") from None
    height, width = photo.shape[0] // _ROWS, photo.shape[1] // _COLUMNS
    if min(height, width) < 16:
        raise DataError(f"mnist_m: the photo {file} is only {photo.shape[1]}×{photo.shape[0]}; it needs 80×64 pixels.")
    tiles = []
    for row in range(_ROWS):
        for column in range(_COLUMNS):
            if ((column + 2 * row) % _COLUMNS == 0) == (split == "test"):
                top, left = row * height, column * width
                tiles.append((file.name, (left, top), photo[top : top + height, left : left + width]))
    return tiles
