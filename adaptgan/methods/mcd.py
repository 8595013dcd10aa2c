"""MCD: maximum classifier discrepancy (Saito et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from adaptgan.components import nested
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.base import ClassifierMethod, Losses, OptimizerOptions, Phase
from adaptgan.methods.heads import Assembled, fresh_copy, take_head
from adaptgan.methods.tasks import task_of
from adaptgan.methods.two_domains import BatchNormMode, forward_domains, measure_classes
from adaptgan.networks.layers import frozen_statistics
from adaptgan.objectives.discrepancy import classifier_discrepancy


class MCD(ClassifierMethod):
    """Two heads look for target images on which they can disagree; the generator of features takes these away.

        A  min_G,F1,F2  L        L = CE(F1(G(x_s)), y_s) + CE(F2(G(x_s)), y_s)
        B  min_F1,F2    L − λ D   D = mean |p1(x_t) − p2(x_t)|
        C  min_G        λ D       n times   (2018, §3.3, steps A–C)

    The paper repeats C on one mini-batch; here each of the n turns has a target batch of its own.

    Args:
        data: the classes, of images or of pixels.
        classifier: G, then F1, its layer `head`; F2 is a second one with weights of its own.
        augmentation: what is done to both domains' images.
        head_hidden: units of a ReLU layer put before the last one in both heads, 0 for none. The paper's heads have two
            or three layers; a single one can disagree less.
        repeats: n; the paper takes 4 for digits.
        weight: λ, 1 in the paper.
        warmup: share of the training with step A alone; the paper has none.
        batch_norm: statistics shared by both domains (`joint`) or each domain's own (`separate`, the authors' code but
            that the running ones follow the target alone).
        label_smoothing: share of the label spread over all classes; the paper has none.
        optimizer: the paper's Adam, of each of the three steps.
    """

    needs_target = True
    tasks = ("classification", "segmentation")

    def __init__(
        self,
        data: DataInfo,
        classifier: nn.Module = nested("network", "conv_classifier"),
        augmentation: nn.Module = nested("augmentation", "warp"),
        head_hidden: int = 0,
        repeats: int = 4,
        weight: float = 1.0,
        warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        batch_norm: BatchNormMode = "separate",
        label_smoothing: float = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, weight_decay=5e-4),
    ) -> None:
        super().__init__()
        self.head = take_head(classifier)
        if head_hidden and data.task == "segmentation":
            raise ParamsError("mcd: `head_hidden` is for a classification; with a segmentation leave it at 0.")
        if head_hidden:
            features: int = classifier.n_features  # type: ignore[assignment]
            last = nn.Linear(head_hidden, data.n_outputs)
            self.head = nn.Sequential(nn.Linear(features, head_hidden), nn.ReLU(), last)
        self.second_head = fresh_copy(self.head)
        self.generator, self.augmentation = classifier, augmentation
        self.repeats, self.weight, self.warmup, self.batch_norm = repeats, weight, warmup, batch_norm
        self.task, self.optimizer = task_of(data, label_smoothing), optimizer

    def phases(self) -> Sequence[Phase]:
        """Steps A, B and C."""
        generator, heads = ("generator",), ("head", "second_head")
        return [
            Phase("source", generator + heads, self.source_loss, self.optimizer),
            Phase("heads", heads, self.heads_loss, self.optimizer, start=self.warmup),
            Phase("generator", generator, self.generator_loss, self.optimizer, repeats=self.repeats, start=self.warmup),
        ]

    def source_loss(self, batch: Batch) -> Losses:
        """Step A: both heads learn the source, and the generator for both."""
        if self.batch_norm == "separate":
            with frozen_statistics(self.generator):
                return self.task_losses(batch, self.generator(self.view(batch, "source")))
        return self.task_losses(batch, self.both(batch)[0])

    def heads_loss(self, batch: Batch) -> Losses:
        """Step B: the heads disagree on the target as far as the source lets them."""
        with torch.no_grad():
            s, t = self.both(batch)
        return {**self.task_losses(batch, s), "discrepancy": -self.weight * self.discrepancy(batch, t)}

    def generator_loss(self, batch: Batch) -> Losses:
        """Step C: features on which the heads agree."""
        t = self.generator(self.view(batch, "target")) if self.batch_norm == "separate" else self.both(batch)[1]
        return {"discrepancy": self.weight * self.discrepancy(batch, t)}

    def task_losses(self, batch: Batch, s_NF: torch.Tensor) -> Losses:
        """L, head by head."""
        labels = batch.source.labels
        return {
            "task": self.task.loss(self.head(s_NF), labels),
            "second_task": self.task.loss(self.second_head(s_NF), labels),
        }

    def discrepancy(self, batch: Batch, t_NF: torch.Tensor) -> torch.Tensor:
        """D on target features."""
        one_NK, other_NK = self.head(t_NF), self.second_head(t_NF)
        if self.task.name == "classification":
            measure_classes(batch, one_NK + other_NK)
        return classifier_discrepancy(one_NK.float().softmax(1), other_NK.float().softmax(1))

    def both(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """What the heads see of the source and of the target: features after dropout, or a segmentation's maps."""
        x_s, x_t = self.view(batch, "source"), self.view(batch, "target")
        (s_NF, _), (t_NF, _) = forward_domains(self.generator, x_s, x_t, self.batch_norm)
        return s_NF, t_NF

    def view(self, batch: Batch, name: str) -> torch.Tensor:
        """A domain's augmented images, made once per batch."""
        if name not in batch.shared:
            side = batch.source if name == "source" else batch.real
            batch.shared[name] = self.augmentation(side.images_NCHW, side.seeds_N)
        view_NCHW: torch.Tensor = batch.shared[name]
        return view_NCHW

    def predictor(self) -> nn.Module:
        """The mean of both heads' logits."""
        return Assembled(self.generator, self.head, self.second_head)
