"""LSGAN: least squares generative adversarial networks (Mao et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.methods.base import OptimizerOptions
from adaptgan.methods.generative import TwoPlayers
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty


class LSGAN(TwoPlayers):
    """D's logit l is itself held to 1 on real images and to 0 on generated ones. Eq. 2 with eq. 9's a = 0, b = c = 1:

        min_D  ½ E[(l(x) − 1)²] + ½ E[l(G(z))²]
        min_G  ½ E[(l(G(z)) − 1)²]

    A generated image that D takes for real, but that lies far from the boundary, still has a gradient: under
    cross-entropy it has none (§3.2). With a = −1, b = 1, c = 0 the game minimizes Pearson's χ² (eq. 8); the paper found
    both to do alike and trained with these.

    The networks are DCGAN's; the learning rate is the paper's for scenes.

    Args:
        generator: G.
        discriminator: D.
        adversarial: what they play for.
        penalties: regularizers of D; the paper has none.
        augmentation: what is done to all images before D sees them; the paper does nothing.
        repeats: D's turns for one of G's.
        ema: decay of the averaged generator, which samples are made with; the paper has none.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    def __init__(
        self,
        generator: nn.Module = nested("network", "dcgan_generator"),
        discriminator: nn.Module = nested("network", "dcgan_discriminator"),
        adversarial: Adversarial = nested("objective", "least_squares"),
        penalties: Sequence[Penalty] = nested_list("penalty"),
        augmentation: Augmentation = nested("augmentation", "none"),
        repeats: int = 1,
        ema: float = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-3, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-3, betas=(0.5, 0.999)),
    ) -> None:
        super().__init__(
            generator, discriminator, adversarial, penalties, augmentation, repeats, ema, optimizer, generator_optimizer
        )
