"""What the halves of synthesize share: images are rounded, judged as they will be stored, and become records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from adaptgan.data.gates import Trial
from adaptgan.data.images import hwc, to_float, to_uint8


@dataclass(frozen=True)
class Judged:
    """A batch of images as they will be stored.

    Attributes:
        images_NCHW: uint8, on the CPU.
        scores: what the gates say of each, for its provenance.
        reasons: why each may not be kept; empty for those that may.
    """

    images_NCHW: np.ndarray
    scores: list[dict[str, Any]]
    reasons: list[str]

    def image(self, row: int) -> np.ndarray:
        """One image, (H, W) or (H, W, 3)."""
        return hwc(self.images_NCHW[row])


def rounded(made_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Images in [-1, 1] as they will be stored: uint8, and the float images that these are."""
    images_uint8 = to_uint8(made_NCHW.float().clamp(-1, 1))
    return images_uint8, to_float(images_uint8)


def judged(
    judges: Sequence[Any],
    before_NCHW: torch.Tensor | None,
    made_NCHW: torch.Tensor,
    labels_N: torch.Tensor | None,
    masks_NHW: torch.Tensor | None = None,
) -> Judged:
    """Ask all gates.

    Args:
        judges: gates.
        before_NCHW: the images that these were made from; None for those from noise: they stand for themselves.
        made_NCHW: the new images, in [-1, 1].
        labels_N: their classes.
        masks_NHW: their pixels' classes.
    """
    images_uint8, stored = rounded(made_NCHW)
    noise = before_NCHW is None
    trial = Trial(stored if before_NCHW is None else before_NCHW, stored, labels_N, masks_NHW, noise)
    verdicts = [judge(trial) for judge in judges]
    scores: list[dict[str, Any]] = [{} for _ in range(len(stored))]
    reasons: list[list[str]] = [[] for _ in range(len(stored))]
    for verdict in verdicts:
        for row, passed in enumerate(verdict.passed_N.tolist()):
            scores[row].update(verdict.scores[row])
            if not passed:
                reasons[row].append(verdict.reason[row])
    return Judged(images_uint8.cpu().numpy(), scores, ["; ".join(found) for found in reasons])
