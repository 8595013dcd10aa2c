"""StyleGAN2: analyzing and improving the image quality of StyleGAN (Karras et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field
from torch import nn

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch
from adaptgan.methods.base import Losses, OptimizerOptions, Phase
from adaptgan.methods.generative import corrected
from adaptgan.methods.stylegan import StyleGAN
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty


class StyleGAN2(StyleGAN):
    """StyleGAN with modulated convolutions in G, residual ones in D, and a regularizer for each, applied lazily:

        for each step:
            x, z;  w = f(z), some of them mixed
            D minimizes  E softplus(−D(x)) + E softplus(D(g(w)))
            each 16th step:  D minimizes  16 · γ/2 E ‖∇D(x)‖²                                γ = 10
            G minimizes  E softplus(−D(g(w)))
            each 4th step:   G minimizes  4 · 2 E ( ‖J_wᵀ y‖ − a )²,  y = N(0, I), half a batch of fresh latents
            average ← d average + (1 − d) G
        samples:  g(w̄ + ψ (w − w̄)) of the averaged generator

    Both Adams are corrected for the lazy steps: lr·c, β^c with c = n/(n + 1) (appendix B). The average's half-life of
    10,000 images in batches of 32 is a decay of 0.5^(32/10000) = 0.9978, and of batch · 10/32 thousand images in any
    (Karras 2020a). While training is young it is no more than a share `ema_rampup` of the images seen.

    γ goes with the size of images: Karras 2020a takes 0.0002 · height · width / batch.

    Args:
        generator: G = g ∘ f.
        discriminator: D.
        adversarial: what they play for.
        penalties: regularizers of D.
        generator_penalties: regularizers of G.
        augmentation: what is done to all images before D sees them; `ada` or `diff_augment` where they are few.
        mixing: share of the images in training that two latents make together.
        truncation: ψ of samples where none is asked for; 1 for none.
        repeats: D's turns for one of G's.
        ema: decay of the averaged generator.
        ema_rampup: the average's half-life is at most this share of the training so far; 0 for no such limit.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    training_only: ClassVar[tuple[str, ...]] = (*StyleGAN.training_only, "generator_penalties")

    def __init__(
        self,
        generator: nn.Module = nested("network", "stylegan2_generator"),
        discriminator: nn.Module = nested("network", "stylegan2_discriminator"),
        adversarial: Adversarial = nested("objective", "non_saturating"),
        penalties: Sequence[Penalty] = nested_list("penalty", {"name": "r1", "weight": 10.0, "every": 16}),
        generator_penalties: Sequence[Penalty] = nested_list("penalty", "path_length"),
        augmentation: Augmentation = nested("augmentation", "none"),
        mixing: Annotated[float, Field(ge=0, le=1)] = 0.9,
        truncation: Annotated[float, Field(ge=0)] = 1.0,
        repeats: int = 1,
        ema: float = 0.9978,
        ema_rampup: Annotated[float, Field(ge=0, le=1)] = 0.05,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-3, betas=(0.0, 0.99)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-3, betas=(0.0, 0.99)),
    ) -> None:
        super().__init__(
            generator,
            discriminator,
            adversarial,
            penalties,
            augmentation,
            mixing,
            truncation,
            repeats,
            ema,
            optimizer,
            generator_optimizer,
        )
        for penalty in generator_penalties:
            penalty.prepare(generator)
        self.generator_penalties = nn.ModuleList(generator_penalties)
        self.ema, self.ema_rampup = ema, ema_rampup
        if all(penalty.every > 1 for penalty in (*penalties, *generator_penalties)):
            self.eager = ()  # lazy penalties run their networks by themselves, uncompiled

    def phases(self) -> Sequence[Phase]:
        """D's turns and those of its lazy penalties, then G's and those of its own."""
        *before, generate = super().phases()
        lazy = [penalty for penalty in self._generator_penalties() if penalty.every > 1]
        options = self.generator_optimizer
        for penalty in lazy:
            options = corrected(options, penalty.every)
        regularize = [
            Phase(
                penalty.name,
                ("generator",),
                self._regularization(penalty),
                options,
                every=penalty.every,
                partial=True,
            )
            for penalty in lazy
        ]
        return [*before, replace(generate, optimizer=options), *regularize]

    def generator_loss(self, batch: Batch) -> Losses:
        """E ℓ_gen(D(G(z))), and the penalties of each step."""
        losses = super().generator_loss(batch)
        for penalty in self._generator_penalties():
            if penalty.every == 1:
                losses |= self._regularization(penalty)(batch)
        return losses

    def follow(self, batch: Batch) -> None:
        """The average follows G, at first with a half-life of `ema_rampup` · step steps."""
        if self.ema_rampup:
            self.average.decay = min(self.ema, 0.5 ** (1 / (self.ema_rampup * max(1, batch.step))))
        super().follow(batch)

    def _generator_penalties(self) -> list[Any]:
        return list(self.generator_penalties)

    def _regularization(self, penalty: Penalty) -> Callable[[Batch], Losses]:
        def loss(batch: Batch) -> Losses:
            real = self.real(batch)
            terms = penalty.terms(self.generator, real, real, self.labels(batch))
            return {name: penalty.every * term for name, term in terms.items()}

        return loss
