"""What a component may know of the data it will see: shapes and classes, never the images themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class DataInfo:
    """Image shape and class names of a data set.

    A component asks for it by annotating a parameter `data: DataInfo`; such a parameter is filled in by the builder
    and is not an option of params.yaml.

    Attributes:
        channels: 1 (grey) or 3 (colour).
        height: rows of an image, in pixels.
        width: columns of an image, in pixels.
        classes: class names; a label k means `classes[k]`. Empty when the data has no labels.
    """

    filled_by_builder: ClassVar[bool] = True

    channels: int
    height: int
    width: int
    classes: tuple[str, ...] = ()

    @property
    def n_classes(self) -> int:
        """How many classes there are, K."""
        return len(self.classes)
