"""DANN: domain-adversarial training of neural networks (Ganin & Lempitsky 2015; Ganin et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.components import nested
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import ClassifierMethod, Losses, OptimizerOptions, Phase
from adaptgan.methods.tasks import task_of
from adaptgan.methods.two_domains import (
    BatchNormMode,
    augment_domains,
    domain_truth,
    forward_domains,
    measure_classes,
    measure_domains,
    ramped,
)
from adaptgan.networks.domain import DomainHead
from adaptgan.networks.layers import reverse_gradient


class DANN(ClassifierMethod):
    """The classifier's features must tell the classes and must not tell the domains.

        min_f,g,d  CE(g(f(x_s)), y_s) + CE(d(reverse_λ(f(x))), domain)

    The gradient is reversed into the features only: the domain head d learns at full rate, the encoder f at −λ, with
    λ(p) = 2 / (1 + exp(−10 p)) − 1 from the training's progress p (2016, §5.2.2).

    Args:
        data: what is learned.
        classifier: f and g.
        augmentation: what is done to both domains' images.
        domain_hidden: units of each of the domain head's two hidden layers.
        strength: λ's final value.
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
        domain_hidden: int = 1024,
        strength: float = 1.0,
        batch_norm: BatchNormMode = "separate",
        label_smoothing: float = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("sgd", lr=0.01, momentum=0.9, schedule="inverse_decay"),
    ) -> None:
        super().__init__()
        self.classifier, self.augmentation = classifier, augmentation
        self.domain_head = DomainHead(classifier.n_features, domain_hidden)  # type: ignore[arg-type]
        self.strength, self.batch_norm = strength, batch_norm
        self.task, self.optimizer = task_of(data, label_smoothing), optimizer

    def phases(self) -> Sequence[Phase]:
        """One player: the reversal makes the game."""
        return [Phase("adaptation", ("classifier", "domain_head"), self.loss, self.optimizer)]

    def loss(self, batch: Batch) -> Losses:
        """Task loss on the source, domain loss on both halves."""
        source, target = batch.source, batch.real
        x_s, x_t = augment_domains(self.augmentation, source, target)
        (outputs, f_s), (outputs_t, f_t) = forward_domains(self.classifier, x_s, x_t, self.batch_norm)
        λ = self.strength * ramped(batch.progress)
        domain_N = self.domain_head(reverse_gradient(torch.cat([f_s, f_t]), λ))
        truth_N = domain_truth(domain_N, len(f_s))
        measure_domains(batch, domain_N, truth_N)
        if self.task.name == "classification":
            measure_classes(batch, outputs_t)
        return {
            "task": self.task.loss(outputs, source.labels),
            "domain": F.binary_cross_entropy_with_logits(domain_N, truth_N),
            **self.labelled_loss(batch),
        }
