"""What a component may know of the data it will see: shapes and classes, never the images themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

TaskName = Literal["classification", "regression", "segmentation"]
"""What a predictor learns of an image: its class, some numbers, or a class for each pixel."""


@dataclass(frozen=True)
class DataInfo:
    """Image shape and class names of a data set.

    A component asks for it by annotating a parameter `data: DataInfo`; such a parameter is filled in by the builder
    and is not an option of params.yaml.

    Attributes:
        channels: 1 (grey) or 3 (colour).
        height: rows of an image, in pixels.
        width: columns of an image, in pixels.
        classes: class names; a label k means `classes[k]`. Empty when the data has no labels. In a segmentation, the
            classes of pixels.
        task: what a predictor learns of this data.
        values: names of the numbers that a regression predicts.
        scales: mean and standard deviation of each of them in the training set; networks predict standardized values.
        paired: channels of the paired images; 0 where there are none.
    """

    filled_by_builder: ClassVar[bool] = True

    channels: int
    height: int
    width: int
    classes: tuple[str, ...] = ()
    task: TaskName = "classification"
    values: tuple[str, ...] = ()
    scales: tuple[tuple[float, float], ...] = ()
    paired: int = 0

    @property
    def n_outputs(self) -> int:
        """How many numbers a predictor gives per image (per pixel in a segmentation)."""
        return len(self.values) if self.task == "regression" else self.n_classes

    @property
    def n_classes(self) -> int:
        """How many classes there are, K."""
        return len(self.classes)
