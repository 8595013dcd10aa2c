"""SNGAN: spectral normalization for generative adversarial networks (Miyato et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.methods.base import OptimizerOptions
from adaptgan.methods.generative import TwoPlayers
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty


class SNGAN(TwoPlayers):
    """Every layer of D has its weight divided by its largest singular value: D(x) is K-Lipschitz with a small K.

        for each step:
            repeat n_dis times:  x, z;  for each layer of D:  v ← Wᵀu / ‖Wᵀu‖,  u ← Wv / ‖Wv‖,  W̄ = W / uᵀWv
                                        D minimizes  E max(0, 1 − D(x)) + E max(0, 1 + D(G(z)))
            then:                z;     G minimizes  −E D(G(z))

    Algorithm 1 with the hinge loss, eq. 16 and 17, and the residual networks of tables 4 and 5. The normalization is
    built into the default D (`spectral_normalization`); a network without it gets it from the penalty `spectral_norm`.

    Args:
        generator: G.
        discriminator: D, spectrally normalized.
        adversarial: what they play for; the paper also has `non_saturating`.
        penalties: regularizers of D; `spectral_norm` for a D that is not built with it.
        augmentation: what is done to all images before D sees them; the paper does nothing.
        repeats: n_dis, D's turns for one of G's.
        ema: decay of the averaged generator, which samples are made with; the paper has none.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    def __init__(
        self,
        generator: nn.Module = nested("network", "resnet_generator"),
        discriminator: nn.Module = nested("network", "resnet_discriminator"),
        adversarial: Adversarial = nested("objective", "hinge"),
        penalties: Sequence[Penalty] = nested_list("penalty"),
        augmentation: Augmentation = nested("augmentation", "none"),
        repeats: int = 5,
        ema: float = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.0, 0.9)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.0, 0.9)),
    ) -> None:
        super().__init__(
            generator, discriminator, adversarial, penalties, augmentation, repeats, ema, optimizer, generator_optimizer
        )
