"""Progressive GAN: growing both players for quality, stability and variation (Karras et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Losses, OptimizerOptions, Phase
from adaptgan.methods.generative import TwoPlayers
from adaptgan.networks.progressive import Growing, doubled, halved
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty


class ProgressiveGAN(TwoPlayers):
    """WGAN-GP that begins with images of 4×4 and doubles them, again and again, while it learns. §2 and appendix A:

        for each step:
            g = growth(progress): up to resolution ⌈g⌉, the last faded in with α = g − ⌈g⌉ + 1
            x = (1 − α) · up(down(x)) + α · x, at resolution ⌈g⌉
            z;  D minimizes  E D(G(z)) − E D(x) + λ E[ (‖∇D(x̂)‖₂ − 1)² ] + ε E[ D(x)² ]
                G minimizes  −E D(G(z))

    The base is held, then each resolution is faded in over as many steps and held over as many; from the share
    `growing` of the training on, all are in use and the rest of it goes to the full size. Coarse steps are cheap. The
    networks' minibatch deviation, pixel norm and equalized learning rates belong to the paper, too. The authors start
    Adam anew at each resolution and change the batch size with it; here both go on.

    Before the end, samples are as coarse as the networks: shown at full size with their pixels repeated.

    Args:
        generator: G; it must grow.
        discriminator: D, the critic; it must grow.
        adversarial: what they play for.
        penalties: regularizers of D; λ and ε are the weights of these.
        augmentation: what is done to all images before D sees them, at the size they have grown to; the paper does
            nothing.
        growing: share of the training by whose end the full size is in use; 9.6 of 12 million images in the paper.
        repeats: D's turns for one of G's.
        ema: decay of the averaged generator, which samples are made with.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    def __init__(
        self,
        generator: nn.Module = nested("network", "progressive_generator"),
        discriminator: nn.Module = nested("network", "progressive_discriminator"),
        adversarial: Adversarial = nested("objective", "wasserstein"),
        penalties: Sequence[Penalty] = nested_list("penalty", "gradient_penalty", "drift"),
        augmentation: Augmentation = nested("augmentation", "none"),
        growing: Annotated[float, Field(gt=0, le=1)] = 0.8,
        repeats: int = 1,
        ema: float = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-3, betas=(0.0, 0.99)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-3, betas=(0.0, 0.99)),
    ) -> None:
        if not (isinstance(generator, Growing) and isinstance(discriminator, Growing)):
            raise ParamsError(
                f"progressive_gan: a {type(generator).__name__} and a {type(discriminator).__name__} do not both grow. "
                "Use progressive_generator and progressive_discriminator."
            )
        super().__init__(
            generator, discriminator, adversarial, penalties, augmentation, repeats, ema, optimizer, generator_optimizer
        )
        self.levels, self.growing = generator.levels, growing

    def phases(self) -> Sequence[Phase]:
        """Those of two players; layers that have not grown yet get no gradient."""
        return [replace(phase, partial=True) for phase in super().phases()]

    def discriminator_loss(self, batch: Batch) -> Losses:
        """Both players grow, then D plays."""
        for player in self._players():
            player.grow(self.growth(batch))
        return super().discriminator_loss(batch)

    def growth(self, batch: Batch) -> float:
        """The number g at this step, in [0, n]."""
        return growth(batch.progress / self.growing, self.levels)

    def real(self, batch: Batch) -> torch.Tensor:
        """Images x at the resolution in use, faded like the generated ones."""
        if "real" not in batch.shared:
            batch.shared["real"] = at_growth(batch.source.images_NCHW, self.growth(batch), self.levels)
        images_NCHW: torch.Tensor = batch.shared["real"]
        return images_NCHW

    def follow(self, batch: Batch) -> None:
        """The average follows G, and is as grown."""
        super().follow(batch)
        average: Any = self.average.network
        average.grow(self.growth(batch))

    def generate(
        self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None = None, truncation: float | None = None
    ) -> torch.Tensor:
        """As other generators, at full size whatever it has grown to."""
        images_NCHW = super().generate(z_NZ, labels_N, truncation)
        while images_NCHW.shape[2] < self.info.height:
            images_NCHW = doubled(images_NCHW)
        return images_NCHW

    def _players(self) -> tuple[Any, Any]:
        return self.generator, self.discriminator


def growth(share: float, levels: int) -> float:
    """The number that says which resolutions are in use: ⌈g⌉ is the finest, faded in with α = g − ⌈g⌉ + 1.

    2n equal intervals: the base held, then a fade and a hold for each resolution, the last of which has no end.

    Args:
        share: of the steps in which they grow, from 0; n from 1 on.
        levels: n.
    """
    if share >= 1:
        return float(levels)
    place = share * 2 * levels
    interval = int(place)
    held = interval // 2
    return held + (place - interval if interval % 2 else 0.0)


def at_growth(images_NCHW: torch.Tensor, growth: float, levels: int) -> torch.Tensor:
    """Full-size images as networks of that growth see them (appendix A, figure 2).

    Args:
        images_NCHW: sides a multiple of 2^levels.
        growth: g in [0, n].
        levels: n.
    """
    level = math.ceil(growth)
    x_NCHW = halved(images_NCHW, 2 ** (levels - level))
    alpha = growth - level + 1
    return x_NCHW if alpha == 1 else doubled(halved(x_NCHW, 2)).lerp(x_NCHW, alpha)
