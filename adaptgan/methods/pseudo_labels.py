"""Pseudo-labels: the network's own guesses as labels (Lee 2013)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from adaptgan.components import nested
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import ClassifierMethod, Losses, OptimizerOptions, Phase
from adaptgan.methods.tasks import task_of
from adaptgan.methods.two_domains import measure_classes
from adaptgan.training.ema import EMA


class PseudoLabels(ClassifierMethod):
    """Self-training: what the network thinks of an unlabelled image is taken for its label, more so over time.

        min_f  CE(f(x), y) + α(t) · mean[ max p > τ ] CE(f(u), argmax p),  p = softmax f(u) without noise  (Lee, eq. 15)

    α(t) is 0 until `warmup`, then rises linearly to `weight` over `ramp` (eq. 16). The guesses are made anew at each
    step. An average of the weights predicts.

    Args:
        data: what is learned.
        classifier: f.
        augmentation: what is done to both domains' images.
        weight: α's final value.
        threshold: τ, how sure a guess must be; the paper takes all.
        warmup: share of the training on labels alone.
        ramp: share of the training over which α rises.
        ema: decay of the averaged weights that predict.
        label_smoothing: share of the label spread over all classes.
        optimizer: how f learns.
    """

    needs_target = True
    takes_labelled = True
    training_only = ("classifier",)

    def __init__(
        self,
        data: DataInfo,
        classifier: nn.Module = nested("network", "conv_classifier"),
        augmentation: nn.Module = nested("augmentation", "warp"),
        weight: float = 3.0,
        threshold: float = 0.0,
        warmup: float = 0.1,
        ramp: float = 0.5,
        ema: float = 0.99,
        label_smoothing: float = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("adamw", lr=2e-3, weight_decay=0.01, schedule="one_cycle"),
    ) -> None:
        super().__init__()
        self.task = task_of(data, label_smoothing)
        self.classifier, self.augmentation = classifier, augmentation
        self.average = EMA(classifier, ema)
        self.weight, self.threshold, self.warmup, self.ramp = weight, threshold, warmup, ramp
        self.optimizer = optimizer

    def phases(self) -> Sequence[Phase]:
        """One player."""
        return [Phase("classifier", ("classifier",), self.loss, self.optimizer, after=self.follow)]

    def loss(self, batch: Batch) -> Losses:
        """Cross-entropy with labels, and with pseudo-labels."""
        x_NCHW = self.augmentation(batch.source.images_NCHW, batch.source.seeds_N)
        α = self.alpha(batch.progress)
        if α == 0:
            return {"task": self.task.loss(self.classifier(x_NCHW), batch.source.labels), **self.labelled_loss(batch)}
        u_NCHW = self.augmentation(batch.real.images_NCHW, batch.real.seeds_N)
        sure_N, guess_N = self.guess(u_NCHW)
        logits_NK = self.classifier(torch.cat([x_NCHW, u_NCHW]))
        measure_classes(batch, logits_NK[len(x_NCHW) :])
        guessed_N = nn.functional.cross_entropy(logits_NK[len(x_NCHW) :], guess_N, reduction="none")
        return {
            "task": self.task.loss(logits_NK[: len(x_NCHW)], batch.source.labels),
            "pseudo_labels": α * (sure_N * guessed_N).mean(),
            **self.labelled_loss(batch),
        }

    @torch.no_grad()
    def guess(self, images_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Whether the network is sure of an image (0 or 1, (N,)) and its likeliest class, without noise or dropout."""
        self.classifier.eval()
        confidence_N, class_N = self.classifier(images_NCHW).float().softmax(1).max(1)
        self.classifier.train()
        return (confidence_N > self.threshold).float(), class_N

    def alpha(self, progress: float) -> float:
        """α(t) from the share of the training that is done."""
        return self.weight * min(1.0, max(0.0, (progress - self.warmup) / max(self.ramp, 1e-9)))

    def follow(self, batch: Batch) -> None:
        """The average follows the classifier."""
        self.average.update(self.classifier)

    def predictor(self) -> nn.Module:
        """The averaged network."""
        return self.average

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Labelled and unlabelled images."""
        return {"labelled": batch.source.images_NCHW[:16], "unlabelled": batch.real.images_NCHW[:16]}
