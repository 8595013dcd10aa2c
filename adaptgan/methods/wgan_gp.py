"""WGAN-GP: improved training of Wasserstein GANs (Gulrajani et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.methods.base import OptimizerOptions
from adaptgan.methods.generative import TwoPlayers
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty


class WGANGP(TwoPlayers):
    """A critic D whose gradient has norm 1 between the real and the generated images. Algorithm 1:

        repeat n_critic times:
            x, z, and ε ~ U(0, 1) for each image
            x̂ = ε x + (1 − ε) G(z)
            D minimizes  E D(G(z)) − E D(x) + λ E[ (‖∇D(x̂)‖₂ − 1)² ]
        then:
            z;  G minimizes  −E D(G(z))

    −(`real` + `generated`) of D's turns estimates the Wasserstein-1 distance, and falls as the images improve.

    BatchNorm is allowed in G only: the penalty is on each image's own gradient (§4).

    Args:
        generator: G.
        discriminator: D, the critic; without BatchNorm.
        adversarial: what they play for.
        penalties: regularizers of D; λ is the `weight` of `gradient_penalty`.
        augmentation: what is done to all images before D sees them; the paper does nothing.
        repeats: n_critic, D's turns for one of G's.
        ema: decay of the averaged generator, which samples are made with; the paper has none.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    def __init__(
        self,
        generator: nn.Module = nested("network", "dcgan_generator"),
        discriminator: nn.Module = nested("network", "dcgan_discriminator", norm="none"),
        adversarial: Adversarial = nested("objective", "wasserstein"),
        penalties: Sequence[Penalty] = nested_list("penalty", "gradient_penalty"),
        augmentation: Augmentation = nested("augmentation", "none"),
        repeats: int = 5,
        ema: float = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-4, betas=(0.0, 0.9)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-4, betas=(0.0, 0.9)),
    ) -> None:
        super().__init__(
            generator, discriminator, adversarial, penalties, augmentation, repeats, ema, optimizer, generator_optimizer
        )
