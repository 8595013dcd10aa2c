"""albumentations in the streaming workers: checked at the start, seeded by record, moving boxes and keypoints too."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptgan.data.annotations import boxes, keypoints, moved
from adaptgan.data.records import Record
from adaptgan.errors import DataError, ParamsError, nearest

if TYPE_CHECKING:
    import albumentations

WHERE = "training.transforms"


def build_transforms(configs: Sequence[Mapping[str, Any]], where: str = WHERE) -> albumentations.Compose | None:
    """The transforms of `training.transforms`, `{name: class of albumentations, option: …}` each; None without any.

    Args:
        configs: the transforms.
        where: their place in params.yaml, for messages.

    Raises:
        ParamsError: an unknown name or option, or a value that the transform refuses.
    """
    if not configs:
        return None
    # albumentations asks the network for a newer version when imported, unless told not to.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    built = [_build(albumentations, f"{where}[{number}]", config) for number, config in enumerate(configs)]
    with warnings.catch_warnings():
        # Where no transform moves anything, boxes and keypoints rightly stay as they are.
        warnings.filterwarnings("ignore", "Got processor for", UserWarning)
        return albumentations.Compose(
            built,
            # Nothing is dropped: a box that left the image keeps its place in the list, and so its category.
            bbox_params=albumentations.BboxParams(
                "coco", label_fields=["box_numbers"], clip=False, check_each_transform=False
            ),
            keypoint_params=albumentations.KeypointParams(
                "xy", label_fields=["point_numbers"], remove_invisible=False, check_each_transform=False
            ),
        )


def check_transforms_keep_geometry(configs: Sequence[Mapping[str, Any]]) -> None:
    """Refuse transforms after which a regression's values or a segmentation's masks would be wrong.

    Raises:
        ParamsError: one of them moves pixels, or may.
    """
    transforms = build_transforms(configs)
    for number, one in enumerate(transforms.transforms if transforms is not None else ()):
        import albumentations

        if not isinstance(one, albumentations.ImageOnlyTransform):
            raise ParamsError(
                f"{WHERE}[{number}]: {type(one).__name__} may move pixels, and the values or masks to be learned do "
                "not move with them. Keep to transforms of brightness, colour, blur and noise."
            )


def augment_record(record: Record, transforms: albumentations.Compose, seed: int) -> Record:
    """The record after the transforms, its boxes and keypoints moved with the image; a pure function of `seed`.

    Raises:
        DataError: a transform failed, or changed the image's size, or the record has a paired image.
    """
    if record.paired is not None:
        raise DataError(f"{WHERE}: {record.key} has a paired image, which these would not change with it.")
    transforms.set_random_seed(seed % 2**32)
    old_boxes, old_points = boxes(record.annotations), keypoints(record.annotations)
    try:
        result = transforms(
            image=record.image,
            bboxes=np.array(old_boxes, np.float32).reshape(-1, 4),
            box_numbers=list(range(len(old_boxes))),
            keypoints=np.array([point[:2] for point in old_points], np.float32).reshape(-1, 2),
            point_numbers=list(range(len(old_points))),
        )
    except Exception as error:
        raise DataError(f"{WHERE}: a transform failed on {record.key}: {type(error).__name__}: {error}") from error
    image = np.asarray(result["image"])
    if image.shape != record.image.shape or image.dtype != np.uint8:
        raise DataError(
            f"{WHERE}: {record.key} was {record.image.shape} uint8 and came out {image.shape} {image.dtype}. "
            "Leave out transforms that change size or type, or put a Resize last."
        )
    # A transform may drop what it cannot place; that keeps its number, and its old place.
    for number, box in zip(result["box_numbers"], result["bboxes"], strict=True):
        old_boxes[int(number)] = [float(value) for value in box[:4]]
    for number, point in zip(result["point_numbers"], result["keypoints"], strict=True):
        old_points[int(number)][:2] = [float(value) for value in point[:2]]
    return replace(record, image=image, annotations=moved(record.annotations, old_boxes, old_points))


def _build(albumentations: Any, where: str, config: Mapping[str, Any]) -> Any:
    name = config.get("name") if isinstance(config, Mapping) else None
    known = [
        item
        for item, value in vars(albumentations).items()
        if isinstance(value, type) and issubclass(value, albumentations.BasicTransform) and not item.startswith("_")
    ]
    if not isinstance(name, str):
        raise ParamsError(f"{where}: expected `{{name: a transform of albumentations, option: …}}`; found {config!r}.")
    if name not in known:
        raise ParamsError(f"{where}.name: albumentations has no transform {name!r}. {nearest(name, known)}")
    options = {key: value for key, value in config.items() if key != "name"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            return getattr(albumentations, name)(**options, strict=True)
    except (TypeError, ValueError, UserWarning) as error:
        raise ParamsError(f"{where}: {name} does not take these options: {error}") from None
