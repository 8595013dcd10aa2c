"""What generative methods share: latents, samples of the averaged generator, and the two players' turns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import nn

from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Guard, Losses, Method, OptimizerOptions, Phase
from adaptgan.methods.two_domains import largest_share
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty
from adaptgan.training.ema import EMA

ROW = 10
"""Images in a row of the sample grid."""

ROWS = 10
"""Classes in it, at most."""

LOOK = 50
"""Steps between two looks of a guard at what G makes."""


class GenerativeMethod(Method):
    """Base of the methods whose product is a generator G(z, y); what they imitate is the source.

    A conditional one learns the classes from the source's labels; of unlabelled images a guard reads them, such as a
    classifier that was adapted to them (`train --guard`). Beside labels a guard only looks on.

    A subclass calls `super().__init__(generator, ema)`. Generator networks are `forward(z_NZ, labels_N=None) -> images
    (N, C, H, W) in [-1, 1]` and have `n_noise` (Z) and `conditional` (whether y decides anything).

    Args:
        generator: G, which learns.
        ema: decay of the average of G's weights, which samples are made with (Karras 2017).
    """

    training_only: ClassVar[tuple[str, ...]] = ("generator", "discriminator", "penalties", "augmentation")

    def __init__(self, generator: nn.Module, ema: float) -> None:
        super().__init__()
        self.generator = generator
        self.average = EMA(generator, ema)
        self.n_noise = int(generator.n_noise)  # type: ignore[arg-type]
        self.guard = Guard()  # the stage puts in what `--guard` names

    @property
    def conditional(self) -> bool:
        """Whether the classes asked for decide what is made."""
        return bool(self.average.network.conditional)

    @property
    def needs_labels(self) -> bool:  # type: ignore[override]
        """Only a conditional one does, and only where no guard can read the classes of unlabelled images."""
        return self.conditional and self.guard.model is None

    def latents(self, count: int, generator: torch.Generator, truncation: float | None = None) -> torch.Tensor:
        """Latents z (N, Z), standard normal, on the generator's own device.

        Args:
            count: N.
            generator: decides them.
            truncation: draw from the normal distribution between −t and t instead (Brock 2019, §3.1).
        """
        if truncation is None:
            return torch.randn(count, self.n_noise, generator=generator, device=generator.device)
        if not truncation > 0:
            raise ParamsError(f"truncation must be above 0; found {truncation}.")
        # The inverse of the distribution function, over the share of it that lies between −t and t.
        inside = math.erf(truncation / math.sqrt(2))
        uniform = torch.rand(count, self.n_noise, generator=generator, device=generator.device, dtype=torch.float64)
        z_NZ: torch.Tensor = math.sqrt(2) * torch.erfinv(inside * (2 * uniform - 1))
        return z_NZ.float().clamp(-truncation, truncation)

    def generate(
        self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None = None, truncation: float | None = None
    ) -> torch.Tensor:
        """Images (N, C, H, W) in [-1, 1] of the averaged generator; differentiable in z.

        Args:
            z_NZ: latents.
            labels_N: classes, for a conditional generator.
            truncation: for generators that truncate behind a mapping network; others did so in `latents`.
        """
        images_NCHW: torch.Tensor = self.average(z_NZ, *given(labels_N))
        return images_NCHW

    def sample(
        self, labels_N: torch.Tensor, generator: torch.Generator, truncation: float | None = None
    ) -> torch.Tensor:
        """Images of the given classes; labels only say how many where the generator is not conditional."""
        z_NZ = self.latents(len(labels_N), generator, truncation).to(labels_N.device)
        return self.generate(z_NZ, labels_N if self.conditional else None, truncation)

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Real images, and generated ones of the same latents each time: a row for each class, or four rows."""
        real_NCHW = batch.source.images_NCHW[:ROW]
        names = list(self.info.classes[:ROWS]) if self.conditional else [f"generated {i + 1}" for i in range(4)]
        rows = torch.arange(len(names), device=real_NCHW.device).repeat_interleave(ROW)
        images_NCHW = self.sample(rows, torch.Generator().manual_seed(0))
        return {"real": real_NCHW} | dict(zip(names, images_NCHW.split(ROW), strict=True))

    def follow(self, batch: Batch) -> None:
        """The average follows G, and a guard looks on."""
        self.average.update(self.generator)
        if self.guard.model is not None and batch.step % LOOK == 0:
            self.recognize(batch)

    def recognize(self, batch: Batch) -> None:
        """Log `largest_generated_class`: the largest share of this step's images that the guard takes for one class."""
        images_NCHW = batch.shared.get("fake")
        if images_NCHW is not None and images_NCHW.shape[2:] == (self.info.height, self.info.width):  # all grown
            logits_NK = self.guard.classifier(images_NCHW.detach().float())
            batch.measure("largest_generated_class", largest_share(logits_NK))

    def noise(self, like_NCHW: torch.Tensor) -> torch.Tensor:
        """Latents z (N, Z) for as many images as given, in training: from the generator that the loop seeds."""
        return torch.randn(len(like_NCHW), self.n_noise, device=like_NCHW.device)

    def labels(self, batch: Batch) -> torch.Tensor | None:
        """Classes y of the real images, which those generated beside them share; None where nothing depends on them."""
        return self.classes(batch) if self.conditional else None

    def classes(self, batch: Batch) -> torch.Tensor:
        """Classes y of the real images: their labels, or what the guard reads where they have none."""
        if batch.source.labels_N is not None:
            return batch.source.labels_N
        if "classes" not in batch.shared:
            with torch.no_grad():
                batch.shared["classes"] = self.guard.classifier(batch.source.images_NCHW).argmax(1)
        read_N: torch.Tensor = batch.shared["classes"]
        return read_N


