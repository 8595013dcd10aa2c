"""Conditional GAN: the class is given to both players (Mirza & Osindero 2014)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.errors import ParamsError
from adaptgan.methods.base import OptimizerOptions
from adaptgan.methods.generative import TwoPlayers
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty


class ConditionalGAN(TwoPlayers):
    """Goodfellow's game, played for each class y at once. Eq. 2:

        min_G max_D  E[log D(x|y)] + E[log(1 − D(G(z|y)|y))]

        for each step:
            repeat k times:  x with its y, z;  D ascends    log D(x|y) + log(1 − D(G(z|y)|y))
            then:            z, the same y;    G descends   log(1 − D(G(z|y)|y))

    y goes in one-hot. As in §4.1, z and y first have a layer each in G (200 and 1000 units, then 1200), x and y in D
    (240 and 50 maxout units, then 240; of 5 pieces, where the paper's last has 4), with dropout of a half in both.
    The momentum is the paper's at the start, and so is the learning rate, which it lets decay. z is normal here,
    uniform there.

    Args:
        generator: G; it must be conditional.
        discriminator: D; it must take the label.
        adversarial: what they play for.
        penalties: regularizers of D; the paper has none.
        augmentation: what is done to all images before D sees them; the paper does nothing.
        repeats: k, D's turns for one of G's.
        ema: decay of the averaged generator, which samples are made with; the paper has none.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    def __init__(
        self,
        generator: nn.Module = nested(
            "network", "plain_generator", conditional=True, apart=[200, 1000], widths=[1200], dropout=0.5
        ),
        discriminator: nn.Module = nested(
            "network", "plain_discriminator", conditional="concat", apart=[240, 50], widths=[240], input_dropout=0.0
        ),
        adversarial: Adversarial = nested("objective", "minimax"),
        penalties: Sequence[Penalty] = nested_list("penalty"),
        augmentation: Augmentation = nested("augmentation", "none"),
        repeats: int = 1,
        ema: float = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("sgd", lr=0.1, momentum=0.5),
        generator_optimizer: OptimizerOptions = OptimizerOptions("sgd", lr=0.1, momentum=0.5),
    ) -> None:
        if not generator.conditional:
            raise ParamsError("cgan: its generator must be conditional. Give it `conditional: true`, or train a `gan`.")
        super().__init__(
            generator, discriminator, adversarial, penalties, augmentation, repeats, ema, optimizer, generator_optimizer
        )
