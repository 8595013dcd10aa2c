"""A translator whose discriminator knows the classes: PixelDA's generator, the projection discriminator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import Guard, Losses, Method, OptimizerOptions, Phase
from adaptgan.methods.generative import watch
from adaptgan.methods.noisy import Noisy
from adaptgan.methods.semantic import SemanticTerm
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty
from adaptgan.training.ema import EMA


class ClassTranslator(Noisy, Method):
    """G draws a synthetic image anew so that image and class *together* are distributed as in the real domain.

        z ~ N(0, 1), labelled x, y of the source; real images x_t with the classes y_t that a guard f reads in them
        D minimizes  E ℓ_real(D(x_t, y_t)) + E ℓ_fake(D(G(x, z), y))
        G minimizes  E ℓ_gen(D(G(x, z), y)) + λ_c ‖blocks(G(x, z)) − blocks(x)‖₁ + λ_s CE(f(G(x, z)), y)

    G(x, z) is PixelDA's (Bousmalis 2017), D(x, y) the projection discriminator (Miyato & Koyama 2018). What CDAN
    (Long 2018) aligns in features, p(x, y) instead of p(x), is aligned here in pixels. A discriminator without classes
    holds a translation to the real images in general, so that what keeps its label must keep its shape; this one holds
    a three to real threes, and G may change the shape: it is free to draw as people write. Hence it moves pixels: class
    labels survive, boxes and keypoints do not.

    The guard must read the real domain: a classifier adapted to it without labels (self_ensembling), not one of the
    source. Its errors are learned: of real images taken for a wrong class, G draws as many. Shares of the classes may
    differ between the domains, for D sees each class by itself.

    Beyond both papers: `content`, which keeps the coarse layout (means of 4×4 blocks); `semantic`, by the same guard;
    `jitter`, small random warps of x before G, and an average of G's weights, which translates.

    Args:
        data: the images' shape and classes.
        guard: f.
        generator: G, called with images and noise, which has `n_noise`.
        discriminator: D, conditional on classes.
        adversarial: ℓ.
        penalties: regularizers of D, each step.
        content: λ_c.
        semantic: λ_s.
        semantic_augmentation: what the guard sees G(x, z) through.
        jitter: random changes of x before G sees it, in training and in `translate`.
        ema: decay of the averaged generator.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    needs_target = True
    moves_pixels = True
    training_only = ("generator", "discriminator", "penalties")

    def __init__(
        self,
        data: DataInfo,
        guard: Guard,
        generator: nn.Module = nested("network", "hourglass_translator"),
        discriminator: nn.Module = nested("network", "dcgan_discriminator", norm="none", conditional="projection"),
        adversarial: Adversarial = nested("objective", "hinge"),
        penalties: Sequence[Penalty] = nested_list("penalty", "spectral_norm"),
        content: float = 0.0,
        semantic: float = 0.0,
        semantic_augmentation: Augmentation = nested("augmentation", "none"),
        jitter: Augmentation = nested("augmentation", "none"),
        ema: float = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=4e-4, betas=(0.0, 0.99)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.0, 0.99)),
    ) -> None:
        super().__init__()
        for penalty in penalties:
            penalty.prepare(discriminator)
        self.generator, self.discriminator, self.adversarial = generator, discriminator, adversarial
        self.average = EMA(generator, ema)
        self.n_noise = int(generator.n_noise)  # type: ignore[arg-type]
        self.penalties = nn.ModuleList(penalties)
        self.guard, self.content, self.jitter = guard, content, jitter
        self.semantic = SemanticTerm(guard, semantic, semantic_augmentation)
        self.optimizer, self.generator_optimizer = optimizer, generator_optimizer
        if any(penalty.differentiates_twice for penalty in penalties):
            self.eager = ("discriminator",)

    def phases(self) -> Sequence[Phase]:
        """D's turn, then G's, on the same images."""
        self.guard.classifier  # noqa: B018 - a missing guard says so before the first step
        tell = Phase(
            "discriminator",
            ("discriminator",),
            self.discriminator_loss,
            self.optimizer,
            keeps=("generator",),
            after=self.constrain,
        )
        return [
            tell,
            Phase("generator", ("generator",), self.generator_loss, self.generator_optimizer, after=self.follow),
        ]

    def discriminator_loss(self, batch: Batch) -> Losses:
        """E ℓ_real(D(x_t, y_t)) + E ℓ_fake(D(G(x, z), y)), and penalties; one concatenated forward."""
        real, fake, y = batch.real.images_NCHW, self.fake(batch).detach(), batch.source.labels
        y_t = self.semantic.read(batch.real)
        logits_N = self.discriminator(torch.cat([real, fake]), torch.cat([y_t, y]))
        real_N, fake_N = logits_N[: len(real)], logits_N[len(real) :]
        watch(batch, real_N, fake_N, real, fake)
        losses = {
            "real": self.adversarial.real(real_N).mean(),
            "generated": self.adversarial.fake(fake_N).mean(),
        }
        for penalty in self._penalties():
            losses |= penalty.terms(self.discriminator, real, fake, y_t, real_N)
        return losses

    def generator_loss(self, batch: Batch) -> Losses:
        """E ℓ_gen(D(G(x, z), y)), content and semantic term."""
        fake = self.fake(batch)
        logits_N = self.discriminator(fake, batch.source.labels)
        losses = {"adversarial": self.adversarial.generator(logits_N).mean()}
        if self.content:
            away = F.avg_pool2d(fake, 4) - F.avg_pool2d(self.synthetic(batch), 4)
            losses["content"] = self.content * away.abs().mean()
        return losses | self.semantic.terms(fake, batch.source)

    def constrain(self, batch: Batch) -> None:
        """What penalties do after D's step."""
        for penalty in self._penalties():
            penalty.constrain(self.discriminator)

    def follow(self, batch: Batch) -> None:
        """The averaged generator follows G."""
        self.average.update(self.generator)

    def _penalties(self) -> list[Penalty]:
        return list(self.penalties)  # type: ignore[arg-type]
