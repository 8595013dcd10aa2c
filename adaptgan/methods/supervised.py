"""Cross-entropy on labelled images: the baseline, and the oracle when the labels are the target's own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from adaptgan.components import nested
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import ClassifierMethod, Losses, OptimizerOptions, Phase
from adaptgan.methods.tasks import task_of
from adaptgan.training.ema import EMA


class Supervised(ClassifierMethod):
    """min CE(f(augment(x)), y) (squared error for a regression); predicts with an average of the weights.

    Args:
        data: what is learned.
        classifier: f.
        augmentation: what is done to the images.
        label_smoothing: share of the label spread over all classes.
        ema: decay of the averaged weights that predict.
        optimizer: how f learns.
    """

    tasks = ("classification", "regression", "segmentation")
    takes_labelled = True
    training_only = ("classifier",)

    def __init__(
        self,
        data: DataInfo,
        classifier: nn.Module = nested("network", "conv_classifier"),
        augmentation: nn.Module = nested("augmentation", "warp"),
        label_smoothing: float = 0.1,
        ema: float = 0.99,
        optimizer: OptimizerOptions = OptimizerOptions("adamw", lr=2e-3, weight_decay=0.01, schedule="one_cycle"),
    ) -> None:
        super().__init__()
        self.classifier, self.augmentation = classifier, augmentation
        self.average = EMA(classifier, ema)
        self.task, self.optimizer = task_of(data, label_smoothing), optimizer

    def phases(self) -> Sequence[Phase]:
        """One player."""
        return [Phase("classifier", ("classifier",), self.loss, self.optimizer, after=self.follow)]

    def loss(self, batch: Batch) -> Losses:
        """Cross-entropy on augmented source images."""
        x_NCHW = self.augmentation(batch.source.images_NCHW, batch.source.seeds_N)
        outputs: torch.Tensor = self.classifier(x_NCHW)
        return {"task": self.task.loss(outputs, batch.source.labels), **self.labelled_loss(batch)}

    def follow(self, batch: Batch) -> None:
        """The average follows the classifier."""
        self.average.update(self.classifier)

    def predictor(self) -> nn.Module:
        """The averaged network."""
        return self.average

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Training images before and after augmentation."""
        images, seeds = batch.source.images_NCHW[:16], batch.source.seeds_N[:16]
        return {"source": images, "augmented": self.augmentation(images, seeds)}
