"""VADA: virtual adversarial domain adaptation (Shu et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from lightning_fabric import is_wrapped
from torch import nn
from torch.nn import functional as F

from adaptgan.components import nested
from adaptgan.data.batch import Batch
from adaptgan.methods.base import ClassifierMethod, Losses, OptimizerOptions, Phase
from adaptgan.methods.tasks import Classification
from adaptgan.methods.two_domains import (
    BatchNormMode,
    augment_domains,
    forward_domains,
    measure_classes,
    measure_domains,
)
from adaptgan.networks.domain import DomainHead
from adaptgan.networks.instance_norm import InstanceNormalized
from adaptgan.objectives.entropy import entropy
from adaptgan.objectives.virtual_adversarial import noiseless, virtual_adversarial_direction, virtual_adversarial_loss
from adaptgan.training.ema import EMA


class VADA(ClassifierMethod):
    """Domains alike in the features, and decision boundaries away from where the images are (the cluster assumption).

        min_h  CE(h(x_s), y_s) + λ_d L_d(x_s, x_t) + λ_s L_v(x_s) + λ_t ( L_c(x_t) + L_v(x_t) )
        min_d  ½ CE(d(f(x_s)), 1) + ½ CE(d(f(x_t)), 0)

    L_c is the entropy of h's predictions; L_v the virtual adversarial loss, KL(h(x)‖h(x + r)) for the worst r of length
    ε; L_d = ½ CE(d(f(x_s)), 0) + ½ CE(d(f(x_t)), 1) in turns with d, labels exchanged, as the paper replaces DANN's
    reversal. An average of h's weights predicts.

    Args:
        classifier: h, with features f.
        augmentation: what is done to both domains' images.
        domain: λ_d.
        source_smoothness: λ_s; the paper has 0 or 1.
        target_smoothness: λ_t; the paper has 0.01, or 0.1 for natural images.
        epsilon: ε, the 2-norm over a whole image.
        xi: ξ of the power iteration; not the paper's 1e-6, which float32 cannot resolve.
        iterations: of the power iteration.
        ramp: share of the training over which λ_d and λ_t rise from 0; the paper has none, and 80,000 steps.
        instance_norm: normalize each image by its own mean and deviation before h sees it.
        domain_hidden: units of the domain head's hidden layer.
        ema: decay of the averaged weights that predict.
        batch_norm: statistics shared by both domains (`joint`) or each domain's own (`separate`).
        label_smoothing: share of the label spread over all classes; the paper has none.
        optimizer: of both players.
    """

    needs_target = True
    takes_labelled = True
    training_only: ClassVar[tuple[str, ...]] = ("classifier", "domain_head")

    def __init__(
        self,
        classifier: nn.Module = nested("network", "conv_classifier"),
        augmentation: nn.Module = nested("augmentation", "warp"),
        domain: float = 0.01,
        source_smoothness: float = 1.0,
        target_smoothness: float = 0.01,
        epsilon: float = 3.5,
        xi: float = 0.1,
        iterations: int = 1,
        ramp: float = 0.0,
        instance_norm: bool = True,
        domain_hidden: int = 100,
        ema: float = 0.998,
        batch_norm: BatchNormMode = "separate",
        label_smoothing: float = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-3, betas=(0.5, 0.999)),
    ) -> None:
        super().__init__()
        self.classifier = InstanceNormalized(classifier) if instance_norm else classifier
        self.augmentation = augmentation
        self.domain_head = DomainHead(classifier.n_features, domain_hidden, layers=1)  # type: ignore[arg-type]
        self.average = EMA(self.classifier, ema)
        self.domain, self.source_smoothness, self.target_smoothness = domain, source_smoothness, target_smoothness
        self.epsilon, self.xi, self.iterations, self.ramp = epsilon, xi, iterations, ramp
        self.batch_norm, self.task, self.optimizer = batch_norm, Classification(label_smoothing), optimizer

    def phases(self) -> Sequence[Phase]:
        """Two players in turns."""
        return [
            Phase("classifier", ("classifier",), self.loss, self.optimizer, after=self.follow),
            Phase("domain", ("domain_head",), self.domain_loss, self.optimizer),
        ]

    def loss(self, batch: Batch) -> Losses:
        """The task, features that the domain head takes for the other domain's, and the cluster assumption."""
        source, target = batch.source, batch.real
        x_s, x_t = augment_domains(self.augmentation, source, target)
        (logits_s, f_s), (logits_t, f_t) = forward_domains(self.classifier, x_s, x_t, self.batch_norm)
        batch.shared["features"] = features_NF, truth_N = torch.cat([f_s, f_t]), _from_source(f_s, f_t)
        exchanged = F.binary_cross_entropy_with_logits(self.domain_head(features_NF), 1 - truth_N)
        measure_classes(batch, logits_t)
        w = min(1.0, batch.progress / self.ramp) if self.ramp else 1.0
        losses = {
            "task": self.task.loss(logits_s, source.labels),
            "domain": w * self.domain * exchanged,
            **self.cluster_losses(x_t, logits_t, w),
            **self.labelled_loss(batch),
        }
        if self.source_smoothness:
            losses["source_smoothness"] = self.source_smoothness * self.smoothness(x_s)
        return losses

    def domain_loss(self, batch: Batch) -> Losses:
        """The domain head's own cross-entropy, on the features that the classifier had a moment ago."""
        features_NF, truth_N = batch.shared["features"]
        logits_N = self.domain_head(features_NF.detach())
        measure_domains(batch, logits_N, truth_N)
        return {"domain": F.binary_cross_entropy_with_logits(logits_N, truth_N)}

    def cluster_losses(self, x_t: torch.Tensor, logits_t: torch.Tensor, w: float = 1.0) -> Losses:
        """λ_t ( L_c + L_v ) on the target, times the ramp's w."""
        if not self.target_smoothness:
            return {}
        return {
            "entropy": w * self.target_smoothness * entropy(logits_t.float().softmax(1)).mean(),
            "smoothness": w * self.target_smoothness * self.smoothness(x_t),
        }

    def smoothness(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """L_v of one domain's images."""
        # The search for r needs no weight's gradient, and under mixed precision the wrapper refuses it the images'.
        bare: Any = self.classifier.module if is_wrapped(self.classifier) else self.classifier
        with noiseless(self.classifier):
            return virtual_adversarial_loss(
                self.classifier, images_NCHW, self.epsilon, self.xi, self.iterations, probe=bare
            )

    def follow(self, batch: Batch) -> None:
        """The average follows the classifier."""
        self.average.update(self.classifier)

    def predictor(self) -> nn.Module:
        """The averaged network."""
        return self.average

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Target images, augmented, and the step that would change the prediction most."""
        images = self.augmentation(batch.real.images_NCHW[:16], batch.real.seeds_N[:16])
        network = self.average.network
        r = self.epsilon * virtual_adversarial_direction(network, images, network(images), self.xi, self.iterations)
        return {"target": images, "worst step": (images + r).clamp(-1, 1)}


def _from_source(f_s: torch.Tensor, f_t: torch.Tensor) -> torch.Tensor:
    return (torch.arange(len(f_s) + len(f_t), device=f_s.device) < len(f_s)).float()
