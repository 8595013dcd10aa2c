"""pix2pix: image-to-image translation with conditional adversarial networks (Isola et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from adaptgan.components import nested
from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch, Side
from adaptgan.data.randomness import uniform
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Losses, Method, OptimizerOptions, Phase
from adaptgan.methods.generative import reports_gradient, watch
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.scales import mean_over, per_scale
from adaptgan.training.ema import EMA
from adaptgan.training.image_history import ImageHistory

Weight = Annotated[float, Field(ge=0)]

_DROPOUT = 0x756E
"""The view of a record's random numbers that dropout draws from; augmentations have the small ones."""


class Pix2Pix(Method):
    """Images x, each with its pair y, the wanted translation. G(x, z) makes y; D judges pairs. Equation 4:

        for each step:
            x, y from the source, z dropout;  D minimizes ½ [E ℓ_real(D(x, y)) + E ℓ_fake(D(x, G(x, z)))]
                                              G minimizes gan · E ℓ_gen(D(x, G(x, z))) + λ ‖y − G(x, z)‖₁

    G's images are made once for both players. D's loss is halved, which slows it down beside G (§3.3). The noise z is
    G's dropout alone, in `translate` too. With `gan: 0` there is no D: a plain regression, which blurs (§4.2).

    Images may be of other channels than their pairs, but must be as large.

    Args:
        data: the images' and the pairs' shape.
        generator: G.
        discriminator: D, a map of logits, or several at as many scales, which count alike.
        adversarial: ℓ; the paper's cross-entropy, with G descending −log D.
        conditional: D sees x beside y, and its network must be `conditional: true`; else D judges y alone (§4.2).
        gan: weight of the adversarial term.
        l1: λ, weight of the mean distance per pixel and channel, which of two images is at most 2.
        dropout_at_test: keep dropout on in `translate`, drawn from `seeds_N` for each image by itself, as the paper
            does; else a translation has no noise.
        jitter: random changes of x and y alike in training; the paper's are small shifts and mirror images.
        history: images in a history that D's translations come from, B; 0, the paper's, for none.
        ema: decay of the averaged generator that translates; 0 for G itself, the paper's.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    needs_labels = False
    needs_pairs = True
    training_only = ("generator", "discriminator", "history")

    def __init__(
        self,
        data: DataInfo,
        generator: nn.Module = nested("network", "unet_translator"),
        discriminator: nn.Module = nested("network", "patchgan_discriminator", conditional=True),
        adversarial: Adversarial = nested("objective", "non_saturating"),
        conditional: bool = True,
        gan: Weight = 1.0,
        l1: Weight = 100.0,
        dropout_at_test: bool = True,
        jitter: Augmentation = nested("augmentation", "none"),
        history: Annotated[int, Field(ge=0)] = 0,
        ema: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
    ) -> None:
        super().__init__()
        if not gan and not l1:
            raise ParamsError("pix2pix: `gan` and `l1` are both 0, so there is nothing to learn. Set one of them.")
        self.generator, self.discriminator, self.adversarial = generator, discriminator, adversarial
        self.average = EMA(generator, ema)
        self.conditional, self.by_batch = conditional, bool(getattr(discriminator, "by_batch", False))
        if getattr(discriminator, "conditional", conditional) != conditional:
            raise ParamsError(
                f"pix2pix: `conditional` is {conditional} and the discriminator's is {not conditional}. Set both "
                "alike: with true it judges an image beside what it was made from, with false the image alone."
            )
        seen = (data.paired or data.channels) + (data.channels if conditional else 0)
        self.history = ImageHistory(history, (seen, data.height, data.width)) if history else None
        self.jitter = jitter
        self.gan, self.l1, self.dropout_at_test = gan, l1, dropout_at_test
        self.optimizer, self.generator_optimizer = optimizer, generator_optimizer

    def phases(self) -> Sequence[Phase]:
        """D's turn, then G's."""
        tell = Phase("discriminator", ("discriminator",), self.discriminator_loss, self.optimizer, keeps=("generator",))
        make = Phase("generator", ("generator",), self.generator_loss, self.generator_optimizer, after=self.follow)
        return [tell, make] if self.gan else [make]

    def discriminator_loss(self, batch: Batch) -> Losses:
        """½ [E ℓ_real(D(x, y)) + E ℓ_fake(D(x, G(x, z)))]."""
        (x, y), made = self.pair(batch), self.made(batch).detach()
        true, false = self.judged(x, y), self.judged(x, made)
        if self.history is not None:
            false = self.history.swap(false)
        real_logits, made_logits = self.judge(true, false)
        watch(batch, real_logits[0], made_logits[0], y, made)
        return {
            "real": 0.5 * mean_over(real_logits, self.adversarial.real),
            "translated": 0.5 * mean_over(made_logits, self.adversarial.fake),
        }

    def generator_loss(self, batch: Batch) -> Losses:
        """Minimizes gan · E ℓ_gen(D(x, G(x, z))) + λ ‖y − G(x, z)‖₁."""
        (x, y), made = self.pair(batch), self.made(batch)
        losses = {"l1": self.l1 * (made - y).abs().mean()}
        if self.gan:
            logits = per_scale(self.discriminator(self.judged(x, made)))
            losses["adversarial"] = self.gan * mean_over(logits, self.adversarial.generator)
        return losses

    def pair(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Images x and their pairs y, jittered alike, once for all that look at them."""
        if "pair" not in batch.shared:
            side = batch.source
            batch.shared["pair"] = [self.jitter(image, side.seeds_N) for image in (side.images_NCHW, side.paired)]
        x_NCHW, y_NCHW = batch.shared["pair"]
        return x_NCHW, y_NCHW

    def made(self, batch: Batch) -> torch.Tensor:
        """G(x, z), one draw for both players."""
        if "made" not in batch.shared:
            made = self.generator(self.pair(batch)[0])
            if made.requires_grad:
                made.register_hook(reports_gradient(batch))
            batch.shared["made"] = made
        made_NCHW: torch.Tensor = batch.shared["made"]
        return made_NCHW

    def judged(self, x_NCHW: torch.Tensor, y_NCHW: torch.Tensor) -> torch.Tensor:
        """What D looks at: (N, C + C', H, W), or y alone where it is not conditional."""
        return torch.cat([x_NCHW, y_NCHW], 1) if self.conditional else y_NCHW

    def judge(self, true: torch.Tensor, false: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """D's logits of both at each scale, in one forward where it does not normalize by the batch."""
        if self.by_batch:
            return per_scale(self.discriminator(true)), per_scale(self.discriminator(false))
        logits = per_scale(self.discriminator(torch.cat([true, false])))
        return [at_scale[: len(true)] for at_scale in logits], [at_scale[len(true) :] for at_scale in logits]

    def follow(self, batch: Batch) -> None:
        """The averaged generator follows G."""
        self.average.update(self.generator)

    def translate(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor | None = None) -> torch.Tensor:
        """Translations, NCHW in [-1, 1]. `seeds_N` decide the dropout; without them there is none."""
        noise = () if seeds_N is None or not self.dropout_at_test else self.noise(images_NCHW, seeds_N)
        made_NCHW: torch.Tensor = self.average(images_NCHW, *noise)
        return made_NCHW

    def noise(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Uniform numbers (N, Z) that decide the generator's dropout; none for a network that takes none."""
        needed: Any = getattr(self.average.network, "n_noise", lambda *size: 0)
        count = needed(*images_NCHW.shape[2:])
        return (uniform(seeds_N, _DROPOUT, count),) if count else ()

    def score(self, held_out: Side) -> dict[str, float]:
        """`l1`: the mean distance of held-out translations from their pairs, per pixel and channel, 2 at most."""
        total = torch.zeros((), device=held_out.images_NCHW.device)
        for first in range(0, len(held_out.images_NCHW), 256):
            part = slice(first, first + 256)
            made = self.translate(held_out.images_NCHW[part], held_out.seeds_N[part])
            total += (made - held_out.paired[part]).abs().sum()
        return {"l1": total.item() / held_out.paired.numel()}

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Images, their translations, and their pairs."""
        x, seeds = batch.source.images_NCHW[:16], batch.source.seeds_N[:16]
        return {"source": x, "translated": self.translate(x, seeds), "paired": batch.source.paired[:16]}
