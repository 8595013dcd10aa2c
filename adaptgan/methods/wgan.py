"""WGAN: Wasserstein generative adversarial networks (Arjovsky et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch
from adaptgan.methods.base import OptimizerOptions, Phase
from adaptgan.methods.generative import TwoPlayers, given
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty

FIRST = 25
"""G's steps at the start that the critic prepares at length."""

PERIOD = 500
"""Of G's steps after them, one in so many is prepared at length, too."""


class WGAN(TwoPlayers):
    """A critic D, as good as it gets at any time, of bounded weights and so of bounded slope. Algorithm 1:

        repeat n_critic times:
            x, z;  D ascends  E D(x) − E D(G(z))
            w ← clip(w, −c, c)
        then:
            z;  G ascends  E D(G(z))

    −(`real` + `generated`) of D's turns estimates the Wasserstein-1 distance up to a factor, which is D's slope.

    Algorithm 1 is the whole of it with `prepare: 0`. The authors' code has D take 100 steps, not 5, before each of G's
    first 25 and before each 500th (`prepare: 100`). A training step has `repeats` of D's turns at all times, so that G
    then waits for `prepare / repeats` training steps.

    Args:
        generator: G.
        discriminator: D, the critic.
        adversarial: what they play for.
        penalties: regularizers of D; c is the `limit` of `weight_clip`.
        augmentation: what is done to all images before D sees them; the paper does nothing.
        prepare: D's turns before each of G's first 25 steps, and each 500th; 0 for as many as before all others.
        repeats: n_critic, D's turns for one of G's.
        ema: decay of the averaged generator, which samples are made with; the paper has none.
        optimizer: how D learns; momentum made it unstable (§4.3).
        generator_optimizer: how G learns.
    """

    def __init__(
        self,
        generator: nn.Module = nested("network", "dcgan_generator"),
        discriminator: nn.Module = nested("network", "dcgan_discriminator"),
        adversarial: Adversarial = nested("objective", "wasserstein"),
        penalties: Sequence[Penalty] = nested_list("penalty", "weight_clip"),
        augmentation: Augmentation = nested("augmentation", "none"),
        prepare: Annotated[int, Field(ge=0)] = 0,
        repeats: int = 5,
        ema: float = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("rmsprop", lr=5e-5),
        generator_optimizer: OptimizerOptions = OptimizerOptions("rmsprop", lr=5e-5),
    ) -> None:
        super().__init__(
            generator, discriminator, adversarial, penalties, augmentation, repeats, ema, optimizer, generator_optimizer
        )
        self.wait = max(1, math.ceil(prepare / repeats))

    def phases(self) -> Sequence[Phase]:
        """D's turns; G's, when D had all that it prepares with."""
        *play, generate = super().phases()
        return [*play, Patient(**vars(generate), wait=self.wait)]

    def fake(self, batch: Batch) -> torch.Tensor:
        """G(z); without a graph in a step in which G has no turn."""
        if "fake" not in batch.shared and not prepared(batch.step, self.wait):
            with torch.no_grad():
                fake = self.generator(self.noise(batch.source.images_NCHW), *given(self.labels(batch)))
            batch.shared["fake"] = fake
        return super().fake(batch)


@dataclass(frozen=True)
class Patient(Phase):
    """G's turn, which waits for D.

    Attributes:
        wait: training steps, for each of the first and for each 500th of its turns.
    """

    wait: int = 1

    def active(self, step: int) -> bool:
        """Whether D had its turns by now."""
        return super().active(step) and prepared(step, self.wait)


def prepared(step: int, wait: int) -> bool:
    """Whether G learns in this training step: in each, but its turns 0 to 24, 500, 1000, … take `wait` steps."""
    if step < FIRST * wait:
        return step % wait == wait - 1
    since = step - FIRST * wait - (PERIOD - FIRST)  # training steps since its turn 500 began to be prepared
    return since % (PERIOD - 1 + wait) >= wait - 1
