"""Edge drawings of another data set's images, each paired with its original: a task for paired translators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field

from adaptgan.components import nested
from adaptgan.data.records import Record
from adaptgan.data.sources.base import Corrupt, Source
from adaptgan.errors import DataError

Detector = Literal["canny", "gradient"]
"""Thin lines, or the slope at every pixel."""


class Edges:
    """Every image of another data set becomes its edge drawing; the original is its pair ("edges → photo", Isola 2017).

    Drawings are grey and as large as the images. Keys, labels, annotations and provenance stay what they were: nothing
    moves. The paper drew its edges with a network; here are two classical detectors. `canny` (Canny 1986) gives lines
    of one pixel, 255 on 0. `gradient` gives the slope itself, √(dx² + dy²), at most 255. Slopes are Sobel's: how much
    the neighbours on both sides of a pixel differ, so that a hard step counts its full height. Of a colour image each
    pixel's steepest channel counts.

    Args:
        of: the data set to draw.
        detector: `canny` or `gradient`.
        low: canny: a pixel of a lower slope is no edge. A step from black to white is 255.
        high: canny: a pixel of a higher slope is an edge, and those above `low` that are joined to it.
        blur: standard deviation in pixels of the Gaussian that the image is smoothed with before; 0 leaves that out.
        invert: dark lines on white, in place of bright ones on black.
    """

    def __init__(
        self,
        of: Source = nested("dataset"),
        detector: Detector = "canny",
        low: Annotated[float, Field(ge=0)] = 25.0,
        high: Annotated[float, Field(ge=0)] = 50.0,
        blur: Annotated[float, Field(ge=0)] = 0.0,
        invert: bool = False,
    ) -> None:
        if low > high:
            raise DataError(f"edges: `low` ({low:g}) must not be above `high` ({high:g}).")
        self.of, self.detector, self.low, self.high = of, detector, low, high
        self.blur, self.invert = blur, invert
        self.classes: tuple[str, ...] = ()
        self.total: int | None = None

    def records(self, split: str, seed: int) -> Iterator[Record | Corrupt]:
        """The other data set's records in its order, drawn.

        Raises:
            DataError: the other data set cannot be read, or has paired images already.
        """
        records = self.of.records(split, seed)
        self.classes, self.total = self.of.classes, getattr(self.of, "total", None)
        return (record if isinstance(record, Corrupt) else self._drawn(record) for record in records)

    def _drawn(self, record: Record) -> Record:
        if record.paired is not None:
            raise DataError(f"edges: {record.key} has a paired image already, in whose place the original would come.")
        return replace(record, image=self.drawing(record.image), paired=record.image)

    def drawing(self, image: np.ndarray) -> np.ndarray:
        """The edges of a uint8 (H, W) or (H, W, 3) image, uint8 (H, W)."""
        smooth = cv2.GaussianBlur(image, (0, 0), self.blur, borderType=cv2.BORDER_REPLICATE) if self.blur else image
        lines = self._canny(smooth) if self.detector == "canny" else _slope(smooth)
        return 255 - lines if self.invert else lines

    def _canny(self, image: np.ndarray) -> np.ndarray:
        # OpenCV's slopes are sums over the Sobel mask: 4 times the difference of the sides.
        return cv2.Canny(np.ascontiguousarray(image), 4 * self.low, 4 * self.high, L2gradient=True)


def _slope(image: np.ndarray) -> np.ndarray:
    """The length of the Sobel gradient, uint8 (H, W); of colour, the largest of the channels'."""
    across, down = (
        cv2.Sobel(image, cv2.CV_32F, *order, scale=1 / 4, borderType=cv2.BORDER_REPLICATE) for order in ((1, 0), (0, 1))
    )
    length = np.hypot(across, down)
    return np.clip(np.round(length if length.ndim == 2 else length.max(2)), 0, 255).astype(np.uint8)