class TwoPlayers(GenerativeMethod):
    """A discriminator and a generator, taking turns. What most of the papers share; each adds its own.

        repeat k times:  z, x;  D minimizes E ℓ_real(D(x)) + E ℓ_fake(D(G(z))) + penalties
        then:            z;     G minimizes E ℓ_gen(D(G(z)))

    G's images of the first of D's turns are made once and serve G's turn too: the latents are the same draw. Penalties
    with `every` > 1 have a phase of their own and count `every` times; D's Adam is corrected for it (Karras 2020).

    Discriminator networks are `forward(images, labels_N=None) -> logits (N,)`, or a map of logits, and have
    `by_batch`: whether they normalize by the batch. If so, real and generated images go through in separate batches
    (Radford 2015), else together.

    Args:
        generator: G.
        discriminator: D.
        adversarial: ℓ.
        penalties: regularizers of D.
        augmentation: what is done to all images before D sees them; it must be differentiable.
        repeats: k, D's turns for one of G's.
        ema: decay of the averaged generator.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        adversarial: Adversarial,
        penalties: Sequence[Penalty],
        augmentation: Augmentation,
        repeats: int,
        ema: float,
        optimizer: OptimizerOptions,
        generator_optimizer: OptimizerOptions,
    ) -> None:
        super().__init__(generator, ema)
        for penalty in penalties:
            penalty.prepare(discriminator)
        self.discriminator, self.adversarial, self.augmentation = discriminator, adversarial, augmentation
        self.penalties = nn.ModuleList(penalties)
        self.repeats = repeats
        self.optimizer, self.generator_optimizer = optimizer, generator_optimizer
        if any(penalty.differentiates_twice for penalty in penalties):
            self.eager = ("discriminator",)

    def phases(self) -> Sequence[Phase]:
        """D's turns, those of its lazy penalties, then G's."""
        lazy = [penalty for penalty in self._penalties() if penalty.every > 1]
        options = self.optimizer
        for penalty in lazy:
            options = corrected(options, penalty.every)
        play = Phase(
            "discriminator",
            ("discriminator",),
            self.discriminator_loss,
            options,
            repeats=self.repeats,
            after=self.constrain,
            keeps=("generator",),
        )
        regularize = [
            Phase(penalty.name, ("discriminator",), self._lazy(penalty), options, every=penalty.every, partial=True)
            for penalty in lazy
        ]
        generate = Phase("generator", ("generator",), self.generator_loss, self.generator_optimizer, after=self.follow)
        return [play, *regularize, generate]

    def discriminator_loss(self, batch: Batch) -> Losses:
        """E ℓ_real(D(x)) + E ℓ_fake(D(G(z))) + penalties."""
        y, real = self.labels(batch), self.augmented(batch, self.real(batch), 0)
        fake = self.augmented(batch, self.fake(batch).detach(), 1)
        real_N, fake_N = self.judge(real, fake, y)
        self.watch(batch, real_N, fake_N, self.real(batch), self.fake(batch))
        losses = {
            "real": self.adversarial.real(real_N).mean(),
            "generated": self.adversarial.fake(fake_N).mean(),
        }
        for penalty in self._penalties():
            if penalty.every == 1:
                losses |= penalty.terms(self.discriminator, real, fake, y, real_N)
        return losses

    def generator_loss(self, batch: Batch) -> Losses:
        """E ℓ_gen(D(G(z)))."""
        fake = self.fake(batch)
        logits_N = self.discriminator(self.augmented(batch, fake, 2), *given(self.labels(batch)))
        return {"adversarial": self.adversarial.generator(logits_N).mean()}

    def judge(
        self, real: torch.Tensor, fake: torch.Tensor, labels_N: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """D's logits of real and of generated images of the same classes."""
        labels = given(labels_N)
        if self.discriminator.by_batch:
            return self.discriminator(real, *labels), self.discriminator(fake, *labels)
        logits = self.discriminator(torch.cat([real, fake]), *(torch.cat([y, y]) for y in labels))
        return logits[: len(real)], logits[len(real) :]

    def real(self, batch: Batch) -> torch.Tensor:
        """Images x to imitate."""
        return batch.source.images_NCHW

    def fake(self, batch: Batch) -> torch.Tensor:
        """G(z), one draw for a batch; with its graph in the turn whose images G learns from later in the step."""
        if "fake" not in batch.shared:
            with torch.set_grad_enabled(batch.turn == 0):
                fake = self.draw(self.noise(batch.source.images_NCHW), self.labels(batch))
            if fake.requires_grad:
                fake.register_hook(reports_gradient(batch))
            batch.shared["fake"] = fake
        images_NCHW: torch.Tensor = batch.shared["fake"]
        return images_NCHW

    def draw(self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None) -> torch.Tensor:
        """G(z, y) as both players see it in training."""
        images_NCHW: torch.Tensor = self.generator(z_NZ, *given(labels_N))
        return images_NCHW

    def augmented(self, batch: Batch, images_NCHW: torch.Tensor, view: int) -> torch.Tensor:
        """What D sees of the images; real ones, D's and G's generated ones have draws of their own."""
        changed: torch.Tensor = self.augmentation(images_NCHW, batch.source.seeds_N, view=view)
        return changed

    def constrain(self, batch: Batch) -> None:
        """What penalties do after D's step (a weight clip)."""
        for penalty in self._penalties():
            penalty.constrain(self.discriminator)

    def watch(
        self, batch: Batch, real_N: torch.Tensor, fake_N: torch.Tensor, real: torch.Tensor, fake: torch.Tensor
    ) -> None:
        """Log what the watchdogs read (`watch`); an augmentation that adapts to D (`ada`) reads its logits here, too.

        Args:
            batch: takes what is logged.
            real_N: D's logits of real images.
            fake_N: those of as many generated ones.
            real: the real images, not augmented: what an augmentation adds would hide a collapse.
            fake: the generated images, not augmented.
        """
        with torch.no_grad():
            if isinstance(self.augmentation, Augmentation):
                for name, value in self.augmentation.observe(real_N).items():
                    batch.measure(name, value)
        watch(batch, real_N, fake_N, real, fake)

    def _penalties(self) -> list[Any]:
        return list(self.penalties)

    def _lazy(self, penalty: Penalty) -> Callable[[Batch], Losses]:
        def loss(batch: Batch) -> Losses:
            real = self.augmented(batch, self.real(batch), 0)
            fake = self.augmented(batch, self.fake(batch).detach(), 1)
            terms = penalty.terms(self.discriminator, real, fake, self.labels(batch))
            return {name: penalty.every * term for name, term in terms.items()}

        return loss


