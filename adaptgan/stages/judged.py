"""What the halves of synthesize share: images are rounded, judged as they will be stored, and become records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.gates import CALIBRATION, Trial
from adaptgan.data.images import hwc, to_float, to_uint8
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Method
from adaptgan.stages.transfers import Fetched
from adaptgan.training.seeding import derive

MOST_VALUES = 1 << 26
"""Pixels, of all channels, that a calibration may hold: a quarter of a GiB. Larger images are sampled less often."""


@dataclass(frozen=True)
class Judged:
    """A batch of images as they will be stored.

    Attributes:
        images_NCHW: uint8, on their way from the device.
        scores: what the gates say of each, for its provenance.
        reasons: why each may not be kept; empty for those that may.
        refused: names of the gates that reject each.
    """

    images_NCHW: Fetched
    scores: list[dict[str, Any]]
    reasons: list[str]
    refused: list[list[str]]

    def image(self, row: int) -> np.ndarray:
        """One image, (H, W) or (H, W, 3)."""
        return hwc(self.images_NCHW.numpy()[row])

    def provenance(self, row: int) -> dict[str, Any]:
        """What the record of one image says of the gates: `gate`, and where it is rejected `reason`, `refused_by`."""
        told: dict[str, Any] = {"gate": self.scores[row]}
        return told | ({"reason": self.reasons[row], "refused_by": self.refused[row]} if self.refused[row] else {})


def rounded(made_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Images in [-1, 1] as they will be stored: uint8, and the float images that these are."""
    images_uint8 = to_uint8(made_NCHW)
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
    count = len(made_NCHW)
    scores: list[dict[str, Any]] = [{} for _ in range(count)]
    reasons: list[list[str]] = [[] for _ in range(count)]
    refused: list[list[str]] = [[] for _ in range(count)]
    if not judges:
        return Judged(Fetched(to_uint8(made_NCHW)), scores, [""] * count, refused)
    images_uint8, stored = rounded(made_NCHW)
    noise = before_NCHW is None
    trial = Trial(stored if before_NCHW is None else before_NCHW, stored, labels_N, masks_NHW, noise)
    for judge in judges:
        verdict = judge(trial)
        for row, passed in enumerate(verdict.passed_N.tolist()):
            scores[row].update(verdict.scores[row])
            if not passed:
                reasons[row].append(verdict.reason[row])
                refused[row].append(judge.name)
    return Judged(Fetched(images_uint8), scores, ["; ".join(found) for found in reasons], refused)


def calibrated(
    judges: Sequence[Any], data: ShardDataset, translator: Method, seed: int, device: torch.device
) -> dict[str, dict[str, float]]:
    """Let gates set their thresholds by the source, each image as its own translation; paired ones have a true one.

    Where translations are larger than what they are made from, the source is enlarged to their size.

    Args:
        judges: gates; those that have `calibrate` see a sample of at most `CALIBRATION` images.
        data: the source.
        translator: what shall be judged.
        seed: decides the sample.
        device: where gates work.

    Returns:
        What each gate asks for, by its name.
    """
    asking = [judge for judge in judges if hasattr(judge, "calibrate")]
    if asking and len(data) and translator.translates != "conditions":  # else there is no image to set them by
        image_values = data.info.channels * data.info.height * data.info.width * translator.enlarges**2
        count = min(len(data), CALIBRATION, max(MOST_VALUES // image_values, 2))
        picked = np.sort(np.random.default_rng(derive(seed, "calibrate")).permutation(len(data))[:count])
        source = _source(
            data, picked, translator, any(getattr(judge, "needs_masks", False) for judge in asking), device
        )
        for judge in asking:
            judge.calibrate(source)
    return thresholds_of(judges)


def thresholds_of(judges: Sequence[Any]) -> dict[str, dict[str, float]]:
    """What each gate asks for, by its name.

    Raises:
        ParamsError: two gates have one name; nobody could tell what each has rejected.
    """
    found = {judge.name: dict(getattr(judge, "thresholds", {})) for judge in judges}
    if len(found) < len(judges):
        raise ParamsError("the same gate stands twice in `gate`. Name it once, with the stricter options.")
    return found


def _source(data: ShardDataset, picked: np.ndarray, translator: Method, masked: bool, device: torch.device) -> Trial:
    def images(stored_NCHW: np.ndarray) -> torch.Tensor:
        images_NCHW = to_float(torch.from_numpy(np.asarray(stored_NCHW[picked])).to(device))
        if translator.enlarges == 1:
            return images_NCHW
        return F.interpolate(images_NCHW, scale_factor=translator.enlarges, mode="bilinear", align_corners=False)

    before = images(data.images_NCHW)
    after = images(data.paired_NCHW) if translator.info.paired and data.info.paired else before
    labels = torch.from_numpy(data.labels_N[picked]).to(device) if data.has_labels else None
    masks = torch.from_numpy(data.targets("segmentation")[picked]).to(device) if masked else None
    return Trial(before, after, labels, masks)
