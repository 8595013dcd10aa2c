"""Rendered digits: labelled images drawn with fonts, the synthetic source of the default pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydantic import Field

from adaptgan.data.measures import Annotation, measured
from adaptgan.data.records import Record
from adaptgan.data.sources.base import check_split, generator
from adaptgan.errors import DataError

DIGITS = tuple("0123456789")
_SUPER = 4
"""Glyphs are drawn and warped at four times the size, then averaged down: smooth edges without a costly resampler."""

_TRUETYPE = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSerif",
    "DejaVuSerif-Italic",
    "DejaVuSansMono",
    "STIXGeneral",
    "STIXGeneralItalic",
    "cmr10",
    "cmss10",
    "cmtt10",
)
"""Of matplotlib's fonts. The others have no digits, old-style ones or symbols in their place (cmex, cmmi, cmsy,
LastResort, STIXNonUni, STIXSiz, *Display), or are so bold that a wider pen fills their counters."""

_HERSHEY = {
    "simplex": cv2.FONT_HERSHEY_SIMPLEX,
    "plain": cv2.FONT_HERSHEY_PLAIN,
    "duplex": cv2.FONT_HERSHEY_DUPLEX,
    "complex": cv2.FONT_HERSHEY_COMPLEX,
    "complex_small": cv2.FONT_HERSHEY_COMPLEX_SMALL,
    "script_complex": cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
}
"""The families whose digits differ from each other."""

Range = tuple[float, float]


@dataclass(frozen=True)
class Face:
    """One font: an OpenCV Hershey family, or a file for Pillow."""

    name: str
    file: Path | None = None


class RenderedDigits:
    """Digits 0-9 in equal shares, white on black, drawn with matplotlib's fonts (Pillow) and OpenCV's pen strokes.

    Every record has its own random numbers, drawn from the seed and the record's number alone.

    Args:
        count: how many images.
        image_size: height and width, in pixels.
        fonts: `truetype` (outlines), `hershey` (single pen strokes) or `both`.
        font_folder: a folder of your own .ttf and .otf files, used in place of matplotlib's.
        height: range of a digit's height, as a share of the image.
        aspect: range of a further factor on its width.
        rotation: largest turn either way, in degrees.
        shear: largest slant either way, as sideways shift per unit of height.
        stroke: range of extra pen width, in pixels of the image.
        jitter: largest shift from the centre along each axis, in pixels.
        invert: draw black on white.
        annotate: what to measure on every digit: `values` (slant, thickness) for a regression, `mask` for a
            segmentation.
    """

    classes: tuple[str, ...] = DIGITS

    def __init__(
        self,
        count: Annotated[int, Field(ge=1)] = 20_000,
        image_size: Annotated[int, Field(ge=8, le=512)] = 32,
        fonts: Literal["both", "truetype", "hershey"] = "both",
        font_folder: str | None = None,
        height: Range = (0.5, 0.69),
        aspect: Range = (0.7, 1.2),
        rotation: Annotated[float, Field(ge=0, le=180)] = 15.0,
        shear: Annotated[float, Field(ge=0, le=2)] = 0.3,
        stroke: Range = (0.0, 1.5),
        jitter: Annotated[float, Field(ge=0)] = 1.5,
        invert: bool = False,
        annotate: tuple[Annotation, ...] = (),
    ) -> None:
        for name, (low, high), least in (("height", height, 0.1), ("aspect", aspect, 0.1), ("stroke", stroke, 0.0)):
            if not least <= low <= high:
                raise DataError(
                    f"rendered_digits: {name} must be [low, high] with {least} <= low <= high; found {[low, high]}."
                )
        if height[1] > 1:
            raise DataError(f"rendered_digits: height is a share of the image, at most 1; found {list(height)}.")
        self.total = count
        self.image_size = image_size
        self.faces = _faces(fonts, None if font_folder is None else Path(font_folder))
        self.height, self.aspect, self.rotation, self.shear = height, aspect, rotation, shear
        self.stroke, self.jitter, self.invert, self.annotate = stroke, jitter, invert, annotate
        self._glyphs: dict[tuple[str, int, int], np.ndarray] = {}

    def records(self, split: str, seed: int) -> Iterator[Record]:
        """`count` digits; `train` and `test` are drawn independently."""
        check_split(split, ("train", "test"), "rendered_digits")
        return (self._record(number, split, seed) for number in range(self.total))

    def _record(self, number: int, split: str, seed: int) -> Record:
        label = number % len(DIGITS)
        image, provenance = self.drawn(label, generator("rendered_digits", seed, split, number))
        shown = 255 - image if self.invert else image
        return Record(f"digit_{number:06d}", shown, label, measured(image, self.annotate), provenance)

    def drawn(self, digit: int, draw: np.random.Generator) -> tuple[np.ndarray, dict[str, Any]]:
        """One digit, bright on black, uint8 (S, S), and how it came about."""
        face = self.faces[int(draw.integers(len(self.faces)))]
        turn, slant, height, aspect = (
            float(draw.uniform(low, high))
            for low, high in (
                (-self.rotation, self.rotation),
                (-self.shear, self.shear),
                self.height,
                self.aspect,
            )
        )
        right, down = (float(value) for value in draw.uniform(-self.jitter, self.jitter, 2))
        # Half-pixel steps of pen width: each glyph is drawn once per width and kept.
        pen = round(float(draw.uniform(*self.stroke)) * _SUPER / 2) * 2
        image = self._place(self._glyph(face, digit, pen), turn, slant, height, aspect, right, down)
        provenance = {
            "font": face.name,
            "stroke": pen / _SUPER,
            "rotation": round(turn, 2),
            "shear": round(slant, 3),
            "height": round(height * self.image_size, 2),
            "aspect": round(aspect, 3),
            "shift": [round(right, 2), round(down, 2)],
        }
        return image, provenance

    def _place(
        self, glyph: np.ndarray, turn: float, slant: float, height: float, aspect: float, right: float, down: float
    ) -> np.ndarray:
        """Scale, slant, turn and shift a glyph about the centre, then average down to the final size."""
        canvas = self.image_size * _SUPER
        angle = np.deg2rad(turn)
        rotate = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        scale = height * canvas / glyph.shape[0]
        matrix = rotate @ np.array([[1.0, -slant], [0.0, 1.0]]) @ np.diag([scale * aspect, scale])
        middle = np.array([glyph.shape[1] - 1, glyph.shape[0] - 1]) / 2
        centre = (canvas - 1) / 2 + np.array([right, down]) * _SUPER
        affine = np.column_stack([matrix, centre - matrix @ middle])
        large = cv2.warpAffine(glyph, affine, (canvas, canvas), flags=cv2.INTER_LINEAR)
        small = cv2.resize(large, (self.image_size, self.image_size), interpolation=cv2.INTER_AREA)
        # A thin pen averages to grey; lift it, as a scanner's levels would, but never by more than 255 / 96.
        gain = 255.0 / max(96, int(small.max()))
        image: np.ndarray = np.minimum(small.astype(np.float32) * gain, 255).round().astype(np.uint8)
        return image

    def _glyph(self, face: Face, digit: int, pen: int) -> np.ndarray:
        """A digit cropped to its ink, 2.5 canvas pixels per pixel of the image high, in supersampled pixels."""
        key = (face.name, digit, pen)
        if key not in self._glyphs:
            height = max(16, round(2.5 * self.image_size))
            mask = (
                _hershey(face.name, digit, height, pen)
                if face.file is None
                else _truetype(face.file, digit, height, pen)
            )
            rows, columns = np.nonzero(mask > 32)
            self._glyphs[key] = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        return self._glyphs[key]


def _hershey(family: str, digit: int, height: int, pen: int) -> np.ndarray:
    size = 3 * height
    image = np.zeros((size, size), np.uint8)
    code = _HERSHEY[family]
    (_, tall), _ = cv2.getTextSize(str(digit), code, 1, 1)
    width = max(1, round(height * 6 / 80)) + pen
    cv2.putText(image, str(digit), (height // 2, 2 * height), code, height / tall, 255, width, cv2.LINE_AA)
    return image


def _truetype(file: Path, digit: int, height: int, pen: int) -> np.ndarray:
    image = Image.new("L", (3 * height, 3 * height))
    font = ImageFont.truetype(str(file), round(1.25 * height))
    ImageDraw.Draw(image).text((height // 2, height // 2), str(digit), fill=255, font=font, stroke_width=pen // 2)
    return np.asarray(image)


def _faces(fonts: str, folder: Path | None) -> list[Face]:
    faces = [Face(name) for name in _HERSHEY] if fonts in ("both", "hershey") else []
    if fonts == "hershey":
        if folder is not None:
            raise DataError(
                "rendered_digits: font_folder needs `fonts: truetype` or `fonts: both`; found `fonts: hershey`."
            )
        return faces
    if folder is not None:
        return faces + _faces_in(folder)
    import matplotlib as mpl

    files = [Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf" for name in _TRUETYPE]
    if missing := [file for file in files if not file.is_file()]:
        raise DataError(
            f"rendered_digits: matplotlib's font {missing[0]} is missing. Install matplotlib again, or use font_folder."
        )
    return faces + [Face(file.stem, file) for file in files]


def _faces_in(folder: Path) -> list[Face]:
    """The user's fonts; all must have digits, so that a typo in the folder is not half obeyed."""
    if not folder.is_dir():
        raise DataError(f"rendered_digits: font_folder {folder}: there is no such folder.")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".ttf", ".otf"))
    if not files:
        raise DataError(f"rendered_digits: font_folder {folder} holds no .ttf or .otf file.")
    for file in files:
        if problem := _lacks_digits(file):
            raise DataError(f"rendered_digits: the font {file} {problem}. Take it out of font_folder.")
    return [Face(file.relative_to(folder).with_suffix("").as_posix(), file) for file in files]


def _lacks_digits(file: Path) -> str:
    """What keeps a font from drawing ten different digits; empty when nothing does."""
    try:
        font = ImageFont.truetype(str(file), 32)
        drawn = [bytes(font.getmask(character)) + bytes(font.getmask(character).size) for character in DIGITS]
        missing = bytes(font.getmask("\uffff")) + bytes(font.getmask("\uffff").size)
    except (OSError, ValueError) as error:
        return f"could not be opened ({error})"
    absent = [digit for digit, mask in zip(DIGITS, drawn, strict=True) if not any(mask) or mask == missing]
    if absent:
        return f"has no glyph for {', '.join(absent)}"
    return "" if len(set(drawn)) == len(DIGITS) else "draws several digits alike"
