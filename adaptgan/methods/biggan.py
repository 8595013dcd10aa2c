"""BigGAN: large scale GAN training for high fidelity natural image synthesis (Brock et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch
from adaptgan.methods.base import Losses, OptimizerOptions
from adaptgan.methods.generative import TwoPlayers
from adaptgan.methods.projection_gan import check_knows_classes
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty
from adaptgan.objectives.weight_penalties import skewness


class BigGAN(TwoPlayers):
    """Residual, class-conditional, spectrally normalized in both players, G kept near orthogonal. §3 and appendix C:

        for each step:
            repeat 2 times:  x with its y, z;  D minimizes  E max(0, 1 − D(x, y)) + E max(0, 1 + D(G(z, y), y))
            then:            z, the same y;    G minimizes  −E D(G(z, y), y) + β Σ ‖WᵀW ⊙ (1 − I)‖²_F    (eq. 3)

    The sum is over G's weights but the shared class embedding. Samples are made by the average of G's weights (and of
    its running statistics); drawn with `truncation` t they come from z between −t and t: fewer kinds, each better
    (§3.1), which the orthogonal weights bear without artefacts.

    Args:
        generator: G; it must be conditional.
        discriminator: D; it must take the class by projection.
        adversarial: what they play for.
        penalties: regularizers of D; the paper's §4.2 tries `r1`.
        augmentation: what is done to all images before D sees them; the paper does nothing.
        orthogonal: β.
        repeats: D's turns for one of G's.
        ema: decay of the averaged generator.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    def __init__(
        self,
        generator: nn.Module = nested("network", "biggan_generator"),
        discriminator: nn.Module = nested("network", "biggan_discriminator"),
        adversarial: Adversarial = nested("objective", "hinge"),
        penalties: Sequence[Penalty] = nested_list("penalty"),
        augmentation: Augmentation = nested("augmentation", "none"),
        orthogonal: Annotated[float, Field(ge=0)] = 1e-4,
        repeats: int = 2,
        ema: float = 0.9999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.0, 0.999)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=5e-5, betas=(0.0, 0.999)),
    ) -> None:
        check_knows_classes(generator, discriminator, "biggan")
        super().__init__(
            generator, discriminator, adversarial, penalties, augmentation, repeats, ema, optimizer, generator_optimizer
        )
        self.orthogonal = orthogonal

    def generator_loss(self, batch: Batch) -> Losses:
        """−E D(G(z, y), y) + β Σ ‖WᵀW ⊙ (1 − I)‖²_F."""
        losses = super().generator_loss(batch)
        if self.orthogonal:
            losses["orthogonal"] = self.orthogonal * skewness(self.generator)
        return losses
