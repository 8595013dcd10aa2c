"""DCGAN: unsupervised representation learning with deep convolutional GANs (Radford et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.methods.base import OptimizerOptions
from adaptgan.methods.generative import TwoPlayers
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty


class DCGAN(TwoPlayers):
    """Two convolutional networks that train steadily, by their architecture (§3) and their optimizer (§4):

        strides instead of pooling, both ways;  BatchNorm in both, but not in G's last layer and D's first;
        no hidden fully connected layer;  ReLU in G with tanh at the end, LeakyReLU 0.2 in D;
        weights from N(0, 0.02);  Adam, 2e-4, β₁ = 0.5, "the suggested 0.9 resulted in oscillation"

        for each step:
            x, z;  D minimizes  −E log D(x) − E log(1 − D(G(z)))
                   G minimizes  −E log D(G(z))

    Real and generated images go through D in batches of their own: each batch has its own statistics.

    Args:
        generator: G.
        discriminator: D.
        adversarial: what they play for.
        penalties: regularizers of D; the paper has none. A gradient penalty needs a D without BatchNorm.
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
        adversarial: Adversarial = nested("objective", "non_saturating"),
        penalties: Sequence[Penalty] = nested_list("penalty"),
        augmentation: Augmentation = nested("augmentation", "none"),
        repeats: int = 1,
        ema: float = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
    ) -> None:
        super().__init__(
            generator, discriminator, adversarial, penalties, augmentation, repeats, ema, optimizer, generator_optimizer
        )