def given(labels_N: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
    """The labels as further arguments of a network: none where there are none."""
    return () if labels_N is None else (labels_N,)


def corrected(options: OptimizerOptions, every: int) -> OptimizerOptions:
    """Adam's options where n steps and a lazy one make n + 1: lr·c, β^c, c = n/(n + 1) (Karras 2020, appendix B)."""
    share = every / (every + 1)
    first, second = options.betas
    return replace(options, lr=options.lr * share, betas=(first**share, second**share))


def watch(
    batch: Batch, real_logits: torch.Tensor, fake_logits: torch.Tensor, real: torch.Tensor, fake: torch.Tensor
) -> None:
    """Log what the watchdogs read, without gradients.

    `ranking` is how often D puts a real image (or patch) above a generated one (½: it cannot tell them apart);
    `diversity` the generated images' mean squared difference as a share of the real ones', where there are two or more.
    """
    with torch.no_grad():
        batch.measure("ranking", (real_logits > fake_logits).float().mean())
        if len(fake) > 1:
            batch.measure("diversity", spread(fake) / spread(real).clamp(min=1e-8))


def spread(images_NCHW: torch.Tensor) -> torch.Tensor:
    """Mean squared difference between an image and its neighbour in the batch, a scalar."""
    images = images_NCHW.float()
    return (images - images.roll(1, 0)).square().mean()


def reports_gradient(batch: Batch) -> Callable[[torch.Tensor], None]:
    """A hook for generated images: logs `image_gradient`, the mean norm of what G is told about an image."""
    measures = batch.measures  # the batch itself holds the images, and they this hook: nothing would ever free them

    def report(gradient: torch.Tensor) -> None:
        norms_N = gradient.detach().float().flatten(1).norm(dim=1)
        measures["image_gradient"] = norms_N.mean() * len(gradient)

    return report
