"""CUT and FastCUT: contrastive learning for unpaired image-to-image translation (Park et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import nn

from adaptgan.components import nested
from adaptgan.data.augmentation import Augmentation, Identity
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Guard, Losses, Method, OptimizerOptions, Phase
from adaptgan.methods.generative import reports_gradient, watch
from adaptgan.methods.jittered import Jittered
from adaptgan.methods.semantic import SemanticTerm
from adaptgan.networks.patch_heads import PatchHeads, random_places
from adaptgan.objectives.adversarial import Adversarial, precise
from adaptgan.objectives.patch_nce import patch_nce
from adaptgan.training.ema import EMA

Weight = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Made(NamedTuple):
    """What G made in a step, x and y each in a half where the identity term has a weight.

    Attributes:
        images_NCHW: G(x), and G(y).
        maps: the encoder's of x, and of y, detached.
        n: how many of them are of x.
    """

    images_NCHW: torch.Tensor
    maps: list[torch.Tensor]
    n: int


class CUT(Jittered, Method):
    """G turns source images x into target images; a patch of G(x) must be told by its features from x's other patches.

        for each step, x from the source, y real images:
            D minimizes     E ℓ_real(D(y)) + E ℓ_fake(D(G(x)))
            G, H minimize   gan · E ℓ_gen(D(G(x))) + λ_X PatchNCE(x, G(x)) + λ_Y PatchNCE(y, G(y))        eq. 5
                            + semantic · CE(f(G(x)), label of x)

        PatchNCE(x, x̂) = E over layers l and places s of
            −log exp(q_s·k_s/τ) / Σ_s′ exp(q_s·k_s′/τ),   q = H_l(G_enc(x̂)), k = H_l(G_enc(x))            eq. 4

    No second generator and no cycle: what is at a place must stay there, because the encoder of G itself, through two
    layers H_l for each of its maps, has to find it again. Keys k send no gradient. λ_Y's term keeps G from changing
    what is of the target already.

    **CUT** has λ_X = λ_Y = 1 (`contrast`, `identity`); the authors' code then halves both. **FastCUT** is
    `contrast: 10, identity: 0`: no G(y), half of G's work, a stronger hold on x. Layers and places count as means here
    and in the authors' code (eq. 4 has sums). The paper's D minimizes ½ [(D(y) − 1)² + D(G(x))²] and its G
    (D(G(x)) − 1)²: `least_squares` with `gan: 2`, see `cyclegan`.

    Beyond the paper: the semantic term (CyCADA, Hoffman 2018) with f a frozen classifier that must still read the
    label; `jitter`, random changes of x before all of it; and an average of G's weights, which translates.

    Args:
        data: the images' shape.
        guard: f; only needed when `semantic` > 0.
        generator: G, a network that hands out its encoder's maps and knows their `feature_channels`:
            `resnet_translator`.
        discriminator: D, a map of logits.
        adversarial: ℓ.
        gan: weight of ℓ_gen.
        contrast: λ_X.
        identity: λ_Y; 0 for none.
        temperature: τ.
        patches: places of a map that are compared; all, where there are fewer.
        features: units of both layers of each H_l.
        semantic: weight of the semantic term.
        semantic_augmentation: what f sees translations through.
        jitter: random changes of x before G sees it, in training and in `translate`.
        ema: decay of the average of G; 0 for G itself, the paper's.
        optimizer: how D learns.
        generator_optimizer: how G and H learn.
    """

    needs_target = True
    needs_labels = False
    training_only = ("generator", "discriminator", "heads")

    def __init__(
        self,
        data: DataInfo,
        guard: Guard,
        generator: nn.Module = nested("network", "resnet_translator"),
        discriminator: nn.Module = nested("network", "patchgan_discriminator"),
        adversarial: Adversarial = nested("objective", "least_squares"),
        gan: Weight = 2.0,
        contrast: Weight = 1.0,
        identity: Weight = 1.0,
        temperature: Annotated[float, Field(gt=0)] = 0.07,
        patches: Count = 256,
        features: Count = 256,
        semantic: Weight = 0.0,
        semantic_augmentation: Augmentation = nested("augmentation", "none"),
        jitter: Augmentation = nested("augmentation", "none"),
        ema: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999), schedule="linear"),
        generator_optimizer: OptimizerOptions = OptimizerOptions(
            "adam", lr=2e-4, betas=(0.5, 0.999), schedule="linear"
        ),
    ) -> None:
        super().__init__()
        if not hasattr(generator, "feature_channels"):
            raise ParamsError(
                f"cut: the network {type(generator).__name__} does not hand out its encoder's maps, which patches are "
                "compared in. Take resnet_translator."
            )
        self.generator, self.discriminator, self.adversarial = generator, discriminator, adversarial
        self.heads = PatchHeads(generator.feature_channels, features)  # type: ignore[arg-type]
        self.average = EMA(generator, ema)
        self.by_batch = bool(getattr(discriminator, "by_batch", False))
        self.semantic = SemanticTerm(guard, semantic, semantic_augmentation)
        self.jitter, self.moves_pixels = jitter, not isinstance(jitter, Identity)
        self.gan, self.contrast, self.identity = gan, contrast, identity
        self.temperature, self.patches = temperature, patches
        self.optimizer, self.generator_optimizer = optimizer, generator_optimizer

    def phases(self) -> Sequence[Phase]:
        """D, then G with H."""
        self.semantic.check()
        return [
            Phase("discriminator", ("discriminator",), self.discriminator_loss, self.optimizer, keeps=("generator",)),
            Phase(
                "generator", ("generator", "heads"), self.generator_loss, self.generator_optimizer, after=self.follow
            ),
        ]

    def discriminator_loss(self, batch: Batch) -> Losses:
        """E ℓ_real(D(y)) + E ℓ_fake(D(G(x)))."""
        made = self.made(batch)
        real, fake = batch.real.images_NCHW, made.images_NCHW[: made.n].detach()
        real_logits, fake_logits = self.judge(real, fake)
        watch(batch, real_logits, fake_logits, real, fake)
        return {
            "real": self.adversarial.real(real_logits).mean(),
            "translated": self.adversarial.fake(fake_logits).mean(),
        }

    def generator_loss(self, batch: Batch) -> Losses:
        """E ℓ_gen(D(G(x))), PatchNCE of x and of y, and the semantic term, each with its weight."""
        made = self.made(batch)
        translated = made.images_NCHW[: made.n]
        adversarial = self.adversarial.generator(precise(self.discriminator(translated))).mean()
        losses = {"adversarial": self.gan * adversarial}
        queries, keys = self.compared(made)
        if self.contrast:
            losses["contrast"] = self.contrast * self.nce([q[: made.n] for q in queries], [k[: made.n] for k in keys])
        if self.identity:
            losses["identity"] = self.identity * self.nce([q[made.n :] for q in queries], [k[made.n :] for k in keys])
        return losses | self.semantic.terms(translated, batch.source)

    def made(self, batch: Batch) -> Made:
        """G(x), and G(y) where it is needed, made once for both players, and the maps on the way."""
        if "made" not in batch.shared:
            x = self.synthetic(batch)
            images = torch.cat([x, batch.real.images_NCHW]) if self.identity else x
            translated, maps = self.generator(images, features=True)
            if translated.requires_grad:
                translated.register_hook(reports_gradient(batch))
            batch.shared["made"] = Made(translated, [found.detach() for found in maps], len(x))
        made: Made = batch.shared["made"]
        return made

    def compared(self, made: Made) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Queries and keys of each map, (N, S, F)."""
        maps = self.generator(made.images_NCHW, decode=False)
        places = random_places(maps, self.patches)
        with torch.no_grad():
            keys = self.heads(made.maps, places)
        return self.heads(maps, places), keys

    def nce(self, queries: Sequence[torch.Tensor], keys: Sequence[torch.Tensor]) -> torch.Tensor:
        """PatchNCE, mean over layers."""
        layers = [patch_nce(q, k, self.temperature) for q, k in zip(queries, keys, strict=True)]
        return torch.stack(layers).mean()

    def judge(self, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """D's logits: separate batches where D normalizes by them, else one."""
        if self.by_batch:
            return precise(self.discriminator(real)), precise(self.discriminator(fake))
        logits = precise(self.discriminator(torch.cat([real, fake])))
        return logits[: len(real)], logits[len(real) :]

    def follow(self, batch: Batch) -> None:
        """The average follows G."""
        self.average.update(self.generator)

    def translate(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor | None = None) -> torch.Tensor:
        """Translated images, NCHW in [-1, 1]. `seeds_N` decide the jitter; without them there is none."""
        if seeds_N is not None:
            images_NCHW = self.jitter(images_NCHW, seeds_N)
        translated_NCHW: torch.Tensor = self.average(images_NCHW)
        return translated_NCHW

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Source images, translated, real ones, and what G makes of those."""
        x, y = batch.source.images_NCHW[:16], batch.real.images_NCHW[:16]
        return {
            "source": x,
            "translated": self.translate(x, batch.source.seeds_N[:16]),
            "real": y,
            "real translated": self.translate(y),
        }
