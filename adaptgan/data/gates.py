"""Gates: what a synthesized image must pass before it may train anything.

A gate is called with a `Trial`: images, what they were made from, and what is said of both. One that has a method
`calibrate` is first shown the source, each image as if it were its own translation, to set its thresholds by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch

from adaptgan.errors import ParamsError
from adaptgan.methods.base import Guard


@dataclass(frozen=True)
class Trial:
    """A batch of images that want to pass.

    Attributes:
        before_NCHW: what they were made from, in [-1, 1]; images from noise were nothing before: then it is `after`.
        after_NCHW: the new images as they will be stored, in [-1, 1]; of another size than before after
            super-resolution.
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
    """A `gate` component.

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


CALIBRATION = 1024
"""Source images that gates set their thresholds by."""


class ClassifierAgreement:
    """A frozen classifier of the source must still read the label on the refined image.

    Args:
        guard: that classifier.
        min_confidence: smallest probability it must give the label.
    """

    name = "classifier_agreement"

    def __init__(self, guard: Guard, min_confidence: float = 0.0) -> None:
        self.guard, self.min_confidence = guard, min_confidence

    def __call__(self, trial: Trial) -> Verdict:
        """Judge refined images."""
        labels_N = trial.labels_N
        if self.guard.model is None or labels_N is None:
            lacking = "classifier to ask (`--guard DIR`)" if self.guard.model is None else "labels to ask about"
            raise ParamsError(f"the gate {self.name} has no {lacking}. Without it: `gate: []`.")
        p_NK = self.guard.classifier(trial.after_NCHW).float().softmax(1)
        given_N = p_NK.gather(1, labels_N[:, None])[:, 0]
        read_N = p_NK.argmax(1)
        passed_N = (read_N == labels_N) & (given_N >= self.min_confidence)
        classes = self.guard.model.info.classes
        reasons = [
            f"read as {classes[read]}, not {classes[label]}" if read != label else f"only {p:.2f} sure of the label"
            for read, label, p in zip(read_N.tolist(), labels_N.tolist(), given_N.tolist(), strict=True)
        ]
        return Verdict(passed_N, [{self.name: round(p, 4)} for p in given_N.tolist()], reasons)
