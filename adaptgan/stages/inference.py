"""Run a trained model over a data set's images, in batches and without gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from adaptgan.data.images import to_float


class Reader:
    """One model, reading uint8 images.

    Args:
        model: what `adaptgan.load_model` gives; a classifier.
        device: where it is.
        batch_size: images in one forward.
    """

    def __init__(self, model: Any, device: torch.device, batch_size: int) -> None:
        self.model = model
        self.device = device
        self.batch_size = batch_size

    @property
    def has_features(self) -> bool:
        """Whether the model shows the representation before its last layer."""
        return hasattr(self.model, "features")

    def probabilities(self, images_NCHW: np.ndarray) -> np.ndarray:
        """Class probabilities (N, K), float64, of uint8 images."""
        return self._run(self.model.predict, images_NCHW)

    def predictions(self, images_NCHW: np.ndarray) -> np.ndarray:
        """The likeliest class of each image, (N,) int64."""
        return self.probabilities(images_NCHW).argmax(1)

    def features(self, images_NCHW: np.ndarray) -> np.ndarray:
        """The representation (N, F), float64, of uint8 images."""
        return self._run(self.model.features, images_NCHW)

    @torch.inference_mode()
    def _run(self, function: Callable[[torch.Tensor], torch.Tensor], images_NCHW: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(images_NCHW), self.batch_size):
            part = torch.from_numpy(np.ascontiguousarray(images_NCHW[start : start + self.batch_size]))
            parts.append(function(to_float(part.to(self.device))).float().flatten(1).cpu())
        return torch.cat(parts).double().numpy()
