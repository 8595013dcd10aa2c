"""GAN-CLS and GAN-INT-CLS: generative adversarial text to image synthesis (Reed et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from adaptgan import nested
from adaptgan.data.batch import Batch
from adaptgan.data.randomness import normal
from adaptgan.methods.base import Losses, OptimizerOptions, Phase
from adaptgan.objectives.adversarial import Adversarial
from adaptgan_text_to_image.text_to_image import _NOISE, TextToImage, check_widths

Weight = Annotated[float, Field(ge=0)]


class GANCLS(TextToImage):
    """Images x with captions t; G(z, φ(t)) makes images of captions, D(x, φ(t)) also judges whether they fit.

        for each step (Algorithm 1):
            x with their t, t̂ of other images, z;  x̂ = G(z, φ(t))
            s_r = D(x, φ(t))    real image, right text
            s_w = D(x, φ(t̂))    real image, wrong text
            s_f = D(x̂, φ(t))    fake image, right text
            D and φ ascend  log s_r + (log(1 − s_w) + log(1 − s_f)) / 2
            G ascends       log s_f
                            (+ interpolation · log D(G(z, φ_β), φ_β),  φ_β = β φ(t) + (1 − β) φ(t̂))       (eq. 5)

    There φ is trained before, on images' classes; here D's loss trains it, so that nothing but captioned images is
    needed. The wrong texts are those of the batch, each moved on to another image (`matching.wrong_texts`).

    Args:
        encoder: φ.
        generator: G.
        discriminator: D.
        adversarial: the logarithms; the paper's cross-entropy.
        interpolation: weight of GAN-INT's term; 0, plain GAN-CLS, leaves it out; the paper's GAN-INT-CLS is 1.
        beta: β, where between two texts; the paper's ½.
        ema: decay of the averages of φ and G, which images are made with; the paper has none.
        optimizer: how D and φ learn.
        generator_optimizer: how G learns.
    """

    training_only = ("encoder", "generator", "discriminator")
    generator: nn.Module

    def __init__(
        self,
        encoder: nn.Module = nested("network", "gru_text_encoder"),
        generator: nn.Module = nested("network", "text_generator"),
        discriminator: nn.Module = nested("network", "text_discriminator"),
        adversarial: Adversarial = nested("objective", "non_saturating"),
        interpolation: Weight = 0.0,
        beta: Annotated[float, Field(ge=0, le=1)] = 0.5,
        ema: Annotated[float, Field(ge=0, lt=1)] = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
    ) -> None:
        super().__init__(encoder, {"generator": generator}, ema)
        self.discriminator, self.adversarial = discriminator, adversarial
        parts = [("generator", generator), ("discriminator", discriminator)]
        check_widths("gan_cls", parts, self.encoder.width, "the encoder's")
        self.n_noise = int(generator.n_noise)  # type: ignore[arg-type]
        self.interpolation, self.beta = interpolation, beta
        self.optimizer, self.generator_optimizer = optimizer, generator_optimizer

    def phases(self) -> Sequence[Phase]:
        """D's turn, with φ, then G's."""
        judges = ("discriminator", "encoder")
        tell = Phase("discriminator", judges, self.discriminator_loss, self.optimizer, keeps=("generator",))
        make = Phase("generator", ("generator",), self.generator_loss, self.generator_optimizer, after=self.average)
        return [tell, make]

    def discriminator_loss(self, batch: Batch) -> Losses:
        """−log s_r − ½ [log(1 − s_w) + log(1 − s_f)]."""
        made = self.made(batch).detach()
        real = batch.source.images_NCHW
        return self.judged(batch, self.discriminator, self.adversarial, self.text(batch), real, made)

    def generator_loss(self, batch: Batch) -> Losses:
        """−log s_f, and the same of texts between two."""
        text = self.text(batch).detach()
        losses = {"adversarial": self.adversarial.generator(self.discriminator(self.made(batch), text)).mean()}
        if self.interpolation:
            between = self.between(batch)
            made = self.generator(self.noise(between), between)
            opinion = self.adversarial.generator(self.discriminator(made, between)).mean()
            losses["interpolation"] = self.interpolation * opinion
        return losses

    def made(self, batch: Batch) -> torch.Tensor:
        """x̂ = G(z, φ(t)), made once for both players."""
        if "made" not in batch.shared:
            text = self.text(batch).detach()
            batch.shared["made"] = self.told(batch, self.generator(self.noise(text), text))
        images_NCHW: torch.Tensor = batch.shared["made"]
        return images_NCHW

    def between(self, batch: Batch) -> torch.Tensor:
        """β φ(t) + (1 − β) φ(t̂), (N, E) (eq. 5)."""
        text_NE = self.text(batch).detach()
        return self.beta * text_NE + (1 - self.beta) * text_NE[self.wrong(batch)[0]]

    def noise(self, like_NE: torch.Tensor) -> torch.Tensor:
        """Noise z (N, Z) for as many images as texts, in training: from the generator that the loop seeds."""
        return torch.randn(len(like_NE), self.n_noise, device=like_NE.device)

    def average(self, batch: Batch) -> None:
        """The averages follow φ and G."""
        self.follow("encoder", "generator")

    def translate(self, conditions_N: torch.Tensor, seeds_N: torch.Tensor | None = None) -> torch.Tensor:
        """Images (N, C, H, W) in [-1, 1] of captions, int64 (N, L); `seeds_N` decide z, without them it is 0."""
        text_NE = self.averages["encoder"](conditions_N)
        images_NCHW: torch.Tensor = self.averages["generator"](latents(seeds_N, text_NE, self.n_noise), text_NE)
        return images_NCHW


def latents(seeds_N: torch.Tensor | None, text_NE: torch.Tensor, count: int) -> torch.Tensor:
    """Noise z (N, Z) of the records' own seeds; 0 without."""
    return text_NE.new_zeros(len(text_NE), count) if seeds_N is None else normal(seeds_N, _NOISE, count)
