"""Semi-supervised GAN: K+1 classes with K logits, and feature matching (Salimans et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.components import nested
from adaptgan.data.batch import Batch
from adaptgan.methods.base import ClassifierMethod, Losses, OptimizerOptions, Phase
from adaptgan.methods.two_domains import measure_classes
from adaptgan.training.ema import EMA


class SemiSupervisedGAN(ClassifierMethod):
    """The classifier is the discriminator too: a few labelled real images, many without labels, and made-up ones.

        min_f  E[ lse(l(x)) − l_y(x) ]                                                           labelled
             + β · ( −½ E[lse(l(u))] + ½ E[softplus(lse(l(u)))] + ½ E[softplus(lse(l(G(z))))] )  unlabelled
        min_G  ‖ E h(u) − E h(G(z)) ‖²                                                           feature matching

    l are K logits and lse = log Σ exp. The logit of class K+1, "generated", is held at 0, so that
    D(x) = Z / (Z + 1) with Z = exp(lse(l(x))) (§5); h is the last hidden layer (§3.1). An average of the classifier's
    weights predicts.

    Labelled images are the source: with `train --labelled DIR` and no source, those; beside a synthetic source, those
    too.

    Args:
        classifier: l and h. Normalize by weight: batch statistics would mix what is real and what is generated.
        generator: G, noise (N, `n_noise`) -> images in [-1, 1].
        augmentation: what is done to labelled and unlabelled images; the paper does nothing.
        unlabelled: β.
        ema: decay of the averaged weights that predict.
        optimizer: how the classifier learns.
        generator_optimizer: how G learns.
    """

    needs_target = True
    takes_labelled = True
    training_only = ("classifier",)

    def __init__(
        self,
        classifier: nn.Module = nested("network", "mlp_classifier"),
        generator: nn.Module = nested("network", "mlp_generator"),
        augmentation: nn.Module = nested("augmentation", "none"),
        unlabelled: float = 1.0,
        ema: float = 0.9999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=3e-3, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=3e-3, betas=(0.5, 0.999)),
    ) -> None:
        super().__init__()
        self.classifier, self.generator, self.augmentation = classifier, generator, augmentation
        self.average = EMA(classifier, ema)
        self.n_noise = int(generator.n_noise)  # type: ignore[arg-type]
        self.unlabelled = unlabelled
        self.optimizer, self.generator_optimizer = optimizer, generator_optimizer

    def phases(self) -> Sequence[Phase]:
        """The classifier, then the generator, each with noise of its own."""
        return [
            Phase("classifier", ("classifier",), self.classifier_loss, self.optimizer, after=self.follow),
            Phase("generator", ("generator",), self.generator_loss, self.generator_optimizer),
        ]

    def classifier_loss(self, batch: Batch) -> Losses:
        """Cross-entropy of labelled images, real against generated for the others; one concatenated forward."""
        x_NCHW = self.augmentation(batch.source.images_NCHW, batch.source.seeds_N)
        u_NCHW = self.real(batch)
        with torch.no_grad():
            fake_NCHW = self.generate(u_NCHW)
        logits = self.classifier(torch.cat([x_NCHW, u_NCHW, fake_NCHW]))
        x_NK, u_NK, fake_NK = logits.split([len(x_NCHW), len(u_NCHW), len(fake_NCHW)])
        measure_classes(batch, u_NK)
        real, fake = unlabelled_terms(u_NK, fake_NK)
        return {
            "task": F.cross_entropy(x_NK, batch.source.labels),
            "real": self.unlabelled * real,
            "generated": self.unlabelled * fake,
            **self.labelled_loss(batch),
        }

    def generator_loss(self, batch: Batch) -> Losses:
        """‖E h(u) − E h(G(z))‖²."""
        u_NCHW = self.real(batch)
        with torch.no_grad():
            _, real_NF = self.classifier(u_NCHW, features=True)
        _, fake_NF = self.classifier(self.generate(u_NCHW), features=True)
        return {"feature_matching": feature_distance(real_NF, fake_NF)}

    def real(self, batch: Batch) -> torch.Tensor:
        """u: the unlabelled images, augmented once for both players."""
        if "unlabelled" not in batch.shared:
            batch.shared["unlabelled"] = self.augmentation(batch.real.images_NCHW, batch.real.seeds_N)
        u_NCHW: torch.Tensor = batch.shared["unlabelled"]
        return u_NCHW

    def generate(self, like_NCHW: torch.Tensor, source: torch.Generator | None = None) -> torch.Tensor:
        """G(z), z uniform in [0, 1): as many images as `like_NCHW` has, in [-1, 1]."""
        device = source.device if source else like_NCHW.device
        noise_NZ = torch.rand(len(like_NCHW), self.n_noise, generator=source, device=device)
        images_NCHW: torch.Tensor = self.generator(noise_NZ.to(like_NCHW))
        return images_NCHW

    def follow(self, batch: Batch) -> None:
        """The average follows the classifier."""
        self.average.update(self.classifier)

    def predictor(self) -> nn.Module:
        """The averaged network."""
        return self.average

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Generated images, of the same noise each time, and real ones."""
        real_NCHW = batch.real.images_NCHW[:16]
        noise = torch.Generator().manual_seed(0)
        return {"generated": self.generate(real_NCHW, noise), "real": real_NCHW}


def unlabelled_terms(real_NK: torch.Tensor, fake_NK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """−½ E log D of real images and −½ E log(1 − D) of generated ones, D = Z / (Z + 1), Z = Σ exp(l)."""
    real_N, fake_N = real_NK.logsumexp(1), fake_NK.logsumexp(1)
    return 0.5 * (F.softplus(real_N) - real_N).mean(), 0.5 * F.softplus(fake_N).mean()


def feature_distance(real_NF: torch.Tensor, fake_NF: torch.Tensor) -> torch.Tensor:
    """‖E h(u) − E h(G(z))‖², a scalar."""
    return (real_NF.mean(0) - fake_NF.mean(0)).square().sum()
