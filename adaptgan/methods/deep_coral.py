"""Deep CORAL: correlation alignment (Sun & Saenko 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import nn

from adaptgan.components import nested
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import ClassifierMethod, Losses, OptimizerOptions, Phase
from adaptgan.methods.tasks import task_of
from adaptgan.methods.two_domains import BatchNormMode, augment_domains, forward_domains, measure_classes
from adaptgan.objectives.discrepancy import coral


class DeepCORAL(ClassifierMethod):
    """Both domains' outputs must have the same covariance.

        min_f,g  task(g(f(x_s)), y_s) + λ ‖C_s − C_t‖²_F / 4d²   (2016, eq. 1, 6)

    Args:
        data: what is learned.
        classifier: f and g.
        augmentation: what is done to both domains' images.
        layer: whose covariance C: the last layer's (`logits`) as in the paper, or the `features` before it; d is its
            width. A segmentation's logits count pixel by pixel.
        weight: λ; the paper sets it so that both terms are about equal at the end of the training.
        batch_norm: statistics shared by both domains (`joint`) or each domain's own (`separate`).
        label_smoothing: share of the label spread over all classes; the paper has none.
        optimizer: the paper's SGD, for a network that was pre-trained; from random weights take a higher rate.
    """

    needs_target = True
    takes_labelled = True
    tasks = ("classification", "regression", "segmentation")

    def __init__(
        self,
        data: DataInfo,
        classifier: nn.Module = nested("network", "conv_classifier"),
        augmentation: nn.Module = nested("augmentation", "warp"),
        layer: Literal["features", "logits"] = "logits",
        weight: float = 1.0,
        batch_norm: BatchNormMode = "separate",
        label_smoothing: float = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("sgd", lr=1e-3, momentum=0.9, weight_decay=5e-4),
    ) -> None:
        super().__init__()
        self.classifier, self.augmentation = classifier, augmentation
        self.layer, self.weight, self.batch_norm = layer, weight, batch_norm
        self.task, self.optimizer = task_of(data, label_smoothing), optimizer

    def phases(self) -> Sequence[Phase]:
        """One player."""
        return [Phase("adaptation", ("classifier",), self.loss, self.optimizer)]

    def loss(self, batch: Batch) -> Losses:
        """Task loss on the source, distance of covariances between both domains."""
        source, target = batch.source, batch.real
        x_s, x_t = augment_domains(self.augmentation, source, target)
        (outputs_s, f_s), (outputs_t, f_t) = forward_domains(self.classifier, x_s, x_t, self.batch_norm)
        if self.task.name == "classification":
            measure_classes(batch, outputs_t)
        s, t = (f_s, f_t) if self.layer == "features" else (outputs_s, outputs_t)
        # Pixels of a segmentation become rows; (N, K) stays what it is.
        rows = [values.movedim(1, -1).flatten(0, -2) for values in (s, t)]
        return {
            "task": self.task.loss(outputs_s, source.labels),
            "coral": self.weight * coral(*rows),
            **self.labelled_loss(batch),
        }
