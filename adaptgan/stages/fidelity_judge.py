"""A judge of translations: a classifier or a segmenter that reads them as it reads their truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from adaptgan.data.dataset import ShardDataset
from adaptgan.errors import AdaptganError, DataError, ParamsError
from adaptgan.methods.base import Predictor
from adaptgan.metrics.task import accuracy, wilson_interval
from adaptgan.metrics.values import overlaps
from adaptgan.models import load_model
from adaptgan.stages.inference import Reader

_AT_ONCE = 256
"""Images whose pixels' classes are held at a time."""


class Judge:
    """A trained predictor, and what its answers should be.

    Args:
        path: its model folder.
        made: the translations; their labels are taken where the truth has none.
        truth: the data set of the wanted images.
        shape: (C, H, W) of these.
        device: where it runs.
        batch_size: most images in one forward.

    Raises:
        AdaptganError: it cannot judge these images, or had a hand in making them.
    """

    def __init__(
        self,
        path: Path,
        made: ShardDataset,
        truth: ShardDataset,
        shape: tuple[int, ...],
        device: torch.device,
        batch_size: int,
    ) -> None:
        model = load_model(path, device)
        self.masks = model.info.task == "segmentation"
        if not isinstance(model, Predictor) or model.info.task == "regression":
            raise ParamsError(
                f"--judge {path}: {model.card['method']['name']!r} tells neither classes of images nor of pixels, so "
                "it cannot say whether they survived. Give a classifier or a segmenter."
            )
        mine = (model.info.channels, model.info.height, model.info.width)
        if mine != shape:
            raise DataError(
                f"--judge {path}: this model reads images of {mine} (channels, height, width), the truth has {shape}. "
                "Train it on images such as the truth."
            )
        mark = model.card.get("fingerprint")
        if mark is not None and mark == made.manifest.origin.get("guard"):
            raise AdaptganError(
                f"--judge {path}: this model is also the gate's guard; a judge must not have had a hand in what it "
                "judges. Train one with another seed."
            )
        labelled = truth if self.masks or truth.has_labels or not made.has_labels else made
        known = truth.info_for("segmentation").classes if self.masks else labelled.classes
        if known != model.info.classes:
            raise DataError(
                f"--judge {path}: this model knows the classes {', '.join(model.info.classes) or 'none'}; "
                f"{labelled.folder} has {', '.join(known) or 'none'}. Train it on data with the same classes."
            )
        self._by_made = labelled is made
        self._targets = labelled.targets("segmentation" if self.masks else "classification")
        self._reader, self._classes = Reader(model, device, batch_size), known

    @property
    def has_features(self) -> bool:
        """Whether distances between sets of images can be measured in its features."""
        return not self.masks and self._reader.has_features

    def features(self, images_NCHW: np.ndarray) -> np.ndarray:
        """Features (N, F), float64, of uint8 images."""
        return self._reader.features(images_NCHW)

    def scores(self, images_NCHW: np.ndarray, rows_N: np.ndarray, places_N: np.ndarray) -> dict[str, Any]:
        """How often its reading is the truth.

        Args:
            images_NCHW: uint8, one for each pair.
            rows_N: the pairs' places among the translations.
            places_N: the pairs' places in the data set of the truth.

        Returns:
            `accuracy` with its 95% `interval` (Wilson), of a classifier; `pixel_accuracy` and `mean_iou` over classes
            that are there or were read, of a segmenter.
        """
        targets_N = self._targets[rows_N if self._by_made else places_N]
        if self.masks:
            return self._of_masks(images_NCHW, targets_N)
        predicted_N = self._reader.predictions(images_NCHW)
        low, high = wilson_interval(int((predicted_N == targets_N).sum()), len(targets_N))
        return {"accuracy": accuracy(targets_N, predicted_N), "interval": {"low": low, "high": high}}

    def _of_masks(self, images_NCHW: np.ndarray, truth_NHW: np.ndarray) -> dict[str, Any]:
        shared_K, either_K = np.zeros((2, len(self._classes)), np.int64)
        for first in range(0, len(images_NCHW), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            p_NKHW = self._reader.probabilities(images_NCHW[part])
            read_NHW = p_NKHW.reshape(-1, len(self._classes), *truth_NHW.shape[1:]).argmax(1)
            shared_NK, either_NK = overlaps(truth_NHW[part], read_NHW, len(self._classes))
            shared_K, either_K = shared_K + shared_NK.sum(0), either_K + either_NK.sum(0)
        there = either_K > 0
        return {
            "pixel_accuracy": float(shared_K.sum() / truth_NHW.size),
            "mean_iou": float((shared_K[there] / either_K[there]).mean()),
        }
