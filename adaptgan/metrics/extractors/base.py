"""What a component of kind `extractor` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

CPU_BATCH = 16
"""Images of 224×224 and more in one forward on a CPU: beyond it they fall out of its caches."""


@dataclass(frozen=True)
class Features:
    """What an extractor sees in images.

    Attributes:
        features_NF: where each image lies in its space.
        probabilities_NK: of its classes, rows sum to 1; None when it knows no classes.
    """

    features_NF: np.ndarray
    probabilities_NK: np.ndarray | None = None


@dataclass(frozen=True)
class Compute:
    """Where and how an extractor runs; it asks for it by annotating a parameter `compute: Compute`.

    Attributes:
        device: where its network goes.
        batch_size: most images in one forward.
    """

    filled_by_builder: ClassVar[bool] = True

    device: torch.device
    batch_size: int

    def batch(self, largest_on_cpu: int = CPU_BATCH) -> int:
        """The batch size, within what a CPU's caches hold."""
        return min(self.batch_size, largest_on_cpu) if self.device.type == "cpu" else self.batch_size


class Extractor:
    """Base of the extractors; a subclass defines `__call__`, and `fit` where its space depends on the real images."""

    fixed: ClassVar[bool] = False
    """Whether it is the same network for everybody. Its features then keep their scale, so that distances can be held
    against other people's; else they are divided by the real images' root mean square, which makes runs comparable."""

    def fit(self, real_NCHW: np.ndarray) -> None:
        """Look at the real images (uint8) before any others are measured; most have nothing to learn from them."""

    def __call__(self, images_NCHW: np.ndarray) -> Features:
        """Features (N, F) float64, and probabilities (N, K) where there are classes, of uint8 images."""
        raise NotImplementedError
