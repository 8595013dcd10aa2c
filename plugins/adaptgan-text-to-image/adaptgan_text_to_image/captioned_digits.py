"""Captioned digits: one coloured digit on a coloured ground, with words for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from adaptgan.data.records import Record
from adaptgan.data.sources.base import check_split, generator
from adaptgan.data.sources.rendered import RenderedDigits
from adaptgan.errors import DataError, nearest
from adaptgan_text_to_image import grammar

Label = Literal["digit", "colour", "background", "thickness"]
Range = tuple[float, float]

_PENS: dict[str, Range] = {"thin": (0.0, 0.0), "thick": (2.0, 2.5)}
"""Extra pen width of each thickness, in pixels of a 32×32 image."""

_BOLD = "DejaVuSans-Bold"
"""A font that is thick by itself."""


class CaptionedDigits:
    """One digit of one colour on a ground of another, RGB, drawn with the fonts of `rendered_digits`.

    Annotations: `caption`, such as "a thick red seven on green", in one of several phrasings and word orders; and
    `attributes`, `{digit: "7", colour: red, background: green, thickness: thick}`. A fixed share of the combinations
    of digit, colour and background occurs in split `test` and nowhere else, the others in `train` alone, so a caption
    of `test` says what no caption of `train` says. Which ones they are does not depend on the seed. Digits take turns;
    every record depends on seed, split and number alone.

    Args:
        count: how many images.
        image_size: height and width, in pixels.
        colours: of digits and grounds, two or more of red, green, blue, yellow, purple, cyan, black and white.
        label: which attribute the label tells; a classifier of each reads a caption's content back from an image.
        images: with false all images are black: captions and labels alone, to make images from.
        fonts: `truetype` (outlines), `hershey` (single pen strokes) or `both`.
        held_out: share of each digit's pairs of colours that only `test` has.
        height: range of a digit's height, as a share of the image.
        rotation: largest turn either way, in degrees.
        shear: largest slant either way, as sideways shift per unit of height.
        jitter: largest shift from the centre along each axis, in pixels.
        shade: largest distance of a shade from its colour's middle, in each of R, G and B (0 to 255).
    """

    def __init__(
        self,
        count: Annotated[int, Field(ge=1)] = 8000,
        image_size: Annotated[int, Field(ge=16, le=256)] = 32,
        colours: tuple[str, ...] = tuple(grammar.COLOURS),
        label: Label = "digit",
        images: bool = True,
        fonts: Literal["both", "truetype", "hershey"] = "both",
        held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2,
        height: Range = (0.6, 0.75),
        rotation: Annotated[float, Field(ge=0, le=180)] = 5.0,
        shear: Annotated[float, Field(ge=0, le=2)] = 0.1,
        jitter: Annotated[float, Field(ge=0)] = 1.0,
        shade: Annotated[int, Field(ge=0, le=64)] = 16,
    ) -> None:
        for colour in colours:
            if colour not in grammar.COLOURS:
                raise DataError(f"captioned_digits.colours: unknown {colour!r}. {nearest(colour, grammar.COLOURS)}")
        if len(set(colours)) < max(2, len(colours)):
            raise DataError(
                f"captioned_digits.colours: expected two or more, each once; found {', '.join(colours) or 'none'}."
            )
        self.total, self.colours, self.label, self.images, self.shade = count, colours, label, images, shade
        self.image_size = image_size
        named = {"digit": tuple(grammar.DIGITS), "thickness": tuple(grammar.THICKNESSES)}
        self.classes: tuple[str, ...] = named.get(label, colours)
        self.held_out = held_out
        self.pairs = {split: self._pairs(split) for split in ("train", "test")}
        shape: dict[str, Any] = {
            "fonts": fonts,
            "height": height,
            "rotation": rotation,
            "shear": shear,
            "jitter": jitter,
        }
        self._pens = {thickness: _pen(image_size, stroke, shape) for thickness, stroke in _PENS.items()}

    def records(self, split: str, seed: int) -> Iterator[Record]:
        """`count` digits of the split's combinations."""
        check_split(split, ("train", "test"), "captioned_digits")
        return (self._record(number, split, seed) for number in range(self.total))

    def _record(self, number: int, split: str, seed: int) -> Record:
        draw = generator("captioned_digits", seed, split, number)
        digit = tuple(grammar.DIGITS)[number % len(grammar.DIGITS)]
        pairs = self.pairs[split][digit]
        colour, background = pairs[int(draw.integers(len(pairs)))]
        thickness = tuple(grammar.THICKNESSES)[int(draw.integers(len(grammar.THICKNESSES)))]
        attributes = {"digit": digit, "colour": colour, "background": background, "thickness": thickness}
        annotations = {"caption": grammar.caption(attributes, draw), "attributes": attributes}
        label = self.classes.index(attributes[self.label])
        if not self.images:
            blank = np.zeros((self.image_size, self.image_size, 3), np.uint8)
            return Record(f"captioned_{split}_{number:06d}", blank, label, annotations)
        opacity_HW, provenance = self._pens[thickness].drawn(int(digit), draw)
        ink_3, ground_3 = (self._shade(name, draw) for name in (colour, background))
        opacity_HW1 = opacity_HW[:, :, None] / np.float32(255)
        image = (ground_3 + opacity_HW1 * (ink_3 - ground_3)).round().astype(np.uint8)
        return Record(f"captioned_{split}_{number:06d}", image, label, annotations, provenance)

    def _shade(self, colour: str, draw: np.random.Generator) -> np.ndarray:
        """A shade of the colour, float32 (3,) in 0..255."""
        middle_3 = np.array(grammar.COLOURS[colour], np.float32)
        shaded: np.ndarray = (middle_3 + draw.integers(-self.shade, self.shade + 1, 3)).clip(0, 255).astype(np.float32)
        return shaded

    def _pairs(self, split: str) -> dict[str, list[tuple[str, str]]]:
        """Each digit's pairs of colours in a split; at least one is in each."""
        every = grammar.combinations(self.colours)
        cut = min(max(1, round(self.held_out * len(every))), len(every) - 1)
        found = {}
        for digit in grammar.DIGITS:
            order = generator("captioned_digits", "held out", *self.colours, digit).permutation(len(every))
            found[digit] = [every[i] for i in (order[:cut] if split == "test" else order[cut:])]
        return found


def _pen(image_size: int, stroke: Range, shape: dict[str, Any]) -> RenderedDigits:
    """Draws digits with strokes of one thickness, without the fonts that have a thickness of their own."""
    low, high = (width * image_size / 32 for width in stroke)
    pen = RenderedDigits(1, image_size, stroke=(low, high), **shape)
    pen.faces = [face for face in pen.faces if face.name != _BOLD]
    return pen
