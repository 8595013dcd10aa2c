"""Pose-to-frame transfer: "Everybody Dance Now" (Chan et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from adaptgan import Method, OptimizerOptions, Phase, nested
from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Losses
from adaptgan.methods.generative import reports_gradient, watch
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.scales import mean_over, per_scale
from adaptgan.training.ema import EMA
from adaptgan_video.fomm import flat

Weight = Annotated[float, Field(ge=0)]

Pair = tuple[torch.Tensor, torch.Tensor]
"""Of one moment and the next, (N, C, H, W) each."""


class PoseToFrame(Method):
    """Poses x become the frames y of a person's video, each made with a look at the frame made before (Chan 2019, §3).

        for each step:
            x_{t−1}, x_t and their frames y_{t−1}, y_t
            ŷ_{t−1} = G(x_{t−1} | 0),   ŷ_t = G(x_t | ŷ_{t−1})                               ("temporal smoothing")
            D minimizes  mean_k E ℓ_real(D_k(x_{t−1}, x_t, y_{t−1}, y_t)) + E ℓ_fake(D_k(x_{t−1}, x_t, ŷ_{t−1}, ŷ_t))
            G minimizes  gan · mean_k E ℓ_gen(D_k(x_{t−1}, x_t, ŷ_{t−1}, ŷ_t))                      (L_smooth)
                         + λ_FM mean_k Σ_i ‖D_kⁱ(…, y_{t−1}, y_t) − D_kⁱ(…, ŷ_{t−1}, ŷ_t)‖₁         (L_FM)
                         + λ_1 (‖ŷ_{t−1} − y_{t−1}‖₁ + ‖ŷ_t − y_t‖₁)                                (L_P)

    L_P compares features of VGG-19 in the paper, whose weights are not at hand: here it is the pixels. The paper's
    second GAN, for the face, is left out: these faces have no features. Without `smoothing` each frame is G(x_t | 0),
    and D judges it alone: pix2pix(HD), the paper's baseline.

    `translate` makes first frames; `render` makes videos.

    Args:
        data: shape of the poses, and of the frames, their pairs.
        generator: G (`frame_generator`).
        discriminator: D (`frame_discriminator`), of two `frames` with smoothing, of one without.
        adversarial: ℓ; pix2pixHD's is least squares.
        smoothing: look at the frame before, and judge pairs.
        gan: weight of the adversarial term; where it and `feature_matching` are 0, there is no D.
        feature_matching: λ_FM.
        l1: λ_1, in place of the paper's 5 for features (10 at its full size).
        ema: decay of the averaged generator, which translates; 0, the paper's, for the last one.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    needs_labels = False
    needs_pairs = True
    frames = 1
    frame_order = "following"
    training_only = ("generator", "discriminator")

    def __init__(
        self,
        data: DataInfo,
        generator: nn.Module = nested("network", "frame_generator"),
        discriminator: nn.Module = nested("network", "frame_discriminator"),
        adversarial: Adversarial = nested("objective", "least_squares"),
        smoothing: bool = True,
        gan: Weight = 1.0,
        feature_matching: Weight = 10.0,
        l1: Weight = 10.0,
        ema: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
    ) -> None:
        super().__init__()
        if not (gan or feature_matching or l1):
            raise ParamsError("pose_to_frame: `gan`, `feature_matching` and `l1` are all 0. Set one of them.")
        if (judged := getattr(discriminator, "frames", None)) != (2 if smoothing else 1):
            raise ParamsError(
                f"pose_to_frame: `smoothing` is {smoothing} and the discriminator judges {judged} frame(s) at once. "
                "Give it `frames: 2` with smoothing and `frames: 1` without."
            )
        self.generator, self.discriminator, self.adversarial = generator, discriminator, adversarial
        self.average = EMA(generator, ema)
        self.smoothing, self.gan, self.feature_matching, self.l1 = smoothing, gan, feature_matching, l1
        self.optimizer, self.generator_optimizer = optimizer, generator_optimizer

    @property
    def plays(self) -> bool:
        """Whether G is told anything by D."""
        return bool(self.gan or self.feature_matching)

    def phases(self) -> Sequence[Phase]:
        """D's turn, then G's."""
        tell = Phase("discriminator", ("discriminator",), self.discriminator_loss, self.optimizer, keeps=("generator",))
        make = Phase("generator", ("generator",), self.generator_loss, self.generator_optimizer, after=self.follow)
        return [tell, make] if self.plays else [make]

    def discriminator_loss(self, batch: Batch) -> Losses:
        """mean_k E ℓ_real(D_k(x, y)) + E ℓ_fake(D_k(x, ŷ)) of both moments; real and made ones in one forward."""
        x, y, made = self.poses(batch), self.wanted(batch), detached(self.made(batch))
        true, false = self.judged(x, y), self.judged(x, made)
        logits = per_scale(self.discriminator(torch.cat([true, false])))
        real, fake = ([one[half] for one in logits] for half in (slice(len(true)), slice(len(true), None)))
        watch(batch, real[0], fake[0], y[1], made[1])
        return {"real": mean_over(real, self.adversarial.real), "made": mean_over(fake, self.adversarial.fake)}

    def generator_loss(self, batch: Batch) -> Losses:
        """L1 of both frames, the adversarial and the feature matching term; those of weight 0 are left out."""
        y, made = self.wanted(batch), self.made(batch)
        losses = self.opinion(self.judged(self.poses(batch), y), self.judged(self.poses(batch), made))
        if self.l1:
            losses["l1"] = self.l1 * (F.l1_loss(made[0], y[0]) + F.l1_loss(made[1], y[1]))
        return losses

    def opinion(self, true: torch.Tensor, false: torch.Tensor) -> Losses:
        """The terms gan · mean_k E ℓ_gen(D_k(false)) and λ_FM mean_k Σ_i ‖D_kⁱ(true) − D_kⁱ(false)‖₁."""
        if not self.plays:
            return {}
        logits, seen = self.discriminator(false, features=True)
        losses = {}
        if self.gan:
            losses["adversarial"] = self.gan * mean_over(per_scale(logits), self.adversarial.generator)
        if self.feature_matching:
            with torch.no_grad():
                _, wanted = self.discriminator(true, features=True)
            terms = [F.l1_loss(a.float(), b.float()) for a, b in zip(flat(seen), flat(wanted), strict=True)]
            losses["feature_matching"] = self.feature_matching * torch.stack(terms).sum() / len(per_scale(logits))
        return losses

    def poses(self, batch: Batch) -> Pair:
        """x_{t−1} and x_t."""
        return batch.source.images_NCHW, batch.source.frames[:, 0]

    def wanted(self, batch: Batch) -> Pair:
        """y_{t−1} and y_t."""
        return batch.source.paired, batch.source.paired_frames[:, 0]

    def made(self, batch: Batch) -> Pair:
        """ŷ_{t−1} = G(x_{t−1} | 0) and ŷ_t = G(x_t | ŷ_{t−1}), made once for both players."""
        if "made" not in batch.shared:
            before, now = self.poses(batch)
            first = self.generator(before)
            second = self.generator(now, first) if self.smoothing else self.generator(now)
            if second.requires_grad:
                second.register_hook(reports_gradient(batch))
            batch.shared["made"] = (first, second)
        pair: Pair = batch.shared["made"]
        return pair

    def judged(self, poses: Pair, frames: Pair) -> torch.Tensor:
        """What D looks at: both moments at once, (N, 2 (C + C'), H, W), or without smoothing one after the other."""
        if self.smoothing:
            return torch.cat([*poses, *frames], 1)
        return torch.cat([torch.cat(moment, 1) for moment in zip(poses, frames, strict=True)])

    def follow(self, batch: Batch) -> None:
        """The averaged generator follows G."""
        self.average.update(self.generator)

    def translate(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor | None = None) -> torch.Tensor:
        """First frames G(x | 0), NCHW in [-1, 1]; there is no noise for `seeds_N` to decide."""
        made_NCHW: torch.Tensor = self.average(images_NCHW)
        return made_NCHW

    def render(self, poses_NTCHW: torch.Tensor) -> torch.Tensor:
        """Videos (N, T, C', H, W) in [-1, 1] of poses (N, T, C, H, W), each frame with a look at the one before."""
        made = [self.translate(poses_NTCHW[:, 0])]
        for pose_NCHW in poses_NTCHW.unbind(1)[1:]:
            made.append(self.average(pose_NCHW, made[-1]) if self.smoothing else self.translate(pose_NCHW))
        return torch.stack(made, 1)

    def score(self, held_out: Side) -> dict[str, float]:
        """`l1`: the mean distance of held-out second frames from the true ones, 2 at most."""
        if held_out.frames_NTCHW is None:
            return {}
        poses_NTCHW = torch.stack([held_out.images_NCHW, held_out.frames[:, 0]], 1)
        made = torch.cat([self.render(part)[:, 1] for part in poses_NTCHW.split(128)])
        return {"l1": (made - held_out.paired_frames[:, 0]).abs().mean().item()}

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Poses, the second frames made of them, and the true ones."""
        before, now = (x[:16] for x in self.poses(batch))
        made = self.render(torch.stack([before, now], 1))[:, 1]
        return {"pose": now, "made": made, "frame": self.wanted(batch)[1][:16]}


def detached(pair: Pair) -> Pair:
    """Without their graph."""
    return pair[0].detach(), pair[1].detach()
