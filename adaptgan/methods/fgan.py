"""f-GAN: training generative neural samplers by variational divergence minimization (Nowozin et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.methods.base import OptimizerOptions
from adaptgan.methods.generative import TwoPlayers
from adaptgan.objectives.f_divergence import Divergence, FDivergence
from adaptgan.objectives.penalties import Penalty


class FGAN(TwoPlayers):
    """G minimizes an f-divergence of one's choice, as D's output v bounds it. Algorithm 1, the single-step method:

        F = E_x[ g_f(v(x)) ] − E_z[ f*(g_f(v(G(z)))) ]
        for each step:
            x, z;  D ascends   F
                   G descends  F;  or, with the trick (§3.2), ascends  E_z[ g_f(v(G(z))) ]

    g_f and f* are those of the divergence (see the objective `f_gan`). For most of them Algorithm 1 gives G a vanishing
    gradient where D wins; hence the trick, which keeps the fixed point and is the default here.

    Networks and Adam are DCGAN's, as in the paper's experiment on natural images.

    Args:
        generator: G.
        discriminator: D, whose output v goes through g_f.
        divergence: f.
        trick: G maximizes E[ T ] in place of minimizing −E[ f*(T) ].
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
        divergence: Divergence = "jensen_shannon",
        trick: bool = True,
        penalties: Sequence[Penalty] = nested_list("penalty"),
        augmentation: Augmentation = nested("augmentation", "none"),
        repeats: int = 1,
        ema: float = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
    ) -> None:
        adversarial = FDivergence(divergence, trick)
        super().__init__(
            generator, discriminator, adversarial, penalties, augmentation, repeats, ema, optimizer, generator_optimizer
        )
