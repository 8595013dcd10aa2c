"""The geometry inside annotations: boxes and keypoints that must move when an image does.

Boxes are `[x, y, width, height]` in pixels (COCO), under `boxes` or, as Hugging Face has it, under `objects: {bbox}`.
Keypoints are `[x, y]` or `[x, y, visibility]` in pixels, under `keypoints`. Everything else is carried unchanged.
"""

from __future__ import annotations

import copy
from typing import Any


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
    """The annotations of an image that was resized by these factors of width and height."""
    return moved(
        annotations,
        [[x * across, y * down, width * across, height * down] for x, y, width, height in boxes(annotations)],
        [[x * across, y * down, *rest] for x, y, *rest in keypoints(annotations)],
    )
