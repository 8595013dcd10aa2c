"""GAN: generative adversarial nets (Goodfellow et al. 2014)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.methods.base import OptimizerOptions
from adaptgan.methods.generative import TwoPlayers
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty


class GAN(TwoPlayers):
    """The minimax game of a generator G and a discriminator D = σ(l), fully connected. Eq. 1 and Algorithm 1:

        min_G max_D  E[log D(x)] + E[log(1 − D(G(z)))]

        for each step:
            repeat k times:  x, z;  D ascends    1/m Σ log D(x) + log(1 − D(G(z)))
            then:            z;     G descends   1/m Σ log(1 − D(G(z)))

    With D at its best for the G at hand, D* = p/(p + p_G), G descends 2·JSD(p‖p_G) − log 4 (Theorem 1). Where D wins
    early, log(1 − D) is flat and G learns nothing: `adversarial: non_saturating`, −log D, is §3's remedy.

    Momentum and learning rate are those of the authors' code at the start. z is normal here, uniform there.

    Args:
        generator: G.
        discriminator: D.
        adversarial: what they play for.
        penalties: regularizers of D; the paper has none.
        augmentation: what is done to all images before D sees them; the paper does nothing.
        repeats: k, D's turns for one of G's; the paper used 1, "the least expensive option".
        ema: decay of the averaged generator, which samples are made with; the paper has none.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    def __init__(
        self,
        generator: nn.Module = nested("network", "plain_generator"),
        discriminator: nn.Module = nested("network", "plain_discriminator"),
        adversarial: Adversarial = nested("objective", "minimax"),
        penalties: Sequence[Penalty] = nested_list("penalty"),
        augmentation: Augmentation = nested("augmentation", "none"),
        repeats: int = 1,
        ema: float = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("sgd", lr=0.1, momentum=0.5),
        generator_optimizer: OptimizerOptions = OptimizerOptions("sgd", lr=0.1, momentum=0.5),
    ) -> None:
        super().__init__(
            generator, discriminator, adversarial, penalties, augmentation, repeats, ema, optimizer, generator_optimizer
        )
