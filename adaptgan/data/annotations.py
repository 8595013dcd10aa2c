"""The geometry inside annotations: boxes, keypoints and masks that must move when an image does.

Boxes are `[x, y, width, height]` in pixels (COCO), under `boxes` or, as Hugging Face has it, under `objects: {bbox}`.
Keypoints are `[x, y]` or `[x, y, visibility]` in pixels, under `keypoints`. A mask is under `mask` (see `data.masks`).
Numbers to be predicted are under `values`; what a change of the image does to them nobody knows here. Everything else
is carried unchanged.
"""

from __future__ import annotations

import copy
from typing import Any

from adaptgan.data.masks import resized
from adaptgan.errors import DataError

PLACES = {"boxes", "bboxes", "bbox", "objects", "keypoints", "mask", "masks", "segmentation", "landmarks", "values"}
"""Annotations that say where something is in the image, or what was measured on it."""


def boxes(annotations: dict[str, Any]) -> list[list[float]]:
    """All boxes, empty when there are none."""
    objects = annotations.get("objects")
    found = objects.get("bbox") if isinstance(objects, dict) else annotations.get("boxes")
    return [list(box) for box in found or []]


def keypoints(annotations: dict[str, Any]) -> list[list[float]]:
    """All keypoints, empty when there are none."""
    return [list(point) for point in annotations.get("keypoints") or []]


def moved(
    annotations: dict[str, Any], new_boxes: list[list[float]], new_keypoints: list[list[float]]
) -> dict[str, Any]:
    """A copy of the annotations with other boxes and keypoints, as many as there were."""
    changed = copy.deepcopy(annotations)
    if isinstance(changed.get("objects"), dict) and "bbox" in changed["objects"]:
        changed["objects"]["bbox"] = new_boxes
    elif "boxes" in changed:
        changed["boxes"] = new_boxes
    if "keypoints" in changed:
        changed["keypoints"] = new_keypoints
    return changed


def scaled(annotations: dict[str, Any], across: float, down: float) -> dict[str, Any]:
    """The annotations of an image that was resized by these factors of width and height.

    Raises:
        DataError: they hold values, such as a length in pixels, which may not be true of the resized image.
    """
    if "values" in annotations:
        raise DataError(
            f"the annotation `values` ({', '.join(annotations['values'])}) was measured on the image at its own size, "
            "and may be wrong after resizing. Leave `size` out: the digit data sets draw at any `image_size` and "
            "measure afterwards; for your own, resize images and values together before."
        )
    changed = moved(
        annotations,
        [[x * across, y * down, width * across, height * down] for x, y, width, height in boxes(annotations)],
        [[x * across, y * down, *rest] for x, y, *rest in keypoints(annotations)],
    )
    if "mask" in changed:
        height, width = changed["mask"]["size"]
        changed["mask"] = resized(changed["mask"], round(height * down), round(width * across))
    return changed
