"""CDAN: conditional adversarial domain adaptation (Long et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

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
from adaptgan.objectives.entropy import entropy


class CDAN(ClassifierMethod):
    """The domain head sees features and predicted classes together, so that it aligns each class with its like.

        min_f,g,d  CE(g(f(x_s)), y_s) + ½ Σ_{D=s,t} Σ_{x∈D} w(x) CE(d(reverse_λ(f ⊗ g)), domain) / Σ_{x∈D} w(x)

        w = 1 + exp(−H(g(x))) with entropy conditioning (CDAN+E, eq. 8), else 1; f ⊗ g is `MultilinearMap`.

    λ(p) = 2 / (1 + exp(−10 p)) − 1 is DANN's.

    Args:
        data: the classes.
        classifier: f and g.
        augmentation: what is done to both domains' images.
        entropy_conditioning: let images that the classifier is sure of count up to twice.
        class_gradient: where the reversed gradient reaches the predictions g: `weights` alone, as in the authors' code
            (g is a constant in f ⊗ g, the sum Σ w is one too); `none`, as in their later library; `all`, as the
            paper's equations read.
        limit: largest F·K of the full map f ⊗ g; above it the randomized one is taken.
        random_width: width of the randomized map.
        domain_hidden: units of each of the domain head's two hidden layers.
        strength: λ's final value.
        batch_norm: statistics shared by both domains (`joint`) or each domain's own (`separate`).
        label_smoothing: share of the label spread over all classes; the paper has none.
        optimizer: the paper's SGD, momentum 0.9, lr 0.01 / (1 + 10 p)^0.75.
    """

    needs_target = True
    takes_labelled = True
    training_only = ("domain_head", "map")

    def __init__(
        self,
        data: DataInfo,
        classifier: nn.Module = nested("network", "conv_classifier"),
        augmentation: nn.Module = nested("augmentation", "warp"),
        entropy_conditioning: bool = True,
        class_gradient: Literal["weights", "none", "all"] = "weights",
        limit: int = 4096,
        random_width: int = 1024,
        domain_hidden: int = 1024,
        strength: float = 1.0,
        batch_norm: BatchNormMode = "separate",
        label_smoothing: float = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("sgd", lr=0.01, momentum=0.9, schedule="inverse_decay"),
    ) -> None:
        super().__init__()
        self.classifier, self.augmentation = classifier, augmentation
        features: int = classifier.n_features  # type: ignore[assignment]
        self.map = MultilinearMap(features, data.n_outputs, limit, random_width)
        self.domain_head = DomainHead(self.map.width, domain_hidden)
        self.entropy_conditioning, self.class_gradient = entropy_conditioning, class_gradient
        self.strength, self.batch_norm = strength, batch_norm
        self.task, self.optimizer = task_of(data, label_smoothing), optimizer

    def phases(self) -> Sequence[Phase]:
        """One player: the reversal makes the game."""
        return [Phase("adaptation", ("classifier", "domain_head"), self.loss, self.optimizer)]

    def loss(self, batch: Batch) -> Losses:
        """Task loss on the source, conditional domain loss on both halves."""
        source, target = batch.source, batch.real
        x_s, x_t = augment_domains(self.augmentation, source, target)
        (logits_s, f_s), (logits_t, f_t) = forward_domains(self.classifier, x_s, x_t, self.batch_norm)
        measure_classes(batch, logits_t)
        λ = self.strength * ramped(batch.progress)
        f_NF = reverse_gradient(torch.cat([f_s, f_t]).float(), λ)
        g_NK = reverse_gradient(torch.cat([logits_s, logits_t]).float().softmax(1), λ)
        domain_N = self.domain_head(self.map(f_NF, g_NK if self.class_gradient == "all" else g_NK.detach()))
        truth_N = domain_truth(domain_N, len(f_s))
        measure_domains(batch, domain_N, truth_N)
        weight_N = self.weights(g_NK.detach() if self.class_gradient == "none" else g_NK, len(f_s))
        return {
            "task": self.task.loss(logits_s, source.labels),
            "domain": (weight_N * F.binary_cross_entropy_with_logits(domain_N, truth_N, reduction="none")).sum(),
            **self.labelled_loss(batch),
        }

    def weights(self, g_NK: torch.Tensor, n_source: int) -> torch.Tensor:
        """What each image counts; each domain's half adds up to ½."""
        weight_N = 1 + (-entropy(g_NK)).exp() if self.entropy_conditioning else torch.ones_like(g_NK[:, 0])
        halves = (weight_N[:n_source], weight_N[n_source:])
        return torch.cat([half / (2 * half.sum().detach()) for half in halves])


class MultilinearMap(nn.Module):
    """f ⊗ g, or where that is too wide a random image of it whose inner products agree on average.

        T(f, g) = f ⊗ g when F·K ≤ limit, else (R_f f) ⊙ (R_g g) / √d   (2018, eq. 5–6)

    R_f and R_g are drawn once from N(0, 1) and stay. (N, F), (N, K) -> (N, width).

    Args:
        features: F.
        classes: K.
        limit: largest F·K of the full map.
        random_width: d.
    """

    random_f: torch.Tensor
    random_g: torch.Tensor

    def __init__(self, features: int, classes: int, limit: int = 4096, random_width: int = 1024) -> None:
        super().__init__()
        self.randomized = features * classes > limit
        self.width = random_width if self.randomized else features * classes
        if self.randomized:
            self.register_buffer("random_f", torch.randn(features, random_width))
            self.register_buffer("random_g", torch.randn(classes, random_width))

    def forward(self, f_NF: torch.Tensor, g_NK: torch.Tensor) -> torch.Tensor:
        """The joint variable, (N, width)."""
        if self.randomized:
            joint_ND: torch.Tensor = (f_NF @ self.random_f) * (g_NK @ self.random_g) / math.sqrt(self.width)
            return joint_ND
        return (g_NK[:, :, None] * f_NF[:, None]).flatten(1)
