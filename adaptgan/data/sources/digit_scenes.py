"""Scenes of several digits on photographs, with the class of every pixel: label maps and their images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from pydantic import Field

from adaptgan.data.masks import encode
from adaptgan.data.measures import ink
from adaptgan.data.records import Record
from adaptgan.data.sources.base import check_split, generator
from adaptgan.data.sources.handwriting import Handwriting
from adaptgan.data.sources.photos import Tile, patch, tiles
from adaptgan.data.sources.rendered import DIGITS, RenderedDigits
from adaptgan.errors import DataError

PIXEL_CLASSES = ("background", *DIGITS)

_EDGE = 8
"""A digit ends where it is fainter than this."""

_CONTRAST, _COLOURS = 110.0, 8
"""Least distance in RGB of a digit's colour from the mean of the photo under it, and how many colours are tried."""

_ARRANGEMENTS = 200
"""How often digits are drawn anew before it is said that they do not fit."""

_TEST_FACES = 4
"""One font in so many is of the test split."""


@dataclass(frozen=True)
class Placed:
    """A digit in its place.

    Attributes:
        digit: which.
        opacity_HW: uint8, of its own size.
        top, left: where it is in the scene.
        provenance: how it came about.
    """

    digit: int
    opacity_HW: np.ndarray
    top: int
    left: int
    provenance: dict[str, Any]

    @property
    def window(self) -> tuple[slice, slice]:
        """Its part of the scene."""
        height, width = self.opacity_HW.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


