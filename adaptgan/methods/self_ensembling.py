"""Self-ensembling: a mean teacher labels the real images (French 2018), helped by information maximization."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.components import nested
from adaptgan.data.batch import Batch
from adaptgan.methods.base import ClassifierMethod, Losses, OptimizerOptions, Phase
from adaptgan.methods.tasks import Classification
from adaptgan.methods.two_domains import BatchNormMode, augment_domains, forward_domains, measure_classes
from adaptgan.objectives.entropy import mutual_information
from adaptgan.training.ema import EMA


class SelfEnsembling(ClassifierMethod):
    """A student learns labels on the source, and on the target what its own average (the teacher) is sure of.

        min_f  CE(f(strong(x_s)), y_s)
             + w · β_c · mean[ max q > τ ] CE(f(strong(x_t)), argmax q),  q = teacher(weak(x_t))   (Sohn 2020, eq. 4)
             − w · β_i · ( H(mean p) − mean H(p) ),                       p = f(strong(x_t))       (Liang 2020, eq. 3)

    w rises from 0 to 1 between `warmup` and `warmup + ramp` of the training. The teacher θ' ← d θ' + (1 − d) θ
    predicts.

    Args:
        classifier: the student f.
        augmentation: the strong view, of both domains.
        weak_augmentation: the teacher's view.
        consistency: β_c.
        information: β_i.
        threshold: τ, how sure the teacher must be.
        teacher: d, the teacher's decay.
        warmup: share of the training on source labels alone.
        ramp: share of the training over which the target terms come in.
        batch_norm: statistics shared by both domains (`joint`) or each domain's own (`separate`).
        label_smoothing: share of the label spread over all classes.
        optimizer: how the student learns.
    """

    needs_target = True
    takes_labelled = True
    training_only = ("classifier",)

    def __init__(
        self,
        classifier: nn.Module = nested("network", "conv_classifier"),
        augmentation: nn.Module = nested("augmentation", "warp"),
        weak_augmentation: nn.Module = nested(
            "augmentation", "warp", rotation=5.0, shear=0.0, scale=(0.95, 1.05), translate=0.03
        ),
        consistency: float = 1.0,
        information: float = 0.3,
        threshold: float = 0.8,
        teacher: float = 0.99,
        warmup: float = 0.13,
        ramp: float = 0.2,
        batch_norm: BatchNormMode = "joint",
        label_smoothing: float = 0.1,
        optimizer: OptimizerOptions = OptimizerOptions("adamw", lr=2e-3, weight_decay=0.01, schedule="one_cycle"),
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.augmentation, self.weak_augmentation = augmentation, weak_augmentation
        self.teacher = EMA(classifier, teacher)
        self.consistency, self.information, self.threshold = consistency, information, threshold
        self.warmup, self.ramp, self.batch_norm = warmup, ramp, batch_norm
        self.task, self.optimizer = Classification(label_smoothing), optimizer

    def phases(self) -> Sequence[Phase]:
        """One player; the teacher follows."""
        return [Phase("student", ("classifier",), self.loss, self.optimizer, after=self.follow)]

    def loss(self, batch: Batch) -> Losses:
        """Task loss on the source; consistency and information on the target."""
        source, target = batch.source, batch.real
        strong_s, strong_t = augment_domains(self.augmentation, source, target)
        (logits_s, _), (logits_t, _) = forward_domains(self.classifier, strong_s, strong_t, self.batch_norm)
        measure_classes(batch, logits_t)
        task = self.task.loss(logits_s, source.labels)
        w = self.weight(batch.progress)
        if w == 0:
            return {"task": task, **self.labelled_loss(batch)}
        confidence_N, label_N = self.teach(target.images_NCHW, target.seeds_N).max(1)
        sure_N = (confidence_N > self.threshold).float()
        consistency = (sure_N * F.cross_entropy(logits_t, label_N, reduction="none")).mean()
        return {
            "task": task,
            "consistency": w * self.consistency * consistency,
            "information": -w * self.information * mutual_information(logits_t),
            **self.labelled_loss(batch),
        }

    @torch.no_grad()
    def teach(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor) -> torch.Tensor:
        """The teacher's probabilities on the weak view, (N, K), with its running statistics."""
        self.teacher.eval()
        view_NCHW = self.weak_augmentation(images_NCHW, seeds_N, view=1)
        logits_NK: torch.Tensor = self.teacher(view_NCHW)
        return logits_NK.float().softmax(1)

    def weight(self, progress: float) -> float:
        """w: 0 during the warm-up, then rising linearly to 1."""
        return min(1.0, max(0.0, (progress - self.warmup) / max(self.ramp, 1e-9)))

    def follow(self, batch: Batch) -> None:
        """The teacher follows the student."""
        self.teacher.update(self.classifier)

    def predictor(self) -> nn.Module:
        """The teacher."""
        return self.teacher

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """The weak and the strong view of target images."""
        images, seeds = batch.real.images_NCHW[:16], batch.real.seeds_N[:16]
        return {
            "target": images,
            "weak view": self.weak_augmentation(images, seeds, view=1),
            "strong view": self.augmentation(images, seeds),
        }
