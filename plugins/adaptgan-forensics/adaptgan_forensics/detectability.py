"""How detectable a set of images is: train a detector to tell it from real images, and test it on images held out."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from adaptgan.data.images import to_float
from adaptgan.datainfo import DataInfo
from adaptgan.errors import DataError
from adaptgan_forensics.networks import ForensicCNN
from adaptgan_forensics.scores import auc, calibration_error, cross_entropy, fit_temperature
from adaptgan_forensics.spectrum import log_spectrum

LEARN, CALIBRATE = 0.5, 0.1
"""Shares of the images to learn from and to calibrate with; the others test."""

LEAST = 20
"""Images of each set without which nothing can be said."""


class Detectability:
    """A classifier two-sample test (Lopez-Paz & Oquab 2017) with a detector's eyes.

    min CE(σ(D(x)), generated?) on half of the images, as many of either set; a temperature from a tenth (Guo 2017);
    the numbers from the others. D is `forensic_cnn`, at a small fixed budget; beside it a logistic regression of the
    log azimuthal spectrum alone (Durall 2020; Dzanic 2020). A larger budget would find more: compare under one.

    Args:
        images: at most so many of each set are used; fewer are noisier, more take longer.
        steps: of the CNN's training.
        batch_size: images of its steps, half of either set.
        rate: Adam's highest rate, in a one-cycle schedule.
    """

    wants: ClassVar[str] = "images"
    numbers: ClassVar[dict[str, str]] = {
        "detectability": "AUC of a CNN trained to detect these images: 0.5 cannot be told from real, 1 always can",
        "detection_accuracy": "how often that CNN decides rightly, half of the images being real",
        "detection_bits": "what its calibrated probability tells of an image, at most 1 bit: the Jensen–Shannon "
        "divergence of the two sets is at least that",
        "detection_ece": "error of that probability (expected calibration error)",
        "spectral_detectability": "AUC of a logistic regression of the power spectrum alone",
    }

    def __init__(
        self,
        images: Annotated[int, Field(ge=LEAST)] = 2000,
        steps: Annotated[int, Field(ge=1)] = 200,
        batch_size: Annotated[int, Field(ge=2)] = 64,
        rate: Annotated[float, Field(gt=0)] = 0.008,
    ) -> None:
        self.images = images
        self.steps = steps
        self.batch_size = batch_size
        self.rate = rate

    def __call__(self, images_NCHW: np.ndarray, real_NCHW: np.ndarray, seed: int) -> dict[str, float]:
        """Try to tell one set from the other.

        Args:
            images_NCHW: uint8, the set that is judged.
            real_NCHW: uint8, the real one, of the same shape.
            seed: decides which images teach and which test, and the CNN's start.

        Returns:
            `detectability`, `detection_accuracy`, `detection_bits` (1 − CE/log 2 ≤ JSD; below 0 where the detector is
            wrong more surely than right), `detection_ece`, `spectral_detectability`; the same for equal arguments.

        Raises:
            DataError: the images' shapes differ, or there are fewer than 20 of either.
        """
        count = min(len(images_NCHW), len(real_NCHW), self.images)
        if images_NCHW.shape[1:] != real_NCHW.shape[1:]:
            raise DataError(
                f"detectability compares images of one shape; found {images_NCHW.shape[1:]} and {real_NCHW.shape[1:]}."
            )
        if count < LEAST:
            raise DataError(f"detectability needs {LEAST} images of each set; found {count}.")
        rng = np.random.default_rng([seed, count])
        sets = [one[rng.permutation(len(one))[:count]] for one in (real_NCHW, images_NCHW)]
        first, second = round(LEARN * count), round((LEARN + CALIBRATE) * count)
        learn, calibrate, test = (
            (torch.from_numpy(np.concatenate([one[part] for one in sets])), np.repeat([0, 1], len(sets[0][part])))
            for part in (slice(first), slice(first, second), slice(second, count))
        )
        detector = self._trained(*learn, seed)
        temperature = fit_temperature(_logits(detector, calibrate[0]), calibrate[1])
        logits_N, labels_N = _logits(detector, test[0]), test[1]
        return {
            "detectability": auc(logits_N, labels_N),
            "detection_accuracy": float(((logits_N > 0) == labels_N.astype(bool)).mean()),
            "detection_bits": 1 - cross_entropy(logits_N, labels_N, temperature) / math.log(2),
            "detection_ece": calibration_error(logits_N, labels_N, temperature),
            "spectral_detectability": auc(_spectral_logits(learn, test[0]), labels_N),
        }

    def _trained(self, images_NCHW: torch.Tensor, labels_N: np.ndarray, seed: int) -> nn.Module:
        """D, after its steps; real images come first and are half of all."""
        half = len(images_NCHW) // 2
        _, channels, height, width = images_NCHW.shape
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed)
            detector = ForensicCNN(DataInfo(channels, height, width, ("generated",)))
            optimizer = torch.optim.AdamW(detector.parameters(), self.rate, weight_decay=0.01, fused=True)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.rate, total_steps=self.steps + 1)
            labels = torch.from_numpy(labels_N).float()
            side = min(self.batch_size // 2, half)
            for _ in range(self.steps):
                rows = torch.cat([torch.randperm(half)[:side], half + torch.randperm(half)[:side]])
                logits_N = detector(to_float(images_NCHW[rows]))[:, 0]
                loss = F.binary_cross_entropy_with_logits(logits_N, labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        return detector.eval()


def _logits(detector: nn.Module, images_NCHW: torch.Tensor) -> np.ndarray:
    """D's logits, (N,)."""
    with torch.inference_mode():
        parts = [detector(to_float(part))[:, 0] for part in images_NCHW.split(256)]
    return torch.cat(parts).double().numpy()


def _spectral_logits(learn: tuple[torch.Tensor, np.ndarray], test_NCHW: torch.Tensor) -> np.ndarray:
    """Logits of a logistic regression of the log spectrum, standardized by the images it learned from."""
    from sklearn.linear_model import LogisticRegression

    learn_NF, test_NF = (
        torch.cat([log_spectrum(to_float(part)) for part in images.split(256)]).double().numpy()
        for images in (learn[0], test_NCHW)
    )
    mean_F, std_F = learn_NF.mean(0), learn_NF.std(0) + 1e-9
    model = LogisticRegression(max_iter=1000).fit((learn_NF - mean_F) / std_F, learn[1])
    logits_N: np.ndarray = model.decision_function((test_NF - mean_F) / std_F)
    return logits_N
