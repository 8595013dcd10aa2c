"""CycleGAN: unpaired image-to-image translation using cycle-consistent adversarial networks (Zhu et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from adaptgan.components import nested
from adaptgan.data.augmentation import Augmentation, Identity
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError, nearest
from adaptgan.methods.base import Guard, Losses, Method, OptimizerOptions, Phase
from adaptgan.methods.generative import watch
from adaptgan.methods.jittered import Jittered
from adaptgan.methods.semantic import SemanticTerm
from adaptgan.objectives.adversarial import Adversarial, precise
from adaptgan.training.ema import EMA
from adaptgan.training.image_history import ImageHistory

Weight = Annotated[float, Field(ge=0)]


class CycleGAN(Jittered, Method):
    """G makes target images y of source images x, F makes source images of target images, and each undoes the other.

        for each step, x from the source, y real images:
            G, F minimize  gan · [E ℓ_gen(D_Y(G(x))) + E ℓ_gen(D_X(F(y)))]
                           + λ · [‖F(G(x)) − x‖₁ + ‖G(F(y)) − y‖₁]                 eq. 2
                           + λ · identity · [‖G(y) − y‖₁ + ‖F(x) − x‖₁]            §5.2
                           + semantic · [CE(f(G(x)), label of x) + CE(f(F(y)), argmax f(y))]
            D_Y minimizes  E ℓ_real(D_Y(y)) + E ℓ_fake(D_Y(history(G(x))))
            D_X minimizes  E ℓ_real(D_X(x)) + E ℓ_fake(D_X(history(F(y))))

    The paper's D minimizes ½ [(D(y) − 1)² + D(G(x))²] (its §7.1 halves it) and its G (D(G(x)) − 1)². `least_squares`
    is ½ (l − 1)² and ½ l², which is that D as it stands, and that G with `gan: 2`; with another ℓ, 1 is usual.

    Distances are means over pixels and channels. Images of G and F are made once and serve all four players.

    Beyond the paper: the semantic term (CyCADA, Hoffman 2018, eq. 4), with f a frozen classifier, so that a cycle
    cannot swap classes and swap them back: what G makes of x must read as x's label, and what F makes of y as whatever
    f reads in y, whose label nobody knows; `jitter`, random warps of x before all of it; and averages of G and F that
    translate. The paper also changes y at random, by cropping and mirroring, which `jitter` does not.

    Args:
        data: the images' shape, the same in both domains.
        guard: f; only needed when `semantic` > 0.
        generator: G, from source to target.
        back_generator: F, from target to source.
        discriminator: D_Y, a map of logits: is this a target image?
        back_discriminator: D_X, a map of logits: is this a source image?
        adversarial: ℓ.
        gan: weight of ℓ_gen.
        cycle: λ.
        identity: weight of the identity terms, as a share of λ; 0 for none.
        semantic: weight of the semantic term.
        semantic_augmentation: what f sees translations through.
        jitter: random changes of x before G sees it, in training and in `translate`.
        history: images in the history that a discriminator's translations come from, one history each; 0 for none.
        ema: decay of the averages of G and F; 0 for G and F themselves, the paper's.
        optimizer: how D_X and D_Y learn.
        generator_optimizer: how G and F learn.
    """

    needs_target = True
    needs_labels = False
    domains = ("target", "source")
    training_only = (
        "generator",
        "back_generator",
        "discriminator",
        "back_discriminator",
        "history",
        "back_history",
    )

    def __init__(
        self,
        data: DataInfo,
        guard: Guard,
        generator: nn.Module = nested("network", "resnet_translator"),
        back_generator: nn.Module = nested("network", "resnet_translator"),
        discriminator: nn.Module = nested("network", "patchgan_discriminator"),
        back_discriminator: nn.Module = nested("network", "patchgan_discriminator"),
        adversarial: Adversarial = nested("objective", "least_squares"),
        gan: Weight = 2.0,
        cycle: Weight = 10.0,
        identity: Weight = 0.5,
        semantic: Weight = 0.0,
        semantic_augmentation: Augmentation = nested("augmentation", "none"),
        jitter: Augmentation = nested("augmentation", "none"),
        history: Annotated[int, Field(ge=0)] = 50,
        ema: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999), schedule="linear"),
        generator_optimizer: OptimizerOptions = OptimizerOptions(
            "adam", lr=2e-4, betas=(0.5, 0.999), schedule="linear"
        ),
    ) -> None:
        super().__init__()
        self.generator, self.back_generator = generator, back_generator
        self.discriminator, self.back_discriminator = discriminator, back_discriminator
        self.average, self.back_average = EMA(generator, ema), EMA(back_generator, ema)
        shape = (data.channels, data.height, data.width)
        self.history = ImageHistory(history, shape) if history else None
        self.back_history = ImageHistory(history, shape) if history else None
        self.by_batch = any(
            isinstance(module, nn.modules.batchnorm._BatchNorm)
            for network in (generator, back_generator, discriminator, back_discriminator)
            for module in network.modules()
        )
        self.adversarial = adversarial
        self.semantic = SemanticTerm(guard, semantic, semantic_augmentation)
        self.jitter, self.moves_pixels = jitter, not isinstance(jitter, Identity)
        self.gan, self.cycle, self.identity = gan, cycle, cycle * identity
        self.optimizer, self.generator_optimizer = optimizer, generator_optimizer

    def phases(self) -> Sequence[Phase]:
        """G and F together, then each discriminator."""
        self.semantic.check()
        generators = ("generator", "back_generator")
        return [
            Phase("generators", generators, self.generator_loss, self.generator_optimizer, after=self.follow),
            Phase("discriminator", ("discriminator",), self.discriminator_loss, self.optimizer),
            Phase("back_discriminator", ("back_discriminator",), self.back_discriminator_loss, self.optimizer),
        ]

    def generator_loss(self, batch: Batch) -> Losses:
        """The sum that G and F minimize: gan · ℓ_gen, λ · cycle, λ · identity, semantic; each both ways."""
        x, y = self.synthetic(batch), batch.real.images_NCHW
        (made, *same_y), (back, *same_x) = self.translations(x, y)
        batch.shared["made"], batch.shared["back"] = made.detach(), back.detach()
        losses = {
            "adversarial": self.gan * self.fooled(self.discriminator(made)),
            "back_adversarial": self.gan * self.fooled(self.back_discriminator(back)),
            "cycle": self.cycle * distance(self.back_generator(made), x),
            "back_cycle": self.cycle * distance(self.generator(back), y),
        }
        if same_y and same_x:
            losses["identity"] = self.identity * distance(same_y[0], y)
            losses["back_identity"] = self.identity * distance(same_x[0], x)
        losses |= self.semantic.terms(made, batch.source)
        losses |= {f"back_{name}": term for name, term in self.semantic.terms(back, batch.real).items()}
        return losses

    def discriminator_loss(self, batch: Batch) -> Losses:
        """E ℓ_real(D_Y(y)) + E ℓ_fake(D_Y(history(G(x))))."""
        made, y = batch.shared["made"], batch.real.images_NCHW
        return self.told(batch, self.discriminator, y, made if self.history is None else self.history.swap(made))

    def back_discriminator_loss(self, batch: Batch) -> Losses:
        """E ℓ_real(D_X(x)) + E ℓ_fake(D_X(history(F(y))))."""
        back, x = batch.shared["back"], self.synthetic(batch)
        history = self.back_history
        return self.told(batch, self.back_discriminator, x, back if history is None else history.swap(back))

    def translations(
        self, x: torch.Tensor, y: torch.Tensor
    ) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
        """(G(x), G(y)) and (F(y), F(x)); without the second ones where the identity terms have no weight."""
        if not self.identity:
            return (self.generator(x),), (self.back_generator(y),)
        return self.each(self.generator, x, y), self.each(self.back_generator, y, x)

    def told(self, batch: Batch, network: nn.Module, real: torch.Tensor, made: torch.Tensor) -> Losses:
        """A discriminator's loss."""
        real_logits, made_logits = (precise(logits) for logits in self.each(network, real, made))
        watch(batch, real_logits, made_logits, real, made)
        return {
            "real": self.adversarial.real(real_logits).mean(),
            "translated": self.adversarial.fake(made_logits).mean(),
        }

    def fooled(self, logits: torch.Tensor) -> torch.Tensor:
        """E ℓ_gen."""
        return self.adversarial.generator(precise(logits)).mean()

    def each(self, network: nn.Module, *images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What a network makes of each batch: in one forward, unless it normalizes by the batch."""
        if self.by_batch:
            return tuple(network(one) for one in images)
        made: tuple[torch.Tensor, ...] = network(torch.cat(images)).split([len(one) for one in images])
        return made

    def follow(self, batch: Batch) -> None:
        """The averages follow G and F."""
        self.average.update(self.generator)
        self.back_average.update(self.back_generator)

    def translate(
        self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor | None = None, to: str = "target"
    ) -> torch.Tensor:
        """Translated images, NCHW in [-1, 1].

        Args:
            images_NCHW: of the source, or of the target where it goes `to` the source.
            seeds_N: decide the jitter of source images; without them there is none.
            to: `target` or `source`.

        Raises:
            ParamsError: there is no such domain.
        """
        if to not in self.domains:
            raise ParamsError(f"cyclegan knows no domain {to!r}. {nearest(to, self.domains)}")
        if to == "target" and seeds_N is not None:
            images_NCHW = self.jitter(images_NCHW, seeds_N)
        made_NCHW: torch.Tensor = (self.average if to == "target" else self.back_average)(images_NCHW)
        return made_NCHW

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Source images, to the target, and back again; real images, to the source, and back again."""
        x, y = batch.source.images_NCHW[:16], batch.real.images_NCHW[:16]
        made = self.translate(x, batch.source.seeds_N[:16])
        back = self.translate(y, to="source")
        return {
            "source": x,
            "to target": made,
            "and back": self.translate(made, to="source"),
            "real": y,
            "to source": back,
            "and forth": self.translate(back),
        }


def distance(one_NCHW: torch.Tensor, other_NCHW: torch.Tensor) -> torch.Tensor:
    """The mean absolute difference, in float32."""
    return (one_NCHW.float() - other_NCHW.float()).abs().mean()
