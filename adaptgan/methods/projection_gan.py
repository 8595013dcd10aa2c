"""cGANs with a projection discriminator (Miyato & Koyama 2018)."""

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


class ProjectionGAN(TwoPlayers):
    """Both players know the class y: D by an inner product of y's embedding e with its features φ, G by batch norm.

        D(x, y) = w·φ(x) + ⟨e(y), φ(x)⟩                                    (eq. 3 and 4)

        for each step:
            repeat n_dis times:  x with its y, z;  D minimizes  E max(0, 1 − D(x, y)) + E max(0, 1 + D(G(z, y), y))
            then:                z, the same y;    G minimizes  −E D(G(z, y), y)

    That is the form which D's optimum has where log q(y|x)/p(y|x) is linear in φ (§3). G's batch normalizations have a
    gain and bias per class, D is spectrally normalized.

    Args:
        generator: G; it must be conditional.
        discriminator: D; it must take the class by projection.
        adversarial: what they play for.
        penalties: regularizers of D.
        augmentation: what is done to all images before D sees them; the paper does nothing.
        repeats: n_dis, D's turns for one of G's.
        ema: decay of the averaged generator, which samples are made with; the paper has none.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    def __init__(
        self,
        generator: nn.Module = nested("network", "resnet_generator", conditional=True),
        discriminator: nn.Module = nested("network", "resnet_discriminator", conditional="projection"),
        adversarial: Adversarial = nested("objective", "hinge"),
        penalties: Sequence[Penalty] = nested_list("penalty"),
        augmentation: Augmentation = nested("augmentation", "none"),
        repeats: int = 5,
        ema: float = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.0, 0.9)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.0, 0.9)),
    ) -> None:
        check_knows_classes(generator, discriminator, "projection_gan")
        super().__init__(
            generator, discriminator, adversarial, penalties, augmentation, repeats, ema, optimizer, generator_optimizer
        )


def check_knows_classes(generator: nn.Module, discriminator: nn.Module, method: str) -> None:
    """Refuse networks of which one would not see the class.

    Raises:
        ParamsError: the generator is not conditional, or the discriminator does not project.
    """
    if not generator.conditional:
        raise ParamsError(f"{method}.generator: it must be conditional. Give it `conditional: true`, or train `sngan`.")
    if getattr(discriminator, "conditional", "none") != "projection":
        raise ParamsError(
            f"{method}.discriminator: it must take the class by projection. Use resnet_discriminator with "
            "`conditional: projection`, or biggan_discriminator."
        )
