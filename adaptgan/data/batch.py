"""What a method sees of the data at one step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass
class Side:
    """One domain's share of a batch.

    Attributes:
        images_NCHW: float in [-1, 1], on the training device, not augmented.
        labels_N: int64 class indices (N,), or None for an unlabelled domain. For a regression float32 (N, D), for a
            segmentation int64 (N, H, W).
        seeds_N: int64, one number per record and draw: f(seed, epoch, index). Augmentations derive all their
            randomness from it, so they do not depend on batch size, rank or an interruption.
        paired_NCHW: each image's pair, float in [-1, 1] (N, C', H, W), where the method asks for pairs.
        conditions_N: what the method made of each record's annotations (N, …), where it has `conditions`.
        frames_NTCHW: T further frames of each image's sequence, float in [-1, 1], where the method asks for `frames`.
        paired_frames_NTCHW: the pairs of these frames, where it asks for pairs too.
    """

    images_NCHW: torch.Tensor
    labels_N: torch.Tensor | None
    seeds_N: torch.Tensor
    paired_NCHW: torch.Tensor | None = None
    conditions_N: torch.Tensor | None = None
    frames_NTCHW: torch.Tensor | None = None
    paired_frames_NTCHW: torch.Tensor | None = None

    @property
    def labels(self) -> torch.Tensor:
        """The labels, for methods that cannot do without."""
        if self.labels_N is None:
            raise RuntimeError("this batch has no labels; the method must declare `needs_labels = True`")
        return self.labels_N

    @property
    def paired(self) -> torch.Tensor:
        """The paired images, for methods that cannot do without."""
        if self.paired_NCHW is None:
            raise RuntimeError("this batch has no paired images; the method must declare `needs_pairs = True`")
        return self.paired_NCHW

    @property
    def conditions(self) -> torch.Tensor:
        """The encoded annotations, for methods that cannot do without."""
        if self.conditions_N is None:
            raise RuntimeError("this batch has no conditions; the method must name some in `conditions`")
        return self.conditions_N

    @property
    def frames(self) -> torch.Tensor:
        """The further frames, for methods that cannot do without."""
        if self.frames_NTCHW is None:
            raise RuntimeError("this batch has no further frames; the method must declare `frames`")
        return self.frames_NTCHW

    @property
    def paired_frames(self) -> torch.Tensor:
        """Their pairs, for methods that cannot do without."""
        if self.paired_frames_NTCHW is None:
            raise RuntimeError("this batch has no pairs of frames; the method must declare `frames` and `needs_pairs`")
        return self.paired_frames_NTCHW


@dataclass
class Batch:
    """All domains' shares at one step.

    Attributes:
        source: labelled synthetic images.
        target: unlabelled real images, when the stage was given any.
        step: the training step, from 0.
        progress: step / steps, in [0, 1): DANN's p.
        labelled: a few labelled images of the target domain, when the stage was given any beside the source.
        shared: a scratch dict for this batch: what one phase computed, the next may use.
        measures: what `measure` was told since the engine last looked.
        turn: which of a phase's repeats is looking at it, from 0; a later phase of the step sees the batch of turn 0.
    """

    source: Side
    target: Side | None
    step: int
    progress: float
    labelled: Side | None = None
    shared: dict[str, Any] = field(default_factory=dict)
    measures: dict[str, torch.Tensor] = field(default_factory=dict)
    turn: int = 0

    def measure(self, name: str, value: torch.Tensor) -> None:
        """Have a scalar logged as `phase/name` beside the losses; it is not minimized."""
        self.measures[name] = value.detach()

    @property
    def real(self) -> Side:
        """The target, for methods that cannot do without."""
        if self.target is None:
            raise RuntimeError("this batch has no target; the method must declare `needs_target = True`")
        return self.target
