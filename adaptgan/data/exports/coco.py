"""Export as COCO annotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adaptgan.data.annotations import boxes, keypoints
from adaptgan.data.exports.base import class_name, notes
from adaptgan.data.images import encode_png
from adaptgan.data.masks import coco
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardReader
from adaptgan.errors import DataError


class CocoExporter:
    """`images/*.png` and `annotations.json`: boxes and keypoints where there are any, else the class as one box.

    A box takes its category from `objects: {categories}`, or else from the record's label. A mask without boxes gives
    one entry for each of its classes, as uncompressed run lengths; the only class of a labelled image takes the label's
    name. What COCO has no place for is kept under `adaptgan` in each image's entry. Paired images are
    `paired/*.png`, of the same names.
    """

    def export(self, reader: ShardReader, folder: Path) -> None:
        """Write a data set into an existing empty folder."""
        (folder / "images").mkdir()
        if reader.manifest.paired:
            (folder / "paired").mkdir()
        classes = reader.manifest.classes
        names = list(classes)
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, record in enumerate(reader.records(), 1):
            name = f"{record.key}.png"
            (folder / "images" / name).write_bytes(encode_png(record.image))
            if record.paired is not None:
                (folder / "paired" / name).write_bytes(encode_png(record.paired))
            height, width = record.image.shape[:2]
            entry = {"id": number, "file_name": name, "width": width, "height": height}
            images.append({**entry, **({"adaptgan": kept} if (kept := notes(record)) else {})})
            for item in _annotations(record, classes, names):
                annotations.append({"id": len(annotations) + 1, "image_id": number, **item})
        tree = {
            "info": {"description": "written by adaptgan", "version": reader.manifest.digest[:12]},
            "licenses": [],
            # COCO's ids begin at 1.
            "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
            "images": images,
            "annotations": annotations,
        }
        (folder / "annotations.json").write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")


def _annotations(record: Record, classes: tuple[str, ...], names: list[str]) -> list[dict[str, Any]]:
    """COCO's entries for one image; categories that are new are added to `names`."""
    height, width = record.image.shape[:2]
    found, points = boxes(record.annotations), keypoints(record.annotations)
    label = class_name(record, classes)
    segments = [] if found else _segments(record, label)
    if segments:
        found = [item["bbox"] for _, item in segments]
    if not found and (label is not None or points):
        found = [[0.0, 0.0, float(width), float(height)]]
    items = []
    categories = [name for name, _ in segments] or _categories(record, len(found), label)
    for place, (box, category) in enumerate(zip(found, categories, strict=True)):
        if category not in names:
            names.append(category)
        number = names.index(category) + 1
        area = box[2] * box[3]
        item = {"category_id": number, "bbox": box, "area": area, "iscrowd": 0, "segmentation": []}
        items.append(item | (segments[place][1] if segments else {}))
    if points and len(items) == 1:
        # Visibility 2: labelled and visible, unless the annotation says otherwise.
        items[0]["keypoints"] = [value for x, y, *rest in points for value in (x, y, *(rest[:1] or [2]))]
        items[0]["num_keypoints"] = len(points)
    return items


def _segments(record: Record, label: str | None) -> list[tuple[str, dict[str, Any]]]:
    """Category and shape of every class that is in the record's mask."""
    mask = record.annotations.get("mask")
    if mask is None:
        return []
    names = list(mask["classes"])
    if label is not None and len(names) == 2:
        names[1] = label
    shapes = ((name, coco(mask, number)) for number, name in enumerate(names) if number)
    return [(name, shape) for name, shape in shapes if shape]


def _categories(record: Record, count: int, label: str | None) -> list[str]:
    objects = record.annotations.get("objects")
    given = None
    if isinstance(objects, dict):
        given = objects.get("categories", objects.get("category"))
    if given is None:
        return [label or "object"] * count
    if len(given) != count:
        raise DataError(f"{record.key}: there are {count} boxes and {len(given)} categories; they must be as many.")
    return [str(category) for category in given]
