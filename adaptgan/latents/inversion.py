"""Which latent makes an image? And does the generator make its training images better than others?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from adaptgan.errors import DataError
from adaptgan.latents.descent import descend
from adaptgan.latents.drawing import LatentModel
from adaptgan.training.seeding import derive

LARGEST_BATCH = 512
"""Latents that learn side by side."""

PERMUTATIONS = 9999
"""Of the test for memorization: the smallest p it can give is one in 10,000."""


@dataclass(frozen=True)
class Inversion:
    """What a generator can make of some images.

    Attributes:
        z_NZ: the latents found, float32.
        labels_N: their classes, given or found; None for a model without classes.
        images_NCHW: g(z), float in [-1, 1].
        error_N: mean squared error over the pixels, in units of [-1, 1].
    """

    z_NZ: torch.Tensor
    labels_N: torch.Tensor | None
    images_NCHW: torch.Tensor
    error_N: torch.Tensor

    @property
    def psnr_N(self) -> torch.Tensor:  # noqa: N802 the name tells the shape
        """Peak signal-to-noise ratio in dB: 10·log₁₀(2² / MSE), as the range of pixels is 2."""
        return 10 * torch.log10(4 / self.error_N.clamp(min=1e-10))


def invert(
    model: LatentModel,
    images_NCHW: torch.Tensor,
    labels_N: torch.Tensor | None = None,
    *,
    steps: int = 300,
    lr: float = 0.1,
    restarts: int = 4,
    prior: float = 0.0,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Inversion:
    """argmin_z ‖g(z) − x‖² by Adam from several starts at once (Lipton & Tripathi 2017; Webster 2019).

        for each image, class and start:  z ~ p(z);  minimize mean (g(z, y) − x)² + prior · mean z²
        of all of an image's ends, the one with the smallest error

    Args:
        model: the generator g, frozen and in eval mode.
        images_NCHW: images x in [-1, 1].
        labels_N: their classes; a conditional model without them is tried with every class.
        steps: of each start.
        lr: first learning rate of Adam; it falls to 0.
        restarts: starts for each image (and class).
        prior: weight of the squared length, which keeps z where the normal distribution is.
        seed: of the starts; an image's starts do not depend on the other images.
        device: where the model is.

    Raises:
        DataError: there are no images.
    """
    if not len(images_NCHW):
        raise DataError("there are no images to invert.")
    classes = _classes(model, labels_N, len(images_NCHW))
    tries = restarts * (1 if classes is None else classes.shape[1])
    size = max(1, LARGEST_BATCH // tries)
    parts = []
    for start in range(0, len(images_NCHW), size):
        part = slice(start, start + size)
        starts_NZ = _starts(model, seed, range(start, min(start + size, len(images_NCHW))), tries)
        asked = None if classes is None else classes[part].repeat_interleave(restarts, 1).flatten().to(device)
        x_NCHW = images_NCHW[part].to(device)
        parts.append(_fit(model, x_NCHW, starts_NZ.to(device), asked, steps, lr, prior))
    return _joined(parts)


def _fit(
    model: LatentModel,
    x_NCHW: torch.Tensor,
    starts_MZ: torch.Tensor,
    labels_M: torch.Tensor | None,
    steps: int,
    lr: float,
    prior: float,
) -> Inversion:
    """The best of M = N · tries starts for each of N images."""
    tries = len(starts_MZ) // len(x_NCHW)
    wanted_MCHW = x_NCHW.repeat_interleave(tries, 0)

    def error(z_MZ: torch.Tensor) -> torch.Tensor:
        return (model.generate(z_MZ, labels_M).float() - wanted_MCHW).square().flatten(1).mean(1)

    def objective(z_MZ: torch.Tensor) -> torch.Tensor:
        return error(z_MZ) + prior * z_MZ.square().mean(1)

    z_MZ, _ = descend(objective, starts_MZ, steps, lr)
    with torch.no_grad():
        error_M = error(z_MZ)
        best_N = error_M.view(-1, tries).argmin(1) + tries * torch.arange(len(x_NCHW), device=x_NCHW.device)
        labels_N = None if labels_M is None else labels_M[best_N]
        images = model.generate(z_MZ[best_N], labels_N).float()
    labels = None if labels_N is None else labels_N.cpu()
    return Inversion(z_MZ[best_N].cpu(), labels, images.clamp(-1, 1).cpu(), error_M[best_N].cpu())


@dataclass(frozen=True)
class Memorization:
    """Whether training images are made better than held-out ones.

    Attributes:
        training: median error of the training images.
        held_out: of the others.
        auc: how often a training image's error is below a held-out one's, ties counted half; ½ when they are alike.
        p: probability that chance alone would give so large an `auc` (a permutation test).
    """

    training: float
    held_out: float
    auc: float
    p: float

    def __str__(self) -> str:
        """One sentence."""
        numbers = (
            f"median MSE {self.training:.4g} on training images, {self.held_out:.4g} on held-out ones; a training "
            f"image is made better in {100 * self.auc:.0f}% of pairs, p = {self.p:.2g}"
        )
        if self.p < 0.01:
            return (
                f"The generator makes its training images better than others of their kind ({numbers}): it has "
                "memorized some of what it saw."
            )
        return f"No sign of memorization ({numbers}); more images make the test sharper."


def memorization(training_N: Sequence[float] | np.ndarray, held_out_M: Sequence[float] | np.ndarray) -> Memorization:
    """Compare inversion errors of training images with held-out ones (after Webster 2019).

    Both must be of the same kind, or an easier set is taken for a memorized one.

    Raises:
        DataError: one of them is empty.
    """
    training, held_out = np.asarray(training_N, np.float64), np.asarray(held_out_M, np.float64)
    if not len(training) or not len(held_out):
        raise DataError("to tell memorization, both training and held-out images are needed.")
    both = np.concatenate([training, held_out])
    # Twice the mean rank from 0, ties sharing theirs: the sum over the training images decides the AUC.
    ranks = np.searchsorted(np.sort(both), both, "left") + np.searchsorted(np.sort(both), both, "right") - 1.0
    sums = ranks[: len(training)].sum()
    pairs = len(training) * len(held_out)
    auc = 1 - (sums / 2 - len(training) * (len(training) - 1) / 2) / pairs
    rng = np.random.default_rng(0)
    as_low = sum(rng.permutation(ranks)[: len(training)].sum() <= sums for _ in range(PERMUTATIONS))
    p = (1 + int(as_low)) / (1 + PERMUTATIONS)
    return Memorization(float(np.median(training)), float(np.median(held_out)), float(auc), p)


def _classes(model: LatentModel, labels_N: torch.Tensor | None, count: int) -> torch.Tensor | None:
    """The classes to try for each image, (N, 1) or (N, K)."""
    if not model.conditional:
        return None
    if labels_N is not None:
        return labels_N[:, None]
    return torch.arange(len(model.info.classes)).expand(count, -1)  # type: ignore[attr-defined]


def _starts(model: LatentModel, seed: int, images: range, tries: int) -> torch.Tensor:
    generator = torch.Generator()
    drawn = [model.latents(tries, generator.manual_seed(derive(seed, "starts", image))) for image in images]
    return torch.cat(drawn)


def _joined(parts: Sequence[Inversion]) -> Inversion:
    labels = [part.labels_N for part in parts if part.labels_N is not None]
    return Inversion(
        torch.cat([part.z_NZ for part in parts]),
        torch.cat(labels) if labels else None,
        torch.cat([part.images_NCHW for part in parts]),
        torch.cat([part.error_N for part in parts]),
    )
