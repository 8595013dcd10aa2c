"""StackGAN: text to images in two stages (Zhang et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from adaptgan import nested
from adaptgan.data.batch import Batch
from adaptgan.data.randomness import normal
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Losses, OptimizerOptions, Phase
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.likelihood import kl_to_standard_normal
from adaptgan_text_to_image.conditioning import ConditioningAugmentation, drawn
from adaptgan_text_to_image.gan_cls import Weight, latents
from adaptgan_text_to_image.text_to_image import _NOISE, TextToImage, check_widths


class StackGAN(TextToImage):
    """Stage I draws a small image of a caption, Stage II a large one of the small one and the caption, read again.

        Stage I, for the first `first` of the training; I₀ the images I, made small:
            ĉ₀ ~ N(μ₀(φ(t)), σ₀(φ(t))²), z;  s₀ = G₀(z, ĉ₀)
            D₀ and φ ascend  log D₀(I₀, φ(t)) + ½ [log(1 − D₀(I₀, φ(t̂))) + log(1 − D₀(s₀, φ(t)))]             (eq. 3)
            G₀, μ₀, σ₀ descend  −log D₀(s₀, φ(t)) + λ KL(N(μ₀, σ₀²) ‖ N(0, I))                               (eq. 4)
        Stage II, for the rest, with G₀ and φ fixed:
            ĉ ~ N(μ(φ(t)), σ(φ(t))²)
            D ascends  log D(I, φ(t)) + ½ [log(1 − D(I, φ(t̂))) + log(1 − D(G(s₀, ĉ), φ(t)))]                  (eq. 5)
            G, μ, σ descend  −log D(G(s₀, ĉ), φ(t)) + λ KL(N(μ, σ²) ‖ N(0, I))                               (eq. 6)

    t̂ are texts of other images: D is matching-aware in both stages (§3.4; Reed 2016). G ascends log D where the paper
    descends log(1 − D), as its code does. KL is the mean over the dimensions of ĉ, as in the code too. Stage II builds
    on the averages of G₀, μ₀, σ₀ and φ; φ is trained by D₀'s loss, where the paper has one trained before.

    Args:
        data: the images' shape.
        encoder: φ.
        generator: G₀, which must `shrink` the images.
        discriminator: D₀, which must shrink them alike.
        refiner: G, which must enlarge them as much.
        refiner_discriminator: D.
        adversarial: the logarithms; the paper's cross-entropy.
        condition: width of ĉ₀ and ĉ; the paper's is 128.
        kl: λ; the paper's 1.
        first: share of the steps that Stage I takes; the paper has 600 epochs for each.
        ema: decay of the averages that images are made with; the paper has none.
        optimizer: how both discriminators and φ learn.
        generator_optimizer: how both generators learn.
    """

    training_only = (
        "encoder",
        "generator",
        "conditioning",
        "refiner",
        "refiner_conditioning",
        "discriminator",
        "refiner_discriminator",
    )
    generator: nn.Module
    conditioning: nn.Module
    refiner: nn.Module
    refiner_conditioning: nn.Module

    def __init__(
        self,
        data: DataInfo,
        encoder: nn.Module = nested("network", "gru_text_encoder"),
        generator: nn.Module = nested("network", "text_generator", shrink=2),
        discriminator: nn.Module = nested("network", "text_discriminator", shrink=2),
        refiner: nn.Module = nested("network", "text_refiner", enlarge=2),
        refiner_discriminator: nn.Module = nested("network", "text_discriminator"),
        adversarial: Adversarial = nested("objective", "non_saturating"),
        condition: Annotated[int, Field(ge=1)] = 128,
        kl: Weight = 1.0,
        first: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        ema: Annotated[float, Field(ge=0, lt=1)] = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
    ) -> None:
        width = int(encoder.width)  # type: ignore[arg-type]
        makers = {
            "conditioning": ConditioningAugmentation(width, condition),
            "generator": generator,
            "refiner_conditioning": ConditioningAugmentation(width, condition),
            "refiner": refiner,
        }
        super().__init__(encoder, makers, ema)
        self.discriminator, self.refiner_discriminator = discriminator, refiner_discriminator
        judges = [("discriminator", discriminator), ("refiner_discriminator", refiner_discriminator)]
        check_widths("stackgan", judges, width, "the encoder's")
        check_widths("stackgan", [("generator", generator), ("refiner", refiner)], condition, "`condition`")
        self.small = _fitting(data, generator, discriminator, refiner, refiner_discriminator)
        self.n_noise, self.condition = int(generator.n_noise), condition  # type: ignore[arg-type]
        self.adversarial, self.kl, self.first = adversarial, kl, first
        self.optimizer, self.generator_optimizer = optimizer, generator_optimizer

    def phases(self) -> Sequence[Phase]:
        """Stage I's two turns, until `first`; from then on Stage II's."""
        slow, quick, first = self.optimizer, self.generator_optimizer, self.first
        draws, refines = ("generator", "conditioning"), ("refiner", "refiner_conditioning")
        sees = ("discriminator", "encoder")
        return [
            Phase("discriminator", sees, self.discriminator_loss, slow, keeps=draws, stop=first),
            Phase("generator", draws, self.generator_loss, quick, after=self.average, stop=first),
            Phase(
                "refiner_discriminator",
                ("refiner_discriminator",),
                self.refiner_discriminator_loss,
                slow,
                keeps=refines,
                start=first,
            ),
            Phase("refiner", refines, self.refiner_loss, quick, after=self.average_refiner, start=first),
        ]

    def discriminator_loss(self, batch: Batch) -> Losses:
        """−log D₀(I₀, φ(t)) − ½ [log(1 − D₀(I₀, φ(t̂))) + log(1 − D₀(s₀, φ(t)))]."""
        small = F.interpolate(batch.source.images_NCHW, self.small, mode="area")
        return self.judged(
            batch, self.discriminator, self.adversarial, self.text(batch), small, self.drawn(batch).detach()
        )

    def generator_loss(self, batch: Batch) -> Losses:
        """−log D₀(s₀, φ(t)) + λ KL(N(μ₀, σ₀²) ‖ N(0, I))."""
        logits_N = self.discriminator(self.drawn(batch), self.text(batch).detach())
        return self.made_loss(logits_N, batch.shared["gaussian"])

    def refiner_discriminator_loss(self, batch: Batch) -> Losses:
        """−log D(I, φ(t)) − ½ [log(1 − D(I, φ(t̂))) + log(1 − D(G(s₀, ĉ), φ(t)))]."""
        real, made = batch.source.images_NCHW, self.refined(batch).detach()
        return self.judged(batch, self.refiner_discriminator, self.adversarial, self.fixed_text(batch), real, made)

    def refiner_loss(self, batch: Batch) -> Losses:
        """−log D(G(s₀, ĉ), φ(t)) + λ KL(N(μ, σ²) ‖ N(0, I))."""
        logits_N = self.refiner_discriminator(self.refined(batch), self.fixed_text(batch))
        return self.made_loss(logits_N, batch.shared["gaussian"])

    def made_loss(self, logits_N: torch.Tensor, gaussian_N2K: torch.Tensor) -> Losses:
        """What a generator descends, with the mean of KL over the dimensions of ĉ."""
        divergence = kl_to_standard_normal(*gaussian_N2K.chunk(2, 1)).mean() / self.condition
        return {"adversarial": self.adversarial.generator(logits_N).mean(), "kl": self.kl * divergence}

    def drawn(self, batch: Batch) -> torch.Tensor:
        """s₀ = G₀(z, ĉ₀), made once for both players of Stage I."""
        if "made" not in batch.shared:
            gaussian = batch.shared["gaussian"] = self.conditioning(self.text(batch).detach())
            made = self.generator(self.noise(gaussian, self.n_noise), drawn(gaussian, self.noise(gaussian)))
            batch.shared["made"] = self.told(batch, made)
        images_NChw: torch.Tensor = batch.shared["made"]
        return images_NChw

    def refined(self, batch: Batch) -> torch.Tensor:
        """G(s₀, ĉ), made once for both players of Stage II."""
        if "made" not in batch.shared:
            text = self.fixed_text(batch)
            with torch.no_grad():
                first = self.averages["conditioning"](text)
                small = self.averages["generator"](self.noise(first, self.n_noise), drawn(first, self.noise(first)))
            gaussian = batch.shared["gaussian"] = self.refiner_conditioning(text)
            batch.shared["made"] = self.told(batch, self.refiner(small, drawn(gaussian, self.noise(gaussian))))
        images_NCHW: torch.Tensor = batch.shared["made"]
        return images_NCHW

    def fixed_text(self, batch: Batch) -> torch.Tensor:
        """φ(t) of Stage I's averaged encoder, (N, E), without a graph."""
        if "text" not in batch.shared:
            with torch.no_grad():
                batch.shared["text"] = self.averages["encoder"](batch.source.conditions)
        text_NE: torch.Tensor = batch.shared["text"]
        return text_NE

    def noise(self, like_N2K: torch.Tensor, width: int | None = None) -> torch.Tensor:
        """z, or ε as wide as ĉ, for as many images, in training: from the generator that the loop seeds."""
        return torch.randn(len(like_N2K), width or self.condition, device=like_N2K.device)

    def average(self, batch: Batch) -> None:
        """The averages follow Stage I."""
        self.follow("encoder", "conditioning", "generator")

    def average_refiner(self, batch: Batch) -> None:
        """The averages follow Stage II."""
        self.follow("refiner_conditioning", "refiner")

    def translate(self, conditions_N: torch.Tensor, seeds_N: torch.Tensor | None = None) -> torch.Tensor:
        """Images (N, C, H, W) in [-1, 1] of captions, int64 (N, L); `seeds_N` decide z and both ε, 0 without them."""
        text_NE = self.averages["encoder"](conditions_N)
        gaussian = self.averages["refiner_conditioning"](text_NE)
        condition = drawn(gaussian, self.own_noise(seeds_N, 2))
        images_NCHW: torch.Tensor = self.averages["refiner"](self.sketch(text_NE, seeds_N), condition)
        return images_NCHW

    def sketch(self, text_NE: torch.Tensor, seeds_N: torch.Tensor | None = None) -> torch.Tensor:
        """Stage I's small images (N, C, h, w) in [-1, 1] of texts, as `translate` makes them."""
        condition = drawn(self.averages["conditioning"](text_NE), self.own_noise(seeds_N, 1))
        small_NChw: torch.Tensor = self.averages["generator"](latents(seeds_N, text_NE, self.n_noise), condition)
        return small_NChw

    def own_noise(self, seeds_N: torch.Tensor | None, stage: int) -> torch.Tensor | None:
        """ε of the records' own seeds, (N, K); none without."""
        return None if seeds_N is None else normal(seeds_N, _NOISE, self.condition, stream=stage)


def _fitting(
    data: DataInfo, generator: nn.Module, discriminator: nn.Module, refiner: nn.Module, large: nn.Module
) -> tuple[int, int]:
    """Height and width of Stage I's images.

    Raises:
        ParamsError: the networks do not agree on it.
    """
    drawn, judged, given = generator.size, discriminator.size, refiner.given
    if not drawn == judged == given:
        raise ParamsError(
            f"stackgan: the generator makes images of {drawn}, the discriminator judges {judged}, and the refiner "
            f"takes {given}. Give `generator.shrink`, `discriminator.shrink` and `refiner.enlarge` the same number."
        )
    if large.size != (data.height, data.width):
        raise ParamsError("stackgan.refiner_discriminator.shrink: Stage II makes images of full size; leave it at 1.")
    height, width = drawn  # type: ignore[misc]
    return int(height), int(width)
