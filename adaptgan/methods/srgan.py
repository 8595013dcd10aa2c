"""SRGAN: photo-realistic single image super-resolution using a generative adversarial network (Ledig et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from adaptgan.components import nested
from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch, Side
from adaptgan.data.images import shrunk, to_float, to_uint8
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Guard, Losses, Method, OptimizerOptions, Phase
from adaptgan.methods.generative import reports_gradient, watch
from adaptgan.methods.semantic import SemanticTerm
from adaptgan.metrics.fidelity import WINDOW, psnr, ssim
from adaptgan.networks.srgan import enlarged
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.training.ema import EMA

Weight = Annotated[float, Field(ge=0)]


class SRGAN(Method):
    """G makes small images large; D tells large images x from what G made of their small selves x↓. Equations 2 to 7:

        x↓ = x shrunk by an antialiased bicubic kernel and rounded to 8 bits
        pre-train G on ‖G(x↓) − x‖² (SRResNet)
        for each step:
            x from the source;  D minimizes ℓ_real(D(x)) + ℓ_fake(D(G(x↓)))
                                G minimizes ‖φ(G(x↓)) − φ(x)‖² + λ ℓ_gen(D(G(x↓)))

    All distances are means over pixels, or features, of images in [-1, 1]. G's images are made once for both players.
    `pretrain: 1.0` is SRResNet alone: the best PSNR, and smooth. φ is the identity, or the last hidden layer of the
    guard. The paper's is a layer of VGG-19, whose weights would have to be fetched; with the identity its adversarial
    term (`SRGAN-MSE`) changes little at λ = 1e-3.

    It learns from the source at its full size and makes the small images itself. Translate images that were shrunk in
    the same way: `ingest` with `size` and `resample: bicubic`. Other blur is new to it.

    Beyond the paper: `semantic`, a frozen classifier that must read the label in G(x↓); an average of G's weights.

    Args:
        data: the large images' shape.
        guard: the frozen classifier of the semantic term and of `content: guard`; not needed without.
        generator: G; its `scale` says by how much.
        discriminator: D, a map of logits.
        adversarial: ℓ; the paper's cross-entropy, with G descending −log D.
        adversarial_weight: λ.
        content: φ while D plays: `pixels`, or `guard`, the guard's last hidden layer.
        pretrain: share of the training that comes first and is SRResNet's: a million of 1.2 million steps in the paper.
        semantic: weight of the semantic term, while D plays.
        semantic_augmentation: what the guard sees G(x↓) through.
        jitter: random changes of x, before it is shrunk, in training.
        ema: decay of the averaged generator that translates; 0 for G itself, the paper's.
        optimizer: how D learns.
        generator_optimizer: how G learns against D; at a tenth of the rate in the second half of the paper's training.
        pretrain_optimizer: how G learns before.
    """

    needs_labels = False
    training_only = ("generator", "discriminator")

    def __init__(
        self,
        data: DataInfo,
        guard: Guard,
        generator: nn.Module = nested("network", "srresnet"),
        discriminator: nn.Module = nested("network", "srgan_discriminator"),
        adversarial: Adversarial = nested("objective", "non_saturating"),
        adversarial_weight: Weight = 1e-3,
        content: Literal["pixels", "guard"] = "pixels",
        pretrain: Annotated[float, Field(ge=0, le=1)] = 0.83,
        semantic: Weight = 0.0,
        semantic_augmentation: Augmentation = nested("augmentation", "none"),
        jitter: Augmentation = nested("augmentation", "none"),
        ema: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-4),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-4),
        pretrain_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-4),
    ) -> None:
        super().__init__()
        self.enlarges = int(generator.scale)  # type: ignore[arg-type]
        if data.height % self.enlarges or data.width % self.enlarges:
            raise ParamsError(
                f"srgan: images of {data.height}×{data.width} pixels cannot be made {self.enlarges} times as small. "
                f"Ingest them with a `size` that {self.enlarges} divides, or set the generator's `scale`."
            )
        if pretrain == 1 and (semantic or content != "pixels"):
            raise ParamsError(
                "srgan: `pretrain` is 1.0, SRResNet alone, whose only loss is that of the pixels. Set it lower for "
                "`semantic` and `content: guard` to have their turn."
            )
        self.generator, self.discriminator, self.adversarial = generator, discriminator, adversarial
        self.by_batch = bool(getattr(discriminator, "by_batch", False))
        self.average = EMA(generator, ema)
        self.guard, self.semantic = guard, SemanticTerm(guard, semantic, semantic_augmentation)
        self.adversarial_weight, self.content, self.pretrain = adversarial_weight, content, pretrain
        self.jitter = jitter
        self.optimizer, self.generator_optimizer = optimizer, generator_optimizer
        self.pretrain_optimizer = pretrain_optimizer

    def phases(self) -> Sequence[Phase]:
        """SRResNet's turns, then D's and G's."""
        alone, options = float(self.pretrain), self.pretrain_optimizer
        learn = Phase("pretrain", ("generator",), self.pretraining_loss, options, stop=alone, after=self.follow)
        if alone == 1:
            return [learn]
        self.semantic.check()
        if self.content == "guard":
            self.guard.classifier  # noqa: B018
        tell = Phase(
            "discriminator",
            ("discriminator",),
            self.discriminator_loss,
            self.optimizer,
            start=alone,
            keeps=("generator",),
        )
        make = Phase(
            "generator",
            ("generator",),
            self.generator_loss,
            self.generator_optimizer,
            start=alone,
            after=self.follow,
        )
        return [learn, tell, make] if alone else [tell, make]

    def pretraining_loss(self, batch: Batch) -> Losses:
        """‖G(x↓) − x‖² (eq. 4)."""
        x, made = self.large(batch), self.made(batch)
        return {"content": F.mse_loss(made, x)}

    def discriminator_loss(self, batch: Batch) -> Losses:
        """ℓ_real(D(x)) + ℓ_fake(D(G(x↓)))."""
        x, made = self.large(batch), self.made(batch).detach()
        real_logits, made_logits = self.judge(x, made)
        watch(batch, real_logits, made_logits, x, made)
        return {
            "real": self.adversarial.real(real_logits).mean(),
            "enlarged": self.adversarial.fake(made_logits).mean(),
        }

    def generator_loss(self, batch: Batch) -> Losses:
        """‖φ(G(x↓)) − φ(x)‖² + λ ℓ_gen(D(G(x↓))) (eq. 3, 6), and the semantic term."""
        x, made = self.large(batch), self.made(batch)
        return {
            "content": F.mse_loss(self.phi(made), self.phi(x)),
            "adversarial": self.adversarial_weight * self.adversarial.generator(self.discriminator(made)).mean(),
            **self.semantic.terms(made, batch.source),
        }

    def phi(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """What the content is: the pixels, or the guard's features, in float32."""
        if self.content == "pixels":
            return images_NCHW.float()
        features_NF: torch.Tensor
        _, features_NF = self.guard.classifier(images_NCHW, features=True)
        return features_NF.float()

    def large(self, batch: Batch) -> torch.Tensor:
        """x, jittered once for all that look at it."""
        if "large" not in batch.shared:
            batch.shared["large"] = self.jitter(batch.source.images_NCHW, batch.source.seeds_N)
        x_NCHW: torch.Tensor = batch.shared["large"]
        return x_NCHW

    def made(self, batch: Batch) -> torch.Tensor:
        """G(x↓), once for both players."""
        if "made" not in batch.shared:
            made = self.generator(self.shrink(self.large(batch)))
            if made.requires_grad:
                made.register_hook(reports_gradient(batch))
            batch.shared["made"] = made
        made_NCHW: torch.Tensor = batch.shared["made"]
        return made_NCHW

    def judge(self, x: torch.Tensor, made: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """D's logits of both, in one forward where it does not normalize by the batch."""
        if self.by_batch:
            return self.discriminator(x), self.discriminator(made)
        logits = self.discriminator(torch.cat([x, made]))
        return logits[: len(x)], logits[len(x) :]

    def shrink(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """x↓: `scale` times as small, rounded as images are stored, in [-1, 1]."""
        return to_float(to_uint8(shrunk(images_NCHW, self.enlarges)))

    def follow(self, batch: Batch) -> None:
        """The averaged generator follows G."""
        self.average.update(self.generator)

    def translate(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor | None = None) -> torch.Tensor:
        """Images `scale` times as high and wide, NCHW in [-1, 1]; of any size, and there is no noise."""
        made_NCHW: torch.Tensor = self.average(images_NCHW)
        return made_NCHW.clamp(-1, 1)

    def score(self, held_out: Side) -> dict[str, float]:
        """`psnr` (dB) and `ssim` of held-out images that were made small and large again; beside bicubic's."""
        wide_enough = min(held_out.images_NCHW.shape[2:]) >= WINDOW
        measures = {"psnr": psnr, "ssim": ssim} if wide_enough else {"psnr": psnr}
        found: dict[str, list[torch.Tensor]] = {}
        for x in held_out.images_NCHW.split(256):
            small = self.shrink(x)
            results = {"": self.translate(small), "bicubic_": enlarged(small, self.enlarges).clamp(-1, 1)}
            for name, measure in measures.items():
                for prefix, made in results.items():
                    values_N = measure((made.float() + 1) / 2, (x.float() + 1) / 2)
                    found.setdefault(prefix + name, []).append(values_N)
        return {name: torch.cat(parts).mean().item() for name, parts in found.items()}

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Bicubic interpolation, G's images, and the true ones."""
        x = batch.source.images_NCHW[:16]
        small = self.shrink(x)
        bicubic = enlarged(small, self.enlarges).clamp(-1, 1)
        return {"bicubic": bicubic, "enlarged": self.translate(small), "source": x}
