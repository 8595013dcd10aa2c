"""PixelDA: unsupervised pixel-level domain adaptation with generative adversarial networks (Bousmalis et al. 2017)."""

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
from adaptgan.methods.base import ClassifierMethod, Losses, OptimizerOptions, Phase
from adaptgan.methods.generative import watch
from adaptgan.methods.noisy import Noisy
from adaptgan.methods.tasks import task_of
from adaptgan.methods.two_domains import BatchNormMode, forward_domains
from adaptgan.networks.layers import frozen_statistics
from adaptgan.objectives.adversarial import Adversarial, precise
from adaptgan.objectives.separation import simse
from adaptgan.training.ema import EMA

Weight = Annotated[float, Field(ge=0)]


class PixelDA(Noisy, ClassifierMethod):
    """A generator G makes source images look real while the task's network T learns from what it makes. §3, eq. 1–3:

        min_θG,θT max_θD  α L_d(D, G) + β L_t(T, G) + γ L_c(G), in two alternating steps:

        z ~ U(−1, 1)^Z, labelled x, y of the source, real images x_t
        1.  θ_D minimizes  ℓ_real(D(x_t)) + ℓ_fake(D(G(x, z)))
            θ_T minimizes  ℓ_task(T(G(x, z)), y) + ℓ_task(T(x), y)
        2.  θ_G minimizes  α ℓ_gen(D(G(x, z))) + β ℓ_task(T(G(x, z)), y) + γ L_c

    The product is both: T predicts on real images, G translates. D and T share no weights, so α and β in step 1 would
    only scale the losses of an optimizer that does not mind (Adam): they weigh in step 2 alone.

    L_c is the content similarity (eq. 5), the masked pairwise mean squared error ‖d‖²/k − (Σd)²/k² over the k values
    of d = (x − G(x, z)) ∘ m: what is in the foreground m may change its light as a whole, not its form. The paper has m
    from the renderer; here it is what is brighter than `foreground` in x, the labelled pixels in a segmentation, and
    everything otherwise. Digits on photographs need none of it (γ = 0), as in the paper.

    Beyond the paper: T sees all images through `augmentation` (one draw for x and G(x, z)); `jitter`, small random
    warps of x before G; and averages of G's and T's weights, which translate and predict.

    Args:
        data: what is learned.
        generator: G, called with images and noise, which has `n_noise`, Z.
        discriminator: D; its logits may be a map.
        classifier: T.
        augmentation: what is done to all images before T sees them; it must be differentiable.
        adversarial: ℓ; the paper's cross-entropy, with G descending −log D as in its code.
        domain: α.
        task: β. The paper's code has α = 0.0113 and β = 0.0101 here for its MNIST-M, the same ratio.
        content: γ.
        foreground: pixels of x with a channel above this are m; without it, all.
        jitter: random changes of x before G sees it, in training and in `translate`.
        batch_norm: T's statistics over source and generated images together (`joint`) or each their own (`separate`):
            the running ones, which predict, then follow the generated images.
        label_smoothing: share of the label spread over all classes; the paper has none.
        ema: decay of the averages; the paper has none.
        optimizer: how D learns; the paper's code lowers no rate by more than 5% in 20,000 steps.
        task_optimizer: how T learns.
        generator_optimizer: how G learns.
    """

    needs_target = True
    uniform_noise = True
    takes_labelled = True
    tasks = ("classification", "regression", "segmentation")
    training_only = ("generator", "discriminator", "classifier")

    def __init__(
        self,
        data: DataInfo,
        generator: nn.Module = nested("network", "pixel_da_generator"),
        discriminator: nn.Module = nested("network", "pixel_da_discriminator"),
        classifier: nn.Module = nested("network", "conv_classifier"),
        augmentation: Augmentation = nested("augmentation", "warp"),
        adversarial: Adversarial = nested("objective", "non_saturating"),
        domain: Weight = 1.0,
        task: Weight = 0.9,
        content: Weight = 0.0,
        foreground: float | None = None,
        jitter: Augmentation = nested("augmentation", "none"),
        batch_norm: BatchNormMode = "separate",
        label_smoothing: float = 0.0,
        ema: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-3, betas=(0.5, 0.999), clip=5.0),
        task_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-3, betas=(0.5, 0.999), clip=5.0),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-3, betas=(0.5, 0.999), clip=5.0),
    ) -> None:
        super().__init__()
        self.generator, self.discriminator, self.classifier = generator, discriminator, classifier
        self.average, self.teacher = EMA(generator, ema), EMA(classifier, ema)
        self.n_noise = int(generator.n_noise)  # type: ignore[arg-type]
        self.by_batch = bool(getattr(discriminator, "by_batch", False))
        self.augmentation, self.adversarial = augmentation, adversarial
        self.domain, self.task_weight, self.content, self.foreground = domain, task, content, foreground
        self.jitter, self.moves_pixels = jitter, not isinstance(jitter, Identity)
        self.batch_norm, self.task = batch_norm, task_of(data, label_smoothing)
        self.optimizer, self.task_optimizer, self.generator_optimizer = optimizer, task_optimizer, generator_optimizer

    def phases(self) -> Sequence[Phase]:
        """The two steps of §3.1, D's and T's halves of the first apart."""
        kept = ("generator",)
        tell = Phase("discriminator", ("discriminator",), self.discriminator_loss, self.optimizer, keeps=kept)
        learn = Phase("task", ("classifier",), self.task_loss, self.task_optimizer, keeps=kept, after=self.follow_task)
        generate = Phase(
            "generator", ("generator",), self.generator_loss, self.generator_optimizer, after=self.follow_generator
        )
        return [tell, learn, generate]

    def discriminator_loss(self, batch: Batch) -> Losses:
        """ℓ_real(D(x_t)) + ℓ_fake(D(G(x, z)))."""
        fake, real = self.fake(batch).detach(), batch.real.images_NCHW
        real_logits, fake_logits = self.judge(real, fake)
        watch(batch, real_logits, fake_logits, real, fake)
        return {
            "real": self.adversarial.real(real_logits).mean(),
            "generated": self.adversarial.fake(fake_logits).mean(),
        }

    def task_loss(self, batch: Batch) -> Losses:
        """ℓ_task(T(G(x, z)), y) + ℓ_task(T(x), y)."""
        x, fake, y = self.synthetic(batch), self.fake(batch).detach(), batch.source.labels
        (outputs, _), (outputs_fake, _) = forward_domains(
            self.classifier, self.seen(batch, x), self.seen(batch, fake), self.batch_norm
        )
        return {
            "source": self.task.loss(outputs, y),
            "generated": self.task.loss(outputs_fake, y),
            **self.labelled_loss(batch),
        }

    def generator_loss(self, batch: Batch) -> Losses:
        """α ℓ_gen(D(G(x, z))) + β ℓ_task(T(G(x, z)), y) + γ L_c."""
        fake = self.fake(batch)
        with frozen_statistics(self.classifier):
            outputs = self.classifier(self.seen(batch, fake))
        losses = {
            "adversarial": self.domain * self.adversarial.generator(precise(self.discriminator(fake))).mean(),
            "task": self.task_weight * self.task.loss(outputs, batch.source.labels),
        }
        if self.content:
            losses["content"] = self.content * self.content_similarity(batch, fake)
        return losses

    def judge(self, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """D's logits: separate batches where D normalizes by them, else one."""
        if self.by_batch:
            return precise(self.discriminator(real)), precise(self.discriminator(fake))
        logits = precise(self.discriminator(torch.cat([real, fake])))
        return logits[: len(real)], logits[len(real) :]

    def content_similarity(self, batch: Batch, fake: torch.Tensor) -> torch.Tensor:
        """L_c, mean over the batch."""
        x = self.synthetic(batch)
        m_N1HW = self.mask(batch, x)
        return simse(x * m_N1HW, fake * m_N1HW).mean()

    def mask(self, batch: Batch, x_NCHW: torch.Tensor) -> torch.Tensor:
        """m, 1 in the foreground and 0 elsewhere, (N, 1, H, W)."""
        if self.task.name == "segmentation":
            return (batch.source.labels[:, None] > 0).to(x_NCHW.dtype)
        if self.foreground is None:
            return torch.ones_like(x_NCHW[:, :1])
        return (x_NCHW.amax(1, keepdim=True) > self.foreground).to(x_NCHW.dtype)

    def seen(self, batch: Batch, images_NCHW: torch.Tensor) -> torch.Tensor:
        """What T sees of source images or of what was made from them: augmented alike."""
        changed_NCHW: torch.Tensor = self.augmentation(images_NCHW, batch.source.seeds_N, view=1)
        return changed_NCHW

    def follow_task(self, batch: Batch) -> None:
        """The average that predicts follows T."""
        self.teacher.update(self.classifier)

    def follow_generator(self, batch: Batch) -> None:
        """The average that translates follows G."""
        self.average.update(self.generator)

    def predictor(self) -> nn.Module:
        """The averaged T."""
        return self.teacher
