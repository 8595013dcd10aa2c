"""What a gate is, what it is shown, and what it says.

A gate is called with a `Trial`: images, what they were made from, and what is said of both. One that has a method
`calibrate` is first shown the source, each image as if it were its own translation, to set its thresholds by.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch.nn import functional as F

from adaptgan.errors import ParamsError

CALIBRATION = 1024
"""Source images that gates set their thresholds by."""

R = TypeVar("R")


@dataclass(frozen=True)
class Trial:
    """A batch of images that want to pass.

    Attributes:
        before_NCHW: what they were made from, in [-1, 1]; images from noise were nothing before: then it is `after`.
        after_NCHW: the new images as they will be stored, in [-1, 1]; of another size than before after
            super-resolution, of other channels where a pair is.
        labels_N: int64 classes; None where nobody knows them.
        masks_NHW: int64 classes of the pixels, of the size of `after`; None where the records have no `mask`.
        from_noise: whether there was nothing before.
    """

    before_NCHW: torch.Tensor
    after_NCHW: torch.Tensor
    labels_N: torch.Tensor | None = None
    masks_NHW: torch.Tensor | None = None
    from_noise: bool = False


@dataclass
class Verdict:
    """A gate's word on a batch.

    Attributes:
        passed_N: bool, whether each image may be kept.
        scores: what is written into each record's provenance.
        reason: why the others may not, one sentence.
    """

    passed_N: torch.Tensor
    scores: list[dict[str, Any]]
    reason: list[str]


class Gate(Protocol):
    """A `gate` component; `adaptgan.testing.check_gate` tries one.

    Its verdict on an image depends on the batch alone that the image is in: batches are judged in any order, by
    several processes. A gate may further have

        calibrate(source: Trial) -> None    sees up to `CALIBRATION` source images, each as its own translation
        thresholds: dict[str, float]        what it then asks for; written into the new data set's origin
        needs_labels, needs_masks: bool     whether it cannot judge without
    """

    name: ClassVar[str]

    def __call__(self, trial: Trial) -> Verdict:
        """Judge a batch."""
        ...


def full_precision(judge: Callable[[Any, Trial], R]) -> Callable[[Any, Trial], R]:
    """Turn autocast off around a gate's method: distances and correlations of images need float32."""

    @functools.wraps(judge)
    def precise(self: Any, trial: Trial) -> R:
        with torch.autocast(trial.after_NCHW.device.type, enabled=False):
            return judge(self, trial)

    return precise


def beside(trial: Trial) -> torch.Tensor:
    """What the images were made from, at their own size and with their channels, (N, C', H', W').

    Colour becomes the mean of its channels where the new images are grey, grey is repeated where they are in colour.
    """
    before_NCHW, after_NCHW = trial.before_NCHW.float(), trial.after_NCHW
    if before_NCHW.shape[1] != after_NCHW.shape[1]:
        before_NCHW = before_NCHW.mean(1, keepdim=True).expand(-1, after_NCHW.shape[1], -1, -1)
    if before_NCHW.shape[2:] != after_NCHW.shape[2:]:
        before_NCHW = F.interpolate(before_NCHW, after_NCHW.shape[2:], mode="bilinear", align_corners=False)
    return before_NCHW


def refuse_noise(name: str, trial: Trial) -> None:
    """Images from noise cannot be compared with what they were made from.

    Raises:
        ParamsError: these are such.
    """
    if trial.from_noise:
        raise ParamsError(
            f"the gate {name} compares an image with what it was made from, and images from noise were made from "
            "nothing. Leave it out of `gate`."
        )


def settled(name: str, option: str, value: float | None) -> float:
    """A threshold, after a look that there is one.

    Raises:
        ParamsError: it was neither given nor set by calibration.
    """
    if value is None:
        raise ParamsError(
            f"the gate {name} sets its `{option}` by the source, and there is no source here. Give the option a value."
        )
    return value


def enough(name: str, source: Trial) -> None:
    """Comparisons of source images need two of them.

    Raises:
        ParamsError: there is one, or none.
    """
    if len(source.after_NCHW) < 2:
        raise ParamsError(
            f"the gate {name} sets its thresholds by comparing source images, and there is only one. Give its options "
            "values."
        )
