"""SimGAN: learning from simulated and unsupervised images through adversarial training (Shrivastava et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.components import nested
from adaptgan.data.augmentation import Augmentation, Identity
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import Guard, Losses, Method, OptimizerOptions, Phase
from adaptgan.methods.generative import watch
from adaptgan.methods.jittered import Jittered
from adaptgan.methods.semantic import SemanticTerm
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.training.ema import EMA
from adaptgan.training.image_history import ImageHistory


class SimGAN(Jittered, Method):
    """A refiner R makes synthetic images x look real, a local discriminator D tells patches apart. Algorithm 1:

        pre-train R on λ‖ψ(R(x)) − ψ(x)‖₁ for T_R steps, then D for T_D steps
        for each step:
            repeat K_g times:  x from the source;                 R minimizes ℓ_adv(D(R(x))) + λ‖ψ(R(x)) − ψ(x)‖₁
            repeat K_d times:  x from the source, y real images;  D minimizes ℓ_real(D(y)) + ℓ_fake(D(history(R(x))))

    Losses are sums over an image's patches and pixels and means over the batch (`reduction: sum`, the paper's), or
    means over all (`mean`), so that neither image size nor patch count moves the balance.

    Beyond the paper: `semantic` · CE(guard(augment(R(x))), label), a frozen source classifier that must still read the
    label (CyCADA's term, Hoffman 2018); `jitter`, small random warps of x before R, because R itself keeps a font's
    geometry; and an average of R's weights that translates.

    Args:
        data: the images' shape.
        guard: the frozen classifier of the semantic term; only needed when `semantic` > 0.
        refiner: R.
        discriminator: D, a map of logits.
        adversarial: ℓ; the paper's cross-entropy, with R descending −log D.
        self_regularization: λ.
        psi: ψ, what must stay alike: the pixels, their local gradients, or the mean over 4×4 blocks.
        semantic: weight of the semantic term.
        semantic_augmentation: what the guard sees R(x) through.
        jitter: random changes of x before R sees it, in training and in `translate`.
        reduction: how patches and pixels are reduced.
        pretrain_refiner: T_R, steps.
        pretrain_discriminator: T_D, steps.
        refiner_repeats: K_g: 2 in the paper's first version, 50 in the published one, which collapses easily.
        discriminator_repeats: K_d.
        history: images in the history buffer, B; 0 for none.
        ema: decay of the averaged refiner.
        refiner_optimizer: how R learns.
        discriminator_optimizer: how D learns.
    """

    needs_target = True
    training_only = ("history",)

    def __init__(
        self,
        data: DataInfo,
        guard: Guard,
        refiner: nn.Module = nested("network", "simgan_refiner"),
        discriminator: nn.Module = nested("network", "patch_discriminator"),
        adversarial: Adversarial = nested("objective", "non_saturating"),
        self_regularization: float = 0.5,
        psi: Literal["pixels", "gradients", "blocks"] = "pixels",
        semantic: float = 0.0,
        semantic_augmentation: Augmentation = nested("augmentation", "none"),
        jitter: Augmentation = nested("augmentation", "none"),
        reduction: Literal["sum", "mean"] = "sum",
        pretrain_refiner: int = 1000,
        pretrain_discriminator: int = 200,
        refiner_repeats: int = 2,
        discriminator_repeats: int = 1,
        history: int = 2048,
        ema: float = 0.995,
        refiner_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-3, betas=(0.5, 0.999)),
        discriminator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-3, betas=(0.5, 0.999)),
    ) -> None:
        super().__init__()
        self.refiner, self.discriminator, self.adversarial = refiner, discriminator, adversarial
        self.average = EMA(refiner, ema)
        self.history = ImageHistory(history, (data.channels, data.height, data.width)) if history else None
        self.semantic = SemanticTerm(guard, semantic, semantic_augmentation)
        self.jitter, self.moves_pixels = jitter, not isinstance(jitter, Identity)
        self.self_regularization, self.psi, self.reduction = self_regularization, _PSI[psi], reduction
        self.pretrain_refiner, self.pretrain_discriminator = pretrain_refiner, pretrain_discriminator
        self.refiner_repeats, self.discriminator_repeats = refiner_repeats, discriminator_repeats
        self.refiner_optimizer, self.discriminator_optimizer = refiner_optimizer, discriminator_optimizer

    def phases(self) -> Sequence[Phase]:
        """Algorithm 1."""
        self.semantic.check()
        t_r, t_d = self.pretrain_refiner, self.pretrain_discriminator
        r, d = self.refiner_optimizer, self.discriminator_optimizer
        pre_r = Phase("pretrain_refiner", ("refiner",), self.pretraining_loss, r, stop=t_r, after=self.follow)
        pre_d = Phase(
            "pretrain_discriminator", ("discriminator",), self.discriminator_loss, d, start=t_r, stop=t_r + t_d
        )
        refine = Phase(
            "refiner",
            ("refiner",),
            self.refiner_loss,
            r,
            repeats=self.refiner_repeats,
            start=t_r + t_d,
            after=self.follow,
        )
        tell = Phase(
            "discriminator",
            ("discriminator",),
            self.discriminator_loss,
            d,
            repeats=self.discriminator_repeats,
            start=t_r + t_d,
        )
        return [pre_r, pre_d, refine, tell]

    def pretraining_loss(self, batch: Batch) -> Losses:
        """λ‖ψ(R(x)) − ψ(x)‖₁."""
        x = self.synthetic(batch)
        return {"self_regularization": self.self_regularization * self.distance(self.refiner(x), x)}

    def refiner_loss(self, batch: Batch) -> Losses:
        """ℓ_adv(D(R(x))) + λ‖ψ(R(x)) − ψ(x)‖₁, and the semantic term."""
        x = self.synthetic(batch)
        refined = self.refiner(x)
        batch.shared["refined"] = refined.detach()
        return {
            "adversarial": self.reduce(self.adversarial.generator(self.discriminator(refined))),
            "self_regularization": self.self_regularization * self.distance(refined, x),
            **self.semantic.terms(refined, batch.source),
        }

    def discriminator_loss(self, batch: Batch) -> Losses:
        """ℓ_real(D(y)) + ℓ_fake(D(x̃)), x̃ half from the history; one concatenated forward."""
        refined = batch.shared.get("refined")
        if refined is None:  # pre-training, or more of D's turns than of R's
            with torch.no_grad():
                refined = self.refiner(self.synthetic(batch))
        if self.history is not None:
            refined = self.history.mix(refined)
        real = batch.real.images_NCHW
        logits = self.discriminator(torch.cat([real, refined]))
        real_logits, refined_logits = logits[: len(real)], logits[len(real) :]
        watch(batch, real_logits, refined_logits, real, refined)
        return {
            "real": self.reduce(self.adversarial.real(real_logits)),
            "refined": self.reduce(self.adversarial.fake(refined_logits)),
        }

    def follow(self, batch: Batch) -> None:
        """The averaged refiner follows R."""
        self.average.update(self.refiner)

    def distance(self, refined: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """‖ψ(R(x)) − ψ(x)‖₁, per image, mean over the batch."""
        return self.reduce((self.psi(refined) - self.psi(x)).abs())

    def reduce(self, values: torch.Tensor) -> torch.Tensor:
        """The paper's sum over an image, or the mean; always the mean over the batch."""
        return values.flatten(1).sum(1).mean() if self.reduction == "sum" else values.mean()

    def translate(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor | None = None) -> torch.Tensor:
        """Refined images, NCHW in [-1, 1]. `seeds_N` decides the jitter; without it there is none."""
        if seeds_N is not None:
            images_NCHW = self.jitter(images_NCHW, seeds_N)
        refined_NCHW: torch.Tensor = self.average(images_NCHW)
        return refined_NCHW

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Synthetic, refined and real images."""
        x, seeds = batch.source.images_NCHW[:16], batch.source.seeds_N[:16]
        return {"source": x, "refined": self.translate(x, seeds), "real": batch.real.images_NCHW[:16]}


def _gradients(x_NCHW: torch.Tensor) -> torch.Tensor:
    right = F.pad(x_NCHW, (0, 1, 0, 0)).diff(dim=3)
    down = F.pad(x_NCHW, (0, 0, 0, 1)).diff(dim=2)
    return torch.cat([right, down], dim=1)


_PSI: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "pixels": lambda x: x,
    "gradients": _gradients,
    "blocks": lambda x: F.avg_pool2d(x, 4),
}