class DigitScenes:
    """Digits of one colour each over a patch of a photograph, RGB, everything annotated; no two digits touch.

    A record's label says how many digits there are. Its annotations are `mask` (for each pixel `background` or the
    digit whose opacity there is more than half of its greatest), `objects` (each digit's box around these pixels, and
    its name) and `keypoints` (their centres, in the same order). Every record depends on seed, split and number alone.
    `train` and `test` share no photo region, no font and no handwritten digit.

    Args:
        count: how many scenes.
        image_size: height and width, in pixels.
        digits: least and largest number of digits in a scene.
        strokes: what is drawn: digits of `rendered_digits`, of `handwriting`, or `both` in equal shares.
        height: range of a digit's height, as a share of the scene.
        colours: `free`: any that stand out from the photo; `class`: shades of a hue that each digit has to itself.
        photos: a folder of your own photos, used in place of the bundled ones.
    """

    def __init__(
        self,
        count: Annotated[int, Field(ge=1)] = 4000,
        image_size: Annotated[int, Field(ge=16, le=512)] = 64,
        digits: tuple[int, int] = (1, 3),
        strokes: Literal["rendered", "handwriting", "both"] = "both",
        height: tuple[float, float] = (0.3, 0.5),
        colours: Literal["free", "class"] = "free",
        photos: str | None = None,
    ) -> None:
        if not 1 <= digits[0] <= digits[1]:
            raise DataError(f"digit_scenes: digits must be [least, largest] with 1 <= least; found {list(digits)}.")
        if not 0.1 <= height[0] <= height[1] <= 0.7:
            raise DataError(f"digit_scenes: height must be [low, high] within 0.1 and 0.7; found {list(height)}.")
        self.total, self.image_size, self.digits, self.height = count, image_size, digits, height
        self.strokes, self.colours, self.photos = strokes, colours, photos
        self.classes = tuple(f"{n} digit{'s' if n > 1 else ''}" for n in range(digits[0], digits[1] + 1))

    def records(self, split: str, seed: int) -> Iterator[Record]:
        """`count` scenes."""
        check_split(split, ("train", "test"), "digit_scenes")
        backgrounds = tiles(self.photos, split, "digit_scenes")
        pens = self._pens(split)
        return (self._record(number, backgrounds, pens, split, seed) for number in range(self.total))

    def _record(self, number: int, backgrounds: list[Tile], pens: list[Pen], split: str, seed: int) -> Record:
        draw = generator("digit_scenes", seed, split, number)
        file, corner, pixels = backgrounds[int(draw.integers(len(backgrounds)))]
        photo, (left, top, side) = patch(pixels, self.image_size, draw)
        placed = self._arranged(pens, draw)
        scene, mask_HW = photo.astype(np.float32), np.zeros(photo.shape[:2], np.uint8)
        colours = []
        for one in placed:
            inside = ink(one.opacity_HW)
            mask_HW[one.window][inside] = one.digit + 1
            colour = self._colour(one.digit, scene[one.window][inside].mean(0), draw)
            opacity_HW1 = one.opacity_HW[:, :, None] / np.float32(255)
            scene[one.window] += opacity_HW1 * (colour.astype(np.float32) - scene[one.window])
            colours.append(colour.tolist())
        provenance = {
            "photo": file,
            "patch": [corner[0] + left, corner[1] + top, side, side],
            "digits": [{**one.provenance, "colour": colour} for one, colour in zip(placed, colours, strict=True)],
        }
        label = len(placed) - self.digits[0]
        image = scene.round().clip(0, 255).astype(np.uint8)
        return Record(f"scene_{split}_{number:06d}", image, label, _annotations(mask_HW, placed), provenance)

    def _arranged(self, pens: list[Pen], draw: np.random.Generator) -> list[Placed]:
        """Digits that do not touch, as many as drawn.

        Raises:
            DataError: they do not fit.
        """
        wanted = int(draw.integers(self.digits[0], self.digits[1] + 1))
        for _ in range(_ARRANGEMENTS):
            placed: list[Placed] = []
            for _ in range(wanted):
                digit = int(draw.integers(len(DIGITS)))
                opacity_HW, provenance = pens[int(draw.integers(len(pens)))](digit, draw)
                if (found := self._place(digit, opacity_HW, provenance, placed, draw)) is None:
                    break
                placed.append(found)
            if len(placed) == wanted:
                return placed
        raise DataError(
            f"digit_scenes: {wanted} digits as high as {list(self.height)} of the scene do not fit beside each other. "
            "Ask for fewer `digits` or a smaller `height`."
        )

    def _place(
        self,
        digit: int,
        opacity_HW: np.ndarray,
        provenance: dict[str, Any],
        others: list[Placed],
        draw: np.random.Generator,
    ) -> Placed | None:
        """The digit somewhere within the scene, a pixel or more from the others; None where there is no such place."""
        height, width = opacity_HW.shape
        room = (self.image_size - height + 1, self.image_size - width + 1)
        if min(room) < 1:
            return None
        free = np.ones(room, bool)  # by the place of the upper left corner
        for other in others:
            rows, columns = other.window
            free[max(0, rows.start - height) : rows.stop + 1, max(0, columns.start - width) : columns.stop + 1] = False
        places = np.flatnonzero(free)
        if not len(places):
            return None
        top, left = divmod(int(places[draw.integers(len(places))]), room[1])
        return Placed(digit, opacity_HW, top, left, provenance)

    def _colour(self, digit: int, under_3: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """The first of some colours to stand out from what is under it, or the one that does most; uint8 (3,)."""
        tried_T3 = draw.integers(0, 256, (_COLOURS, 3)).astype(np.uint8)
        if self.colours == "class":
            # OpenCV's hues are 0 to 179; washed out or dark, they could be any digit's.
            tried_T3 = np.maximum(tried_T3, np.uint8(150))
            tried_T3[:, 0] = 18 * digit
            tried_T3 = cv2.cvtColor(tried_T3[None], cv2.COLOR_HSV2RGB)[0].astype(np.uint8)
        distance_T = np.linalg.norm(tried_T3 - under_3, axis=1)
        chosen: np.ndarray = tried_T3[int(np.argmax(np.minimum(distance_T, _CONTRAST)))]
        return chosen

    def _pens(self, split: str) -> list[Pen]:
        """What draws a digit: fonts, handwriting, or both."""
        pens: list[Pen] = []
        if self.strokes != "handwriting":
            pens.append(Rendered(self.image_size, self.height, split))
        if self.strokes != "rendered":
            pens.append(Written(self.image_size, self.height, split))
        return pens


class Rendered:
    """Draws digits with a split's fonts.

    Args:
        image_size: of the scene.
        height: range of a digit's height, as a share of the scene.
        split: `train` or `test`.
    """

    def __init__(self, image_size: int, height: tuple[float, float], split: str) -> None:
        self.digits = RenderedDigits(1, image_size, height=height, jitter=0.0)
        of_test = slice(_TEST_FACES - 1, None, _TEST_FACES)
        held = self.digits.faces[of_test]
        self.digits.faces = held if split == "test" else [face for face in self.digits.faces if face not in held]

    def __call__(self, digit: int, draw: np.random.Generator) -> tuple[np.ndarray, dict[str, Any]]:
        """A digit's opacity, uint8 (H, W), and how it came about."""
        image, provenance = self.digits.drawn(digit, draw)
        return _cropped(image), {name: value for name, value in provenance.items() if name != "shift"}


class Written:
    """Takes digits of a split of `handwriting`.

    Args:
        image_size: of the scene.
        height: range of a digit's height, as a share of the scene.
        split: `train` or `test`.
    """

    def __init__(self, image_size: int, height: tuple[float, float], split: str) -> None:
        self.low, self.high = height[0] * image_size, height[1] * image_size
        records = list(Handwriting().records(split, 0))
        self.of_digit = [[record for record in records if record.label == digit] for digit in range(len(DIGITS))]

    def __call__(self, digit: int, draw: np.random.Generator) -> tuple[np.ndarray, dict[str, Any]]:
        """A digit's opacity, uint8 (H, W), and how it came about."""
        records = self.of_digit[digit]
        record = records[int(draw.integers(len(records)))]
        stroke = _cropped(record.image)
        height = float(draw.uniform(self.low, self.high))
        size = (max(1, round(stroke.shape[1] * height / stroke.shape[0])), round(height))
        method = cv2.INTER_AREA if height < stroke.shape[0] else cv2.INTER_CUBIC
        return cv2.resize(stroke, size, interpolation=method), {"row": record.provenance["row"], "height": size[1]}


Pen = Rendered | Written


def _cropped(image_HW: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(image_HW > _EDGE)
    return image_HW[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _annotations(mask_HW: np.ndarray, placed: list[Placed]) -> dict[str, Any]:
    """Mask, boxes and centres, all of the same pixels; a pixel's own centre is half a pixel from its corner."""
    found, centres = [], []
    for one in placed:
        rows, columns = np.nonzero(ink(one.opacity_HW))
        top, left = one.top + int(rows.min()), one.left + int(columns.min())
        found.append([float(left), float(top), float(np.ptp(columns) + 1), float(np.ptp(rows) + 1)])
        centre = (one.left + columns.mean() + 0.5, one.top + rows.mean() + 0.5)
        centres.append([round(float(value), 3) for value in centre])
    return {
        "mask": encode(mask_HW, PIXEL_CLASSES),
        "objects": {"bbox": found, "categories": [DIGITS[one.digit] for one in placed]},
        "keypoints": centres,
    }
