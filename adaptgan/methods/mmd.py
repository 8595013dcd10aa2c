"""DAN: deep adaptation networks, by kernel mean discrepancy (Long et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from adaptgan.components import nested
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import ClassifierMethod, Losses, OptimizerOptions, Phase
from adaptgan.methods.tasks import task_of
from adaptgan.methods.two_domains import BatchNormMode, augment_domains, forward_domains, measure_classes, ramped
from adaptgan.objectives.discrepancy import DSN_BANDWIDTHS, MMDEstimator, mmd2

Layer = Literal["features", "logits"]


class MMD(ClassifierMethod):
    """Both domains' features, and both domains' outputs, must have the same mean in a kernel's space.

        min_f,g  task(g(f(x_s)), y_s) + λ Σ_l MMD²_k(l(x_s), l(x_t))   (2015, eq. 4)

    l runs over `layers`; k is a mean of Gaussian kernels. The paper finds their weights β by a quadratic program; here,
    as in the authors' later code, they are equal.

    Args:
        data: what is learned.
        classifier: f and g.
        augmentation: what is done to both domains' images.
        layers: what is compared: the features, the outputs, or both as in the paper; a segmentation's outputs are
            averaged over an image's pixels.
        weight: λ; the paper keeps it constant.
        ramp: let λ grow from 0 as DANN's does, 2 / (1 + exp(−10 p)) − 1 (Long 2017): before the classes are learned, a
            discrepancy can be closed by matching the wrong ones.
        kernels: `mean_distance`: five Gaussians, bandwidths ¼ to 4 times the batch's mean squared distance (the
            authors' code); `dsn`: the 19 fixed ones of Bousmalis 2016.
        estimator: `linear` is the paper's, of N/2 quadruples; `unbiased` takes all pairs and is far less noisy.
        batch_norm: statistics shared by both domains (`joint`) or each domain's own (`separate`).
        label_smoothing: share of the label spread over all classes; the paper has none.
        optimizer: the paper's SGD, momentum 0.9, lr 0.01 / (1 + 10 p)^0.75.
    """

    needs_target = True
    takes_labelled = True
    tasks = ("classification", "regression", "segmentation")

    def __init__(
        self,
        data: DataInfo,
        classifier: nn.Module = nested("network", "conv_classifier"),
        augmentation: nn.Module = nested("augmentation", "warp"),
        layers: tuple[Layer, ...] = ("features", "logits"),
        weight: float = 1.0,
        ramp: bool = False,
        kernels: Literal["mean_distance", "dsn"] = "mean_distance",
        estimator: MMDEstimator = "linear",
        batch_norm: BatchNormMode = "separate",
        label_smoothing: float = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("sgd", lr=0.01, momentum=0.9, schedule="inverse_decay"),
    ) -> None:
        super().__init__()
        self.classifier, self.augmentation = classifier, augmentation
        self.layers, self.weight, self.ramp, self.estimator = layers, weight, ramp, estimator
        self.bandwidths = DSN_BANDWIDTHS if kernels == "dsn" else None
        self.batch_norm = batch_norm
        self.task, self.optimizer = task_of(data, label_smoothing), optimizer

    def phases(self) -> Sequence[Phase]:
        """One player."""
        return [Phase("adaptation", ("classifier",), self.loss, self.optimizer)]

    def loss(self, batch: Batch) -> Losses:
        """Task loss on the source, discrepancies between both domains."""
        source, target = batch.source, batch.real
        x_s, x_t = augment_domains(self.augmentation, source, target)
        (outputs_s, f_s), (outputs_t, f_t) = forward_domains(self.classifier, x_s, x_t, self.batch_norm)
        if self.task.name == "classification":
            measure_classes(batch, outputs_t)
        pairs = {"features": (f_s, f_t), "logits": (per_image(outputs_s), per_image(outputs_t))}
        λ = self.weight * (ramped(batch.progress) if self.ramp else 1)
        discrepancies = {
            f"{layer}_mmd": λ * mmd2(*pairs[layer], self.bandwidths, self.estimator) for layer in self.layers
        }
        return {"task": self.task.loss(outputs_s, source.labels), **discrepancies, **self.labelled_loss(batch)}


def per_image(outputs: torch.Tensor) -> torch.Tensor:
    """(N, K): outputs as they are, or averaged over the pixels of a segmentation's (N, K, H, W)."""
    return outputs.flatten(2).mean(2) if outputs.ndim > 2 else outputs
