"""StyleGAN: a style-based generator architecture for generative adversarial networks (Karras et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.errors import ParamsError
from adaptgan.methods.base import OptimizerOptions
from adaptgan.methods.generative import TwoPlayers, given
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty


class StyleGAN(TwoPlayers):
    """A mapping network f turns z into styles w, and the synthesis network g takes one at each of its layers:

        for each step:
            x, z;  w = f(z);  in a share `mixing` of the images: from a random layer on w′ = f(z′), z′ another latent
            D minimizes  E softplus(−D(x)) + E softplus(D(g(w))) + γ/2 E ‖∇D(x)‖²        γ = 10
            G minimizes  E softplus(−D(g(w)))
            w̄ follows w
        samples:  g(w̄ + ψ (w − w̄)) of the averaged generator, ψ = `truncation`

    This is the configuration for faces (appendix C): the non-saturating loss with R1 instead of WGAN-GP, mixing of
    0.9, a mapping network that learns at a hundredth of the rate (an option of the generator). The networks do not
    grow: see `stylegan_generator`.

    Args:
        generator: G = g ∘ f, of the StyleGAN family.
        discriminator: D.
        adversarial: what they play for.
        penalties: regularizers of D.
        augmentation: what is done to all images before D sees them; `ada` or `diff_augment` where they are few.
        mixing: share of the images in training that two latents make together (§3.1).
        truncation: ψ of samples where none is asked for; 1 for none, the paper shows faces at 0.7.
        repeats: D's turns for one of G's.
        ema: decay of the averaged generator; 0.9978 is the paper's half-life of 10,000 images in batches of 32.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    def __init__(
        self,
        generator: nn.Module = nested("network", "stylegan_generator"),
        discriminator: nn.Module = nested("network", "stylegan_discriminator"),
        adversarial: Adversarial = nested("objective", "non_saturating"),
        penalties: Sequence[Penalty] = nested_list("penalty", {"name": "r1", "weight": 10.0}),
        augmentation: Augmentation = nested("augmentation", "none"),
        mixing: Annotated[float, Field(ge=0, le=1)] = 0.9,
        truncation: Annotated[float, Field(ge=0)] = 1.0,
        repeats: int = 1,
        ema: float = 0.9978,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-3, betas=(0.0, 0.99)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-3, betas=(0.0, 0.99)),
    ) -> None:
        if not hasattr(generator, "n_styles"):
            raise ParamsError(
                f"generator: this method steers a generator by styles, and a {type(generator).__name__} has none. "
                "Use `stylegan_generator` or `stylegan2_generator`."
            )
        super().__init__(
            generator, discriminator, adversarial, penalties, augmentation, repeats, ema, optimizer, generator_optimizer
        )
        self.mixing, self.truncation = mixing, truncation

    def draw(self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None) -> torch.Tensor:
        """G(z, y), some of them with mixed styles."""
        images_NCHW: torch.Tensor = self.generator(z_NZ, *given(labels_N), mixing=self.mixing)
        return images_NCHW

    def latents(self, count: int, generator: torch.Generator, truncation: float | None = None) -> torch.Tensor:
        """Latents z (N, Z), standard normal: what is truncated is w, in `generate`.

        Args:
            count: N.
            generator: decides them.
            truncation: does nothing here.
        """
        return super().latents(count, generator)

    def generate(
        self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None = None, truncation: float | None = None
    ) -> torch.Tensor:
        """Images (N, C, H, W) in [-1, 1] of the averaged generator; differentiable in z.

        Args:
            z_NZ: latents.
            labels_N: classes, for a conditional generator.
            truncation: ψ: 1 for none, 0 for the mean image; the method's own option when None.
        """
        psi = self.truncation if truncation is None else truncation
        images_NCHW: torch.Tensor = self.average(z_NZ, *given(labels_N), truncation=psi)
        return images_NCHW
