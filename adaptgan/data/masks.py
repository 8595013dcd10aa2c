"""Class-index masks as run lengths: what a record's `annotations["mask"]` holds.

    {"size": [H, W], "classes": ["background", "digit"], "counts": [[33, 2, 30, …]]}

`classes` names the mask's values in order; value 0 is the background. `counts` has one list for each later class:
lengths of runs that are alternately not and in this class, column by column from the top left, beginning with a run
that is not (0 when the first pixel is in it). `{"size": size, "counts": counts[k - 1]}` is COCO's uncompressed RLE of
class k, as pycocotools reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from adaptgan.errors import DataError


def encode(mask_HW: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """The run-length form of a mask.

    Args:
        mask_HW: integers, 0..K-1.
        classes: K names, the background first.

    Raises:
        DataError: the mask is not (H, W), or has values without a name.
    """
    mask_HW = np.asarray(mask_HW)
    if mask_HW.ndim != 2 or mask_HW.dtype.kind not in "biu" or not mask_HW.size:
        raise DataError(f"a mask must be integers (H, W); found shape {mask_HW.shape}, type {mask_HW.dtype}.")
    if not classes or not 0 <= int(mask_HW.min()) <= int(mask_HW.max()) < len(classes):
        raise DataError(
            f"a mask has values {int(mask_HW.min())}..{int(mask_HW.max())}; {len(classes)} classes "
            f"({', '.join(classes) or 'none'}) allow 0..{len(classes) - 1}."
        )
    columns = mask_HW.ravel(order="F")
    counts = [_runs(columns == number) for number in range(1, len(classes))]
    return {"size": [int(side) for side in mask_HW.shape], "classes": list(classes), "counts": counts}


def decode(encoded: Mapping[str, Any]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The mask, uint8 (uint16 above 256 classes) (H, W), and the names of its classes.

    Raises:
        DataError: it is no such thing: counts that do not fill the image, or classes that overlap.
    """
    try:
        height, width = (int(side) for side in encoded["size"])
        classes = tuple(str(name) for name in encoded["classes"])
        lists = [np.asarray(counts, np.int64) for counts in encoded["counts"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"a mask must be {{size: [H, W], classes: […], counts: [[…], …]}}; found {encoded!r:.100} ({error!r})."
        ) from None
    if len(lists) != len(classes) - 1:
        raise DataError(
            f"a mask of {len(classes)} classes needs {len(classes) - 1} lists of counts (all but the background's); "
            f"found {len(lists)}."
        )
    columns = np.zeros(height * width, np.uint8 if len(classes) <= 256 else np.uint16)
    for number, counts in enumerate(lists, 1):
        if counts.ndim != 1 or (counts < 0).any() or counts.sum() != columns.size:
            raise DataError(
                f"a mask's counts must be lengths that add up to {height} × {width} = {columns.size}; those of "
                f"{classes[number]!r} add up to {counts.sum()}."
            )
        inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        if columns[inside].any():
            raise DataError(f"a mask's classes overlap: {classes[number]!r} lies partly on an earlier one.")
        columns[inside] = number
    return columns.reshape(width, height).T.copy(), classes


def resized(encoded: Mapping[str, Any], height: int, width: int) -> dict[str, Any]:
    """The mask at another size: each pixel takes the class of the old pixel nearest to its centre."""
    mask_HW, classes = decode(encoded)
    return encode(cv2.resize(mask_HW, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), classes)


def coco(encoded: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Class `number` as COCO wants it: `segmentation` (uncompressed RLE), `bbox` and `area`; empty when it is absent.

    Args:
        encoded: the mask.
        number: 1..K-1.
    """
    mask_HW, _ = decode(encoded)
    rows, columns = np.nonzero(mask_HW == number)
    if not len(rows):
        return {}
    left, top = int(columns.min()), int(rows.min())
    return {
        "segmentation": {"size": list(encoded["size"]), "counts": list(encoded["counts"][number - 1])},
        "bbox": [float(left), float(top), float(columns.max() - left + 1), float(rows.max() - top + 1)],
        "area": float(len(rows)),
    }


def _runs(inside: np.ndarray) -> list[int]:
    """Lengths of runs of False and True in turn, beginning with False."""
    edges = np.flatnonzero(np.diff(inside, prepend=False)).tolist()
    return [int(length) for length in np.diff([0, *edges, len(inside)])]
