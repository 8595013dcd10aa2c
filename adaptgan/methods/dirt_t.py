"""DIRT-T: decision-boundary iterative refinement training with a teacher (Shu et al. 2018)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from adaptgan.components import nested
from adaptgan.data.batch import Batch
from adaptgan.methods.base import Losses, OptimizerOptions, Phase
from adaptgan.methods.two_domains import BatchNormMode, measure_classes
from adaptgan.methods.vada import VADA
from adaptgan.objectives.virtual_adversarial import kl_divergence


class DIRTT(VADA):
    """VADA; then the source, whose best classifier may not be the target's, is left behind:

        min_h  β KL(h′(x_t)‖h(x_t)) + λ_t ( L_c(x_t) + L_v(x_t) )

    The teacher h′ is the iterate before: what the averaged weights were at the last multiple of `interval` steps
    (`previous`), or are now (`average`). Each round then is one small step of a natural gradient towards boundaries in
    empty space. The average predicts.

    Args:
        classifier: h, with features f.
        augmentation: what is done to both domains' images.
        vada: share of the training that is VADA.
        refinement: β.
        teacher: what h′ is.
        interval: steps from one `previous` teacher to the next; the paper's 5,000 of 80,000.
        domain: λ_d, of VADA.
        source_smoothness: λ_s, of VADA; the paper has 0 or 1.
        target_smoothness: λ_t; the paper has 0.01, or 0.1 for natural images.
        epsilon: ε, the 2-norm over a whole image.
        xi: ξ of the power iteration; not the paper's 1e-6, which float32 cannot resolve.
        iterations: of the power iteration.
        ramp: share of the training over which λ_d and λ_t rise from 0, in VADA; the paper has none.
        instance_norm: normalize each image by its own mean and deviation before h sees it.
        domain_hidden: units of the domain head's hidden layer.
        ema: decay of the averaged weights that predict.
        batch_norm: statistics shared by both domains (`joint`) or each domain's own (`separate`), in VADA.
        label_smoothing: share of the label spread over all classes; the paper has none.
        optimizer: of VADA's players.
        refinement_optimizer: of the second part; one that equals `optimizer` keeps its moments.
    """

    training_only = ("classifier", "domain_head", "previous")

    updates: torch.Tensor

    def __init__(
        self,
        classifier: nn.Module = nested("network", "conv_classifier"),
        augmentation: nn.Module = nested("augmentation", "warp"),
        vada: Annotated[float, Field(gt=0, lt=1)] = 0.6,
        refinement: float = 0.01,
        teacher: Literal["previous", "average"] = "previous",
        interval: Annotated[int, Field(ge=1)] = 5000,
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
        refinement_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-3, betas=(0.5, 0.999)),
    ) -> None:
        super().__init__(
            classifier=classifier,
            augmentation=augmentation,
            domain=domain,
            source_smoothness=source_smoothness,
            target_smoothness=target_smoothness,
            epsilon=epsilon,
            xi=xi,
            iterations=iterations,
            ramp=ramp,
            instance_norm=instance_norm,
            domain_hidden=domain_hidden,
            ema=ema,
            batch_norm=batch_norm,
            label_smoothing=label_smoothing,
            optimizer=optimizer,
        )
        self.previous = copy.deepcopy(self.average.network) if teacher == "previous" else None
        self.vada, self.refinement, self.interval = vada, refinement, interval
        self.refinement_optimizer = refinement_optimizer
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def phases(self) -> Sequence[Phase]:
        """VADA's players, then the classifier alone."""
        first = [replace(phase, stop=self.vada) for phase in super().phases()]
        second = Phase(
            "refinement",
            ("classifier",),
            self.refinement_loss,
            self.refinement_optimizer,
            start=self.vada,
            after=self.follow_and_teach,
        )
        return [*first, second]

    def refinement_loss(self, batch: Batch) -> Losses:
        """Agreement with the teacher, and the cluster assumption, on the target alone."""
        target = batch.real
        x_t = self.augmentation(target.images_NCHW, target.seeds_N)
        logits_t: torch.Tensor = self.classifier(x_t)
        measure_classes(batch, logits_t)
        return {
            "teacher": self.refinement * kl_divergence(self.teach(x_t), logits_t).mean(),
            **self.cluster_losses(x_t, logits_t),
            **self.labelled_loss(batch),
        }

    @torch.no_grad()
    def teach(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """The teacher's logits, (N, K), with its running statistics."""
        teacher = self.average if self.previous is None else self.previous
        logits_NK: torch.Tensor = teacher.eval()(images_NCHW)
        return logits_NK

    def follow(self, batch: Batch) -> None:
        """In VADA's part: the average follows the classifier, and the first teacher is the average."""
        super().follow(batch)
        if self.previous is not None:
            self.previous.load_state_dict(self.average.network.state_dict())

    def follow_and_teach(self, batch: Batch) -> None:
        """In the second part: a new teacher each `interval` steps, decided on the device."""
        super().follow(batch)
        self.updates += 1
        if self.previous is None:
            return
        due = self.updates % self.interval == 0
        ours, news = self.previous.state_dict(), self.average.network.state_dict()
        for name, value in ours.items():
            value.copy_(torch.where(due, news[name], value))
