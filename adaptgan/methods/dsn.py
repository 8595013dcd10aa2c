"""DSN: domain separation networks (Bousmalis et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.components import nested
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.base import ClassifierMethod, Losses, OptimizerOptions, Phase
from adaptgan.methods.tasks import task_of
from adaptgan.methods.two_domains import (
    BatchNormMode,
    augment_domains,
    domain_truth,
    forward_domains,
    measure_classes,
    measure_domains,
)
from adaptgan.networks.domain import DomainHead
from adaptgan.networks.layers import reverse_gradient
from adaptgan.objectives.discrepancy import DSN_BANDWIDTHS, mmd2
from adaptgan.objectives.separation import simse, soft_orthogonality


class DSN(ClassifierMethod):
    """What the domains share is told apart from what is private to each; the task sees the shared part alone.

        min  CE(g(c(x_s)), y_s)
             + α · Σ_s,t SIMSE(x, d(c(x) + p(x)))
             + β · Σ_s,t ‖HcᵀHp‖²_F
             + γ · L_similarity(c(x_s), c(x_t))                                                   (2016, eq. 1)

    c is the classifier up to its last layer g, p a private encoder for each domain, d a decoder for both. L_similarity
    is a domain head's cross-entropy behind a gradient reversal (eq. 6), or MMD² with 19 Gaussian kernels (eq. 7),
    biased and summed over the kernels as in the authors' code. In H, features lose their mean and each image's have
    length 1, as in that code (see `soft_orthogonality`), which also averages the squares over the F × F entries; the
    paper's β belongs to that mean, and with the sum it is so large that it keeps the task from being learned.

    Args:
        data: what is learned.
        classifier: c and g.
        augmentation: what is done to both domains' images.
        source_private: p of the source.
        target_private: p of the target.
        decoder: d.
        reconstruction: α.
        difference: β.
        similarity: which L_similarity.
        similarity_weight: γ.
        difference_reduction: the mean over the entries of HcᵀHp, as the authors' code, or the sum, as the formula.
        start: share of the training on the task alone; the paper's 10,000 steps.
        domain_hidden: units of the domain head's hidden layer.
        batch_norm: statistics shared by both domains (`joint`) or each domain's own (`separate`).
        label_smoothing: share of the label spread over all classes; the paper has none.
        optimizer: the paper's SGD with momentum; its rate also falls by a tenth each 20,000 steps.
    """

    needs_target = True
    takes_labelled = True
    tasks = ("classification", "regression")
    training_only = ("source_private", "target_private", "decoder", "domain_head")

    def __init__(
        self,
        data: DataInfo,
        classifier: nn.Module = nested("network", "conv_classifier"),
        augmentation: nn.Module = nested("augmentation", "warp"),
        source_private: nn.Module = nested("network", "private_encoder"),
        target_private: nn.Module = nested("network", "private_encoder"),
        decoder: nn.Module = nested("network", "shared_decoder"),
        reconstruction: float = 0.01,
        difference: float = 0.075,
        similarity: Literal["dann", "mmd"] = "dann",
        similarity_weight: float = 0.25,
        difference_reduction: Literal["mean", "sum"] = "mean",
        start: float = 0.1,
        domain_hidden: int = 100,
        batch_norm: BatchNormMode = "separate",
        label_smoothing: float = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("sgd", lr=0.01, momentum=0.9),
    ) -> None:
        super().__init__()
        self.classifier, self.augmentation = classifier, augmentation
        self.source_private, self.target_private, self.decoder = source_private, target_private, decoder
        n_features: int = classifier.n_features  # type: ignore[assignment]
        for name in ("source_private", "target_private", "decoder"):
            if (found := getattr(self, name).n_features) != n_features:
                raise ParamsError(
                    f"dsn: shared and private features are added, so {name} must have as many as the classifier, "
                    f"{n_features}; found {found}. Set its option `hidden: {n_features}`."
                )
        self.domain_head = DomainHead(n_features, domain_hidden, layers=1) if similarity == "dann" else None
        self.reconstruction, self.difference = reconstruction, difference
        self.similarity_weight, self.mean_difference = similarity_weight, difference_reduction == "mean"
        self.start, self.batch_norm = start, batch_norm
        self.task, self.optimizer = task_of(data, label_smoothing), optimizer

    def phases(self) -> Sequence[Phase]:
        """One player."""
        heads = () if self.domain_head is None else ("domain_head",)
        trains = ("classifier", "source_private", "target_private", "decoder", *heads)
        return [Phase("separation", trains, self.loss, self.optimizer)]

    def loss(self, batch: Batch) -> Losses:
        """The task; from `start` on also reconstruction, difference and similarity."""
        source, target = batch.source, batch.real
        x_s, x_t = augment_domains(self.augmentation, source, target)
        (outputs, c_s), (outputs_t, c_t) = forward_domains(self.classifier, x_s, x_t, self.batch_norm)
        if self.task.name == "classification":
            measure_classes(batch, outputs_t)
        losses = {"task": self.task.loss(outputs, source.labels), **self.labelled_loss(batch)}
        if batch.progress < self.start:
            return losses
        p_s, p_t = self.source_private(x_s), self.target_private(x_t)
        rebuilt_s, rebuilt_t = self.decoder(torch.cat([c_s + p_s, c_t + p_t])).split([len(x_s), len(x_t)])
        reconstruction = simse(x_s, rebuilt_s).mean() + simse(x_t, rebuilt_t).mean()
        difference = soft_orthogonality(c_s, p_s) + soft_orthogonality(c_t, p_t)
        if self.mean_difference:
            difference = difference / c_s.shape[1] ** 2
        return losses | {
            "reconstruction": self.reconstruction * reconstruction,
            "difference": self.difference * difference,
            "similarity": self.similarity_weight * self.similarity_loss(batch, c_s, c_t),
        }

    def similarity_loss(self, batch: Batch, c_s: torch.Tensor, c_t: torch.Tensor) -> torch.Tensor:
        """L_similarity of the shared features, not weighted."""
        if self.domain_head is None:
            return len(DSN_BANDWIDTHS) * mmd2(c_s, c_t, DSN_BANDWIDTHS, "biased")
        domain_N = self.domain_head(reverse_gradient(torch.cat([c_s, c_t]), 1.0))
        truth_N = domain_truth(domain_N, len(c_s))
        measure_domains(batch, domain_N, truth_N)
        return F.binary_cross_entropy_with_logits(domain_N, truth_N)

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Images of both domains, and what the decoder makes of all their features, the shared and the private ones."""
        images: dict[str, torch.Tensor] = {}
        for domain, side, private in (
            ("source", batch.source, self.source_private),
            ("target", batch.real, self.target_private),
        ):
            x = side.images_NCHW[:16]
            c, p = self.features(x), private(x)
            images[domain] = x
            for part, features in (("shared and private", c + p), ("shared", c), ("private", p)):
                images[f"{domain} from {part}"] = _at_brightness_of(x, self.decoder(features))
        return images


def _at_brightness_of(x_NCHW: torch.Tensor, rebuilt_NCHW: torch.Tensor) -> torch.Tensor:
    """With the mean of the image itself, which SIMSE leaves open."""
    shift_N111 = (x_NCHW - rebuilt_NCHW.float()).mean((1, 2, 3), keepdim=True)
    return (rebuilt_NCHW + shift_N111).clamp(-1, 1)
