"""Numbers that an image of bright ink on black tells of itself: the truth of a regression, by one instrument for all.

Everything is measured on the pixels alone, so it is known of real handwriting as well as of a drawn digit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np

from adaptgan.data.masks import encode
from adaptgan.errors import DataError

Annotation = Literal["values", "mask"]
"""What the digit sources can add to their records: `values` for a regression, `mask` for a segmentation."""

MASK_CLASSES = ("background", "digit")

_FINE = 256
"""Strokes are measured at about this many pixels along the image's longer side."""


def measured(image_HW: np.ndarray, wanted: Sequence[Annotation]) -> dict[str, Any]:
    """The asked annotations of a digit, uint8 (H, W), bright on black, as it was before anything was laid over it."""
    found: dict[str, Any] = {}
    if "values" in wanted:
        found["values"] = {"slant": round(slant(image_HW), 3), "thickness": round(thickness(image_HW), 3)}
    if "mask" in wanted:
        found["mask"] = encode(ink(image_HW).astype(np.uint8), MASK_CLASSES)
    return found


def ink(image_HW: np.ndarray) -> np.ndarray:
    """Where the ink is: pixels above half of the brightest. Boolean (H, W).

    Raises:
        DataError: the image is black all over.
    """
    peak = int(image_HW.max())
    if peak == 0:
        raise DataError("a digit without ink cannot be measured: its image is black all over. Leave `annotate` out.")
    return image_HW > peak / 2


def slant(image_HW: np.ndarray) -> float:
    """How far the ink leans to the right, in degrees within ±90; upright is 0, italics are positive.

    The angle of the shear that takes the central moment μ11 to zero, as deskewing does: arctan(−μ11 / μ02), with y
    downwards. It depends on neither place, size nor brightness. A single row of ink has no slant: 0.
    """
    ink(image_HW)
    mass = image_HW.astype(np.float64)
    rows_H, columns_W = np.arange(mass.shape[0]), np.arange(mass.shape[1])
    total = mass.sum()
    y_H = rows_H - mass.sum(1) @ rows_H / total
    x_W = columns_W - mass.sum(0) @ columns_W / total
    moment_11, moment_02 = float(y_H @ mass @ x_W), float(mass.sum(1) @ y_H**2)
    return math.degrees(math.atan(-moment_11 / moment_02)) if moment_02 else 0.0


def thickness(image_HW: np.ndarray) -> float:
    """The mean width of the strokes, in pixels of this image.

    The ink is enlarged to about 256 pixels, cut at half of its peak, and every point of a stroke's middle line (a local
    maximum of the distance to the background) counts with twice its distance. Drawn bars of 1.5 pixels and more are
    found within 0.2 pixels at any angle, most within 0.1.
    """
    rows, columns = np.nonzero(ink(image_HW))
    crop = image_HW[max(0, rows.min() - 1) : rows.max() + 2, max(0, columns.min() - 1) : columns.max() + 2]
    fine = max(1, _FINE // max(image_HW.shape))
    padded = cv2.copyMakeBorder(crop.astype(np.float32), 2, 2, 2, 2, cv2.BORDER_CONSTANT)
    large = cv2.resize(padded, None, fx=fine, fy=fine, interpolation=cv2.INTER_LINEAR)
    inside = (large > float(image_HW.max()) / 2).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    middle = (inside > 0) & (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8)))
    # Distances go from pixel centre to pixel centre: twice that is half a pixel too much for odd and even widths alike.
    width: float = (2 * float(distance[middle].mean()) - 0.5) / fine
    return width
