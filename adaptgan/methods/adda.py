"""ADDA: adversarial discriminative domain adaptation (Tzeng et al. 2017)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from adaptgan.components import nested
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import ClassifierMethod, Losses, OptimizerOptions, Phase
from adaptgan.methods.heads import Assembled, take_head
from adaptgan.methods.tasks import task_of
from adaptgan.methods.two_domains import domain_truth, measure_classes, measure_domains
from adaptgan.networks.domain import DomainHead

PAPER = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999))


class ADDA(ClassifierMethod):
    """First a source network; then an encoder for the target, whose features a domain head takes for the source's.

        first  min_s,g  task(g(s(x_s)), y_s)
        then   min_t  −log d(t(x_t)),   min_d  −log d(s(x_s)) − log(1 − d(t(x_t)))   (2017, eq. 5, 7, 9)

    s and the head g stay as they are from then on, and g(t(x)) predicts. t is a copy of s: it follows s to the end of
    the first part, so that the switch needs no memory of its own. In the second part s normalizes by its running
    statistics, as it would predict; t by the target batch's, and its running ones follow the target.

    Args:
        data: what is learned.
        classifier: s and g; a network that ends in a layer `head`, which is g.
        augmentation: what is done to both domains' images.
        source: share of the training that is the first part.
        domain_input: what d sees: the encoders' `features`, or the head's `logits` of them (the authors' digits code).
        domain_hidden: units of each of d's two hidden layers.
        label_smoothing: share of the label spread over all classes; the paper has none.
        optimizer: how s and g learn.
        encoder_optimizer: how t learns.
        domain_optimizer: how d learns.
    """

    needs_target = True
    tasks = ("classification", "regression")
    training_only = ("domain_head",)

    def __init__(
        self,
        data: DataInfo,
        classifier: nn.Module = nested("network", "conv_classifier"),
        augmentation: nn.Module = nested("augmentation", "warp"),
        source: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        domain_input: Literal["features", "logits"] = "features",
        domain_hidden: int = 500,
        label_smoothing: float = 0.0,
        optimizer: OptimizerOptions = PAPER,
        encoder_optimizer: OptimizerOptions = PAPER,
        domain_optimizer: OptimizerOptions = PAPER,
    ) -> None:
        super().__init__()
        self.classifier, self.augmentation = classifier, augmentation
        self.target_encoder = copy.deepcopy(classifier)
        take_head(self.target_encoder)
        width: int = classifier.n_features if domain_input == "features" else data.n_outputs  # type: ignore[assignment]
        self.domain_head = DomainHead(width, domain_hidden)
        self.source, self.domain_input = source, domain_input
        self.task, self.optimizer = task_of(data, label_smoothing), optimizer
        self.encoder_optimizer, self.domain_optimizer = encoder_optimizer, domain_optimizer

    def phases(self) -> Sequence[Phase]:
        """The source network; then target encoder and domain head in turn."""
        return [
            Phase("source", ("classifier",), self.source_loss, self.optimizer, stop=self.source, after=self.follow),
            Phase("encoder", ("target_encoder",), self.encoder_loss, self.encoder_optimizer, start=self.source),
            Phase("discriminator", ("domain_head",), self.domain_loss, self.domain_optimizer, start=self.source),
        ]

    def source_loss(self, batch: Batch) -> Losses:
        """Task loss on the source."""
        x_s = self.augmentation(batch.source.images_NCHW, batch.source.seeds_N)
        return {"task": self.task.loss(self.classifier(x_s), batch.source.labels)}

    def follow(self, batch: Batch) -> None:
        """The target encoder is the source's until the switch: weights and running statistics."""
        theirs = self.classifier.state_dict()
        for name, value in self.target_encoder.state_dict().items():
            value.copy_(theirs[name])

    def encoder_loss(self, batch: Batch) -> Losses:
        """Target features must pass for source ones: the label is inverted, the gradient does not vanish (eq. 7)."""
        x_t = self.augmentation(batch.real.images_NCHW, batch.real.seeds_N)
        _, f_t = self.target_encoder(x_t, features=True)
        outputs_t = self.classifier.head(f_t)  # type: ignore[operator]
        if self.task.name == "classification":
            measure_classes(batch, outputs_t)
        seen_t = f_t if self.domain_input == "features" else outputs_t
        batch.shared["target"] = seen_t.detach()
        return {"adversarial": F.softplus(-self.domain_head(seen_t)).mean()}

    def domain_loss(self, batch: Batch) -> Losses:
        """Source against target, both encoders frozen; the target's features are those the encoder just showed."""
        self.classifier.eval()
        with torch.no_grad():
            x_s = self.augmentation(batch.source.images_NCHW, batch.source.seeds_N)
            outputs_s, f_s = self.classifier(x_s, features=True)
        seen_s, seen_t = f_s if self.domain_input == "features" else outputs_s, batch.shared["target"]
        domain_N = self.domain_head(torch.cat([seen_s, seen_t]))
        truth_N = domain_truth(domain_N, len(seen_s))
        measure_domains(batch, domain_N, truth_N)
        return {"domain": F.binary_cross_entropy_with_logits(domain_N, truth_N)}

    def predictor(self) -> nn.Module:
        """The target encoder with the source's head."""
        return Assembled(self.target_encoder, self.classifier.head)  # type: ignore[arg-type]
