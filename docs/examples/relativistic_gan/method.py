"""RGAN: the relativistic discriminator (Jolicoeur-Martineau 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from adaptgan import GenerativeMethod, OptimizerOptions, Phase, nested
from adaptgan.data.batch import Batch
from adaptgan.methods.base import Losses


class RelativisticGAN(GenerativeMethod):
    """A critic C that says how much more real an image is than a generated one, and a generator G. Algorithm 1:

        repeat n_D times:
            x, z;  C ascends  1/m Σ f(C(x) − C(G(z)))
        then:
            x, z;  G ascends  1/m Σ f(C(G(z)) − C(x))

    with f(d) = log σ(d), the paper's RSGAN: σ(C(x) − C(G(z))) is the probability that x is more real than G(z).

    G's turn looks at the images of C's first turn, with a z of its own.

    Args:
        generator: G.
        critic: C.
        repeats: n_D, C's turns for one of G's.
        ema: decay of the averaged generator, which samples are made with; the paper has none.
        optimizer: how C learns.
        generator_optimizer: how G learns.
    """

    training_only = ("generator", "critic")

    def __init__(
        self,
        generator: nn.Module = nested("network", "dcgan_generator"),
        critic: nn.Module = nested("network", "dcgan_discriminator", norm="none"),
        repeats: Annotated[int, Field(ge=1)] = 1,
        ema: Annotated[float, Field(ge=0, lt=1)] = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
    ) -> None:
        super().__init__(generator, ema)
        self.critic, self.repeats = critic, repeats
        self.optimizer, self.generator_optimizer = optimizer, generator_optimizer

    def phases(self) -> Sequence[Phase]:
        """C's turns, then G's."""
        return [
            Phase("critic", ("critic",), self.critic_loss, self.optimizer, repeats=self.repeats),
            Phase("generator", ("generator",), self.generator_loss, self.generator_optimizer, after=self.follow),
        ]

    def critic_loss(self, batch: Batch) -> Losses:
        """−1/m Σ f(C(x) − C(G(z))): what is ascended is minimized with its sign turned."""
        x, y = batch.source.images_NCHW, self.labels(batch)
        with torch.no_grad():  # G has no part in this turn
            made = self.draw(self.noise(x), y)
        return {"relativistic": -f(self.judge(x, y) - self.judge(made, y)).mean()}

    def generator_loss(self, batch: Batch) -> Losses:
        """−1/m Σ f(C(G(z)) − C(x))."""
        x, y = batch.source.images_NCHW, self.labels(batch)
        made = self.draw(self.noise(x), y)
        batch.shared["fake"] = made.detach()  # a guard may look at it after the step
        return {"relativistic": -f(self.judge(made, y) - self.judge(x, y)).mean()}

    def draw(self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None) -> torch.Tensor:
        """G(z), of the classes y where G knows some."""
        images_NCHW: torch.Tensor = self.generator(z_NZ) if labels_N is None else self.generator(z_NZ, labels_N)
        return images_NCHW

    def judge(self, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None) -> torch.Tensor:
        """C's value of each image, (N,); in float32 whatever the networks compute in."""
        values_N: torch.Tensor = self.critic(images_NCHW) if labels_N is None else self.critic(images_NCHW, labels_N)
        return values_N.float()


def f(difference_N: torch.Tensor) -> torch.Tensor:
    """The logarithm of σ(d), finite where σ(d) itself would be 0."""
    return F.logsigmoid(difference_N)
