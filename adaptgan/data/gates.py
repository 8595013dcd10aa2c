"""Gates: what a synthesized image must pass before it may train anything.

A gate is called with the images before and after, and their labels. Images from noise were nothing before: there
`before` is `after`. Labels are None where nobody knows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from adaptgan.errors import ParamsError
from adaptgan.methods.base import Guard


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


class ClassifierAgreement:
    """A frozen classifier of the source must still read the label on the refined image.

    Args:
        guard: that classifier.
        min_confidence: smallest probability it must give the label.
    """

    name = "classifier_agreement"

    def __init__(self, guard: Guard, min_confidence: float = 0.0) -> None:
        self.guard, self.min_confidence = guard, min_confidence

    def __call__(self, before_NCHW: torch.Tensor, after_NCHW: torch.Tensor, labels_N: torch.Tensor | None) -> Verdict:
        """Judge refined images, NCHW in [-1, 1]."""
        if self.guard.model is None or labels_N is None:
            lacking = "classifier to ask (`--guard DIR`)" if self.guard.model is None else "labels to ask about"
            raise ParamsError(f"the gate {self.name} has no {lacking}. Without it: `gate: []`.")
        p_NK = self.guard.classifier(after_NCHW).float().softmax(1)
        given_N = p_NK.gather(1, labels_N[:, None])[:, 0]
        read_N = p_NK.argmax(1)
        passed_N = (read_N == labels_N) & (given_N >= self.min_confidence)
        classes = self.guard.model.info.classes
        reasons = [
            f"read as {classes[read]}, not {classes[label]}" if read != label else f"only {p:.2f} sure of the label"
            for read, label, p in zip(read_N.tolist(), labels_N.tolist(), given_N.tolist(), strict=True)
        ]
        return Verdict(passed_N, [{self.name: round(p, 4)} for p in given_N.tolist()], reasons)
