"""The semantic term: a frozen classifier must read in a translation what was there before (CyCADA, Hoffman 2018)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Side
from adaptgan.methods.base import Guard, Losses


class SemanticTerm:
    """weight · CE(f(augment(G(x))), y), f the guard, y the label of x, or what f reads in x where it has none.

    Hoffman 2018, eq. 4, has argmax f(x) in place of y, which is at hand here.

    Args:
        guard: f; it is asked for only when the weight is above 0.
        weight: of the term; 0 for none.
        augmentation: what f sees translations through, so that they cannot please it by what people do not see.
    """

    def __init__(self, guard: Guard, weight: float, augmentation: Augmentation) -> None:
        self.guard, self.weight, self.augmentation = guard, weight, augmentation

    def check(self) -> None:
        """Say before the first step that the guard is missing.

        Raises:
            ParamsError: there is a weight and no guard.
        """
        if self.weight:
            self.guard.classifier  # noqa: B018

    def terms(self, made_NCHW: torch.Tensor, original: Side, view: int = 1) -> Losses:
        """The term, as `semantic`; nothing without a weight.

        Args:
            made_NCHW: translations.
            original: what they were made from.
            view: tells this draw of the augmentation from others of the same step.
        """
        if not self.weight:
            return {}
        seen_NCHW = self.augmentation(made_NCHW, original.seeds_N, view=view)
        loss = F.cross_entropy(self.guard.classifier(seen_NCHW).float(), self.read(original), label_smoothing=0.1)
        return {"semantic": self.weight * loss}

    def read(self, original: Side) -> torch.Tensor:
        """Labels y (N,), or what the guard reads."""
        if original.labels_N is not None:
            return original.labels_N
        with torch.no_grad():
            read_N: torch.Tensor = self.guard.classifier(original.images_NCHW).argmax(1)
        return read_N
