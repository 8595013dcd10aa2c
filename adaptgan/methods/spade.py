"""SPADE: semantic image synthesis with spatially-adaptive normalization (Park et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from adaptgan.components import nested
from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch
from adaptgan.data.randomness import normal
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Guard, Losses, Method, OptimizerOptions, Phase
from adaptgan.methods.generative import reports_gradient, watch
from adaptgan.methods.semantic import SemanticTerm
from adaptgan.networks.labels import one_hot_map, painted
from adaptgan.objectives.adversarial import Adversarial, precise
from adaptgan.objectives.likelihood import kl_to_standard_normal
from adaptgan.objectives.scales import mean_over, per_scale
from adaptgan.training.ema import EMA

Weight = Annotated[float, Field(ge=0)]

_STYLE = 0x5350
"""The view of a record's random numbers that its style is drawn from."""


class SPADE(Method):
    """A generator G of label maps m, and discriminators D_k, k = 1 … S, of pairs (m, x) at several scales:

        D minimizes  mean_k E ℓ_real(D_k(m, x)) + E ℓ_fake(D_k(m, G(m, z)))
        G minimizes  λ_gan mean_k E ℓ_gen(D_k(m, G(m, z)))  +  λ_fm mean_k Σ_i ‖D_kⁱ(m, x) − D_kⁱ(m, G(m, z))‖₁
                     +  λ_1 ‖x − G(m, z)‖₁  +  λ_kl KL(q(z|x) ‖ N(0, I))

    D_kⁱ is what D_k's i-th layer gives; each norm is a mean. The objective is pix2pixHD's (Wang 2018, eq. 5) with the
    hinge loss. Its third term in the paper compares features of VGG-19, whose weights are not at hand: here nothing
    does, or `semantic`, a frozen segmenter (`--guard`) that must read the map in G(m, z).

    z is there where the generator has `noise`: from N(0, I), or in training from an `encoder` q(z|x), which tells G the
    image's style (Park 2019, §3, "multi-modal synthesis"). Feature matching alone would teach G to ignore it.

    What G makes lies where the map says, so labels, boxes, keypoints and the mask itself are as true of it as before.

    Args:
        data: the images' shape and the classes of their pixels.
        guard: the frozen segmenter of the semantic term; only needed when `semantic` > 0.
        generator: G.
        discriminator: D, of the one-hot map and the image, concatenated.
        encoder: q(z|x), with as many latents as the generator has; none for latents that know nothing of the image.
        adversarial: ℓ.
        gan: λ_gan. Where it and λ_fm are 0, there are no discriminators in the game: regression.
        feature_matching: λ_fm.
        l1: λ_1; 0 in the paper.
        kl: λ_kl, of an encoder.
        semantic: weight of the semantic term; 0 in the paper.
        semantic_augmentation: what the guard sees G(m, z) through.
        ema: decay of the averaged generator, which translates; 0, the paper's, for the last one.
        optimizer: how D learns; four times as fast as G (Heusel 2017). β₂ is the authors' code's; 0.999 in the paper.
        generator_optimizer: how G and the encoder learn.
    """

    tasks = ("segmentation",)
    translates = "mask"
    training_only = ("generator", "discriminator", "encoder")

    def __init__(
        self,
        data: DataInfo,
        guard: Guard,
        generator: nn.Module = nested("network", "spade_generator"),
        discriminator: nn.Module = nested(
            "network", "patchgan_discriminator", conditional=True, scales=2, spectral_normalization=True
        ),
        encoder: nn.Module | None = nested("network"),
        adversarial: Adversarial = nested("objective", "hinge"),
        gan: Weight = 1.0,
        feature_matching: Weight = 10.0,
        l1: Weight = 0.0,
        kl: Weight = 0.05,
        semantic: Weight = 0.0,
        semantic_augmentation: Augmentation = nested("augmentation", "none"),
        ema: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=4e-4, betas=(0.0, 0.9)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-4, betas=(0.0, 0.9)),
    ) -> None:
        super().__init__()
        self.n_classes, self.channels = data.n_classes, data.channels
        self.n_noise = int(generator.n_noise)  # type: ignore[arg-type]
        if encoder is not None and encoder.n_noise != self.n_noise:
            raise ParamsError(
                f"spade: the encoder gives {encoder.n_noise} latents and the generator takes {self.n_noise}. Give both "
                "the same `noise`, or leave the encoder out."
            )
        if not getattr(discriminator, "conditional", True):
            raise ParamsError("spade: D judges images beside their maps; its network must be `conditional: true`.")
        if not (gan or feature_matching or l1):
            raise ParamsError(
                "spade: one of `gan`, `feature_matching` and `l1` must be above 0; else G learns nothing."
            )
        self.generator, self.discriminator, self.encoder = generator, discriminator, encoder
        self.average = EMA(generator, ema)
        self.adversarial = adversarial
        self.gan, self.feature_matching, self.l1, self.kl = gan, feature_matching, l1, kl
        self.semantic = SemanticTerm(guard, semantic, semantic_augmentation)
        self.optimizer, self.generator_optimizer = optimizer, generator_optimizer

    def phases(self) -> Sequence[Phase]:
        """D's turn, then G's.

        Raises:
            ParamsError: the semantic term has no guard, or one that does not read pixels.
        """
        self.semantic.check()
        if self.semantic.weight and self.semantic.guard.model.info.task != "segmentation":
            raise ParamsError(
                "spade: the semantic term's guard must read the classes of pixels (`learns: segmentation`)."
            )
        makers = ("generator",) if self.encoder is None else ("generator", "encoder")
        judge = Phase("discriminator", ("discriminator",), self.discriminator_loss, self.optimizer, keeps=makers)
        make = Phase("generator", makers, self.generator_loss, self.generator_optimizer, after=self.follow)
        return [judge, make] if self.plays else [make]

    @property
    def plays(self) -> bool:
        """Whether G is told anything by D."""
        return bool(self.gan or self.feature_matching)

    def discriminator_loss(self, batch: Batch) -> Losses:
        """mean_k E ℓ_real(D_k(m, x)) + E ℓ_fake(D_k(m, G(m, z))); real and made images in one forward."""
        m, x, made = self.map(batch), batch.source.images_NCHW, self.made(batch).detach()
        logits = per_scale(self.discriminator(torch.cat([torch.cat([m, x], 1), torch.cat([m, made], 1)])))
        real, fake = ([one[half] for one in logits] for half in (slice(len(x)), slice(len(x), None)))
        watch(batch, real[0], fake[0], x, made)
        return {"real": mean_over(real, self.adversarial.real), "made": mean_over(fake, self.adversarial.fake)}

    def generator_loss(self, batch: Batch) -> Losses:
        """Adversarial, feature matching, L1, semantic and KL terms; those of weight 0 are left out."""
        made = self.made(batch)
        losses = self.opinion(batch, made) if self.plays else {}
        if self.l1:
            losses["l1"] = self.l1 * _distance(made, batch.source.images_NCHW)
        if self.encoder is not None:
            mean_NZ, log_variance_NZ = batch.shared["style"]
            losses["kl"] = self.kl * kl_to_standard_normal(mean_NZ, log_variance_NZ).mean()
        return losses | self.semantic.terms(made, batch.source)

    def opinion(self, batch: Batch, made: torch.Tensor) -> Losses:
        """λ_gan mean_k E ℓ_gen(D_k(m, G(m, z))) and λ_fm mean_k Σ_i ‖D_kⁱ(m, x) − D_kⁱ(m, G(m, z))‖₁."""
        m = self.map(batch)
        logits, seen = self.discriminator(torch.cat([m, made], 1), features=True)
        losses = {}
        if self.gan:
            losses["adversarial"] = self.gan * mean_over(per_scale(logits), self.adversarial.generator)
        if self.feature_matching:
            with torch.no_grad():
                _, wanted = self.discriminator(torch.cat([m, batch.source.images_NCHW], 1), features=True)
            ours, theirs = _layers(seen), _layers(wanted)
            terms = [
                _distance(*pair) for scales in zip(ours, theirs, strict=True) for pair in zip(*scales, strict=True)
            ]
            losses["feature_matching"] = self.feature_matching / len(ours) * torch.stack(terms).sum()
        return losses

    def map(self, batch: Batch) -> torch.Tensor:
        """m, one-hot (N, K, H, W)."""
        if "map" not in batch.shared:
            batch.shared["map"] = one_hot_map(batch.source.labels, self.n_classes)
        map_NKHW: torch.Tensor = batch.shared["map"]
        return map_NKHW

    def made(self, batch: Batch) -> torch.Tensor:
        """G(m, z), made once for both players."""
        if "made" not in batch.shared:
            made = self.generator(self.map(batch), *self.style(batch))
            if made.requires_grad:
                made.register_hook(reports_gradient(batch))
            batch.shared["made"] = made
        images_NCHW: torch.Tensor = batch.shared["made"]
        return images_NCHW

    def style(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """z, of the images where there is an encoder, as a further argument of G; nothing where G has none."""
        x = batch.source.images_NCHW
        if not self.n_noise:
            return ()
        noise_NZ = torch.randn(len(x), self.n_noise, device=x.device)
        if self.encoder is None:
            return (noise_NZ,)
        mean_NZ, log_variance_NZ = batch.shared["style"] = self.encoder(x).chunk(2, dim=1)
        return (mean_NZ + torch.exp(0.5 * log_variance_NZ) * noise_NZ,)

    def follow(self, batch: Batch) -> None:
        """The averaged generator follows G."""
        self.average.update(self.generator)

    def translate(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor | None = None) -> torch.Tensor:
        """Images (N, C, H, W) in [-1, 1] of label maps.

        Args:
            images_NCHW: the maps, int64 (N, H, W).
            seeds_N: decide each image's style, where G has `noise`; without them all have the style z = 0.
        """
        map_NKHW = one_hot_map(images_NCHW, self.n_classes)
        z_NZ = normal(seeds_N, _STYLE, self.n_noise) if self.n_noise and seeds_N is not None else None
        made_NCHW: torch.Tensor = self.average(map_NKHW, z_NZ)
        return made_NCHW

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Maps, what is made of them, and the real images."""
        masks, seeds = batch.source.labels[:16], batch.source.seeds_N[:16]
        return {
            "map": painted(masks, self.n_classes, self.channels),
            "made": self.translate(masks, seeds),
            "real": batch.source.images_NCHW[:16],
        }


def _layers(maps: Any) -> list[list[torch.Tensor]]:
    """A discriminator's features, for each scale those of its layers."""
    return maps if isinstance(maps[0], list) else [maps]


def _distance(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    return F.l1_loss(precise(ours), precise(theirs))
