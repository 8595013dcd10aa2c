"""A classifier that the pipeline trained, as a feature space: it knows the domain, as no ImageNet network does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from adaptgan.data.images import to_float
from adaptgan.errors import DataError, ParamsError
from adaptgan.methods.base import Predictor
from adaptgan.metrics.extractors.base import Compute, Extractor, Features
from adaptgan.metrics.inference import in_batches
from adaptgan.models import load_model

SMALL_CPU_BATCH = 64
"""Images of the pipeline's usual size in one forward on a CPU: 256 took 1.8 times as long per image."""


class TrainedModel(Extractor):
    """The features and class probabilities of a model folder.

    Take one that no generator was trained against: whoever was guided by a network looks good to it.

    Args:
        path: what `adaptgan train --out` made; a classifier.
        compute: where it runs.

    Raises:
        ParamsError: the model does not classify, or has no features.
    """

    def __init__(self, path: str, compute: Compute) -> None:
        self.path, self.compute = Path(path), compute
        model = load_model(self.path, compute.device)
        if not isinstance(model, Predictor) or model.info.task != "classification":
            raise ParamsError(
                f"{path}: {model.card['method']['name']!r} is no classifier, and the extractor `model` needs one, for "
                "features and class probabilities. Name a model folder of a method that predicts classes."
            )
        self.model: Any = model

    def __call__(self, images_NCHW: np.ndarray) -> Features:
        """Both in one pass where the model can.

        Raises:
            DataError: the images are not of the shape that it was trained on.
        """
        info = self.model.info
        if images_NCHW.shape[1:] != (info.channels, info.height, info.width):
            raise DataError(
                f"{self.path}: this model reads images of {(info.channels, info.height, info.width)} (channels, "
                f"height, width); these are {images_NCHW.shape[1:]}. Train it on data of the same `size` and `mode`."
            )
        batch_size = self.compute.batch(SMALL_CPU_BATCH)
        probabilities_NK, features_NF = in_batches(self._forward, images_NCHW, self.compute.device, batch_size)
        return Features(features_NF, probabilities_NK)

    def _forward(self, batch_NCHW: torch.Tensor) -> tuple[torch.Tensor, ...]:
        images_NCHW = to_float(batch_NCHW).contiguous(memory_format=torch.channels_last)
        if hasattr(self.model, "predict_with_features"):
            return tuple(self.model.predict_with_features(images_NCHW))
        return self.model.predict(images_NCHW), self.model.features(images_NCHW)
