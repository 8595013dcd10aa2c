"""Conditional image synthesis with auxiliary classifier GANs (Odena et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Losses, OptimizerOptions, Phase
from adaptgan.methods.generative import TwoPlayers
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty

Read = tuple[torch.Tensor, torch.Tensor]
"""What D says of images: logits (N,) of real against generated, and logits (N, K) of the classes."""


class ACGAN(TwoPlayers):
    """D also says which class an image is of, real ones and generated ones; G helps it there. Eq. 2 and 3:

        L_S = E log P(S = real | x) + E log P(S = generated | G(z, y))
        L_C = E log P(C = y | x)    + E log P(C = y | G(z, y))

        for each step:
            repeat k times:  x with its y, z;  D maximizes  L_S + L_C
            then:            z, the same y;    G maximizes  L_C − L_S

    C's logits are a linear layer, `head`, over D's last hidden layer; it learns with D, which does not see y. The
    paper's networks are strided convolutions as here, and dropout in D.

    Args:
        data: the classes.
        generator: G; it must be conditional.
        discriminator: D, with `n_features`.
        adversarial: L_S; `non_saturating` where D wins early.
        penalties: regularizers of D.
        augmentation: what is done to all images before D sees them; the paper does nothing.
        class_weight: of L_C in G's loss; the paper's is 1. More makes the classes plainer and their images more alike.
        repeats: k, D's turns for one of G's.
        ema: decay of the averaged generator, which samples are made with; the paper has none.
        optimizer: how D and the head learn.
        generator_optimizer: how G learns.
    """

    training_only = (*TwoPlayers.training_only, "head")

    def __init__(
        self,
        data: DataInfo,
        generator: nn.Module = nested("network", "dcgan_generator", conditional=True),
        discriminator: nn.Module = nested("network", "dcgan_discriminator"),
        adversarial: Adversarial = nested("objective", "minimax"),
        penalties: Sequence[Penalty] = nested_list("penalty"),
        augmentation: Augmentation = nested("augmentation", "none"),
        class_weight: float = 1.0,
        repeats: int = 1,
        ema: float = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
    ) -> None:
        if not generator.conditional:
            raise ParamsError("acgan.generator: it must be conditional. Give it `conditional: true`.")
        super().__init__(
            generator, discriminator, adversarial, penalties, augmentation, repeats, ema, optimizer, generator_optimizer
        )
        self.head = nn.Linear(int(discriminator.n_features), data.n_classes)  # type: ignore[arg-type]
        self.class_weight = class_weight

    def phases(self) -> Sequence[Phase]:
        """The two players', with the head on D's side."""
        return [
            replace(phase, trains=("discriminator", "head")) if "discriminator" in phase.trains else phase
            for phase in super().phases()
        ]

    def discriminator_loss(self, batch: Batch) -> Losses:
        """−(L_S + L_C) + penalties."""
        y, real = self.classes(batch), self.augmented(batch, self.real(batch), 0)
        fake = self.augmented(batch, self.fake(batch).detach(), 1)
        (real_N, real_NK), (fake_N, fake_NK) = self.read_both(real, fake)
        self.watch(batch, real_N, fake_N, self.real(batch), self.fake(batch))
        losses = {
            "real": self.adversarial.real(real_N).mean(),
            "generated": self.adversarial.fake(fake_N).mean(),
            "real_class": F.cross_entropy(real_NK, y),
            "generated_class": F.cross_entropy(fake_NK, y),
        }
        for penalty in self._penalties():
            if penalty.every == 1:
                losses |= penalty.terms(self.discriminator, real, fake, y, real_N)
        return losses

    def generator_loss(self, batch: Batch) -> Losses:
        """−(L_C − L_S), of what depends on G."""
        logits_N, logits_NK = self.read(self.augmented(batch, self.fake(batch), 2))
        return {
            "adversarial": self.adversarial.generator(logits_N).mean(),
            "class": self.class_weight * F.cross_entropy(logits_NK, self.classes(batch)),
        }

    def read(self, images_NCHW: torch.Tensor) -> Read:
        """Both logits, from one forward."""
        logits_N, features_NF = self.discriminator(images_NCHW, features=True)
        return logits_N, self.head(features_NF)

    def read_both(self, real: torch.Tensor, fake: torch.Tensor) -> tuple[Read, Read]:
        """Both logits of real and of generated images, in one forward unless D normalizes by the batch."""
        if self.discriminator.by_batch:
            return self.read(real), self.read(fake)
        logits_N, logits_NK = self.read(torch.cat([real, fake]))
        n = len(real)
        return (logits_N[:n], logits_NK[:n]), (logits_N[n:], logits_NK[n:])
