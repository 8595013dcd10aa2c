"""First Order Motion Model for image animation (Siarohin et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

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
from adaptgan_video import affine
from adaptgan_video.deformations import Deformation, random_deformation

Weight = Annotated[float, Field(ge=0)]

NETWORKS = ("detector", "motion", "generator")
"""What animates: keypoints, from these a flow, along it the image."""


class FOMM(Method):
    """A still image follows a video, of which nothing is known: no keypoints, no labels. For each step:

        S, D: two frames of one video;  κ_S, κ_D = detector of S, D: T_{X←R}(p_k) and d T_{X←R} / dp       (§3.1)
        T̂, O = motion(S, κ_S, κ_D): a flow from first-order views around the keypoints, and an occlusion  (eq. 4–7)
        D̂ = generator(S, T̂, O): the source's features, warped and painted over                            (§3.2, eq. 8)
        T_{X←Y}: a random deformation;  Y(z) = D(T_{X←Y}(z));  κ_Y = detector of Y

        minimize  λ_rec  Σ_s ‖D̂_s − D_s‖₁                                                                  (eq. 9)
                + λ_p    Σ_k ‖T_{X←R}(p_k) − T_{X←Y}(T_{Y←R}(p_k))‖₁                                       (eq. 11)
                + λ_J    Σ_k ‖1 − (d T_{X←R}/dp)⁻¹ (d T_{X←Y}/dp) (d T_{Y←R}/dp)‖₁                         (eq. 13)

    each norm a mean over places, keypoints and images. Eq. 9 compares features of VGG-19, whose weights are not at
    hand: here it is the pixels of a pyramid of images D_s, each half as large as the one before. With `gan` a
    discriminator d also learns to tell D̂ from D, and the others from what its layers see, as the authors' code can.

    `animate` makes a source follow a driving video: as it is, or by how it has moved since its first frame (eq. 14).

    Args:
        data: the images' shape.
        detector: keypoints of an image (`keypoint_detector`).
        motion: a flow from keypoints (`dense_motion`), of as many `keypoints` as the detector finds.
        generator: an image that follows a flow (`warping_generator`).
        discriminator: d, a map of logits, or several at as many scales, such as `patchgan_discriminator`; needed where
            `gan` is above 0.
        adversarial: ℓ; the authors' code has least squares.
        reconstruction: λ_rec.
        scales: images in the pyramid, the first as large as the frames.
        equivariance: λ_p.
        jacobian: λ_J.
        bend: how strong the affine part of T_{X←Y} is: standard deviation of its numbers.
        curl: how strong its thin-plate spline is.
        gan: weight of the adversarial term; 0, the paper's, for none.
        feature_matching: weight of what d's layers see of D̂ and D, where `gan` is above 0.
        ema: decay of the averaged networks, which animate; 0, the paper's, for the last ones.
        optimizer: how all of them learn.
    """

    needs_labels = False
    moves_pixels = True
    frames = 1
    frame_order = "random"
    training_only = (*NETWORKS, "discriminator")

    def __init__(
        self,
        data: DataInfo,
        detector: nn.Module = nested("network", "keypoint_detector"),
        motion: nn.Module = nested("network", "dense_motion"),
        generator: nn.Module = nested("network", "warping_generator"),
        discriminator: nn.Module | None = nested("network"),
        adversarial: Adversarial = nested("objective", "least_squares"),
        reconstruction: Weight = 10.0,
        scales: Annotated[int, Field(ge=1)] = 4,
        equivariance: Weight = 10.0,
        jacobian: Weight = 10.0,
        bend: Weight = 0.05,
        curl: Weight = 0.005,
        gan: Weight = 0.0,
        feature_matching: Weight = 10.0,
        ema: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=2e-4, betas=(0.5, 0.999)),
    ) -> None:
        super().__init__()
        found, wanted = (getattr(network, "keypoints", None) for network in (detector, motion))
        if found != wanted:
            raise ParamsError(
                f"fomm: the detector finds {found} keypoints and the motion network takes {wanted}. Give both the same "
                "`keypoints`."
            )
        if gan and discriminator is None:
            raise ParamsError("fomm: with `gan` above 0 it needs a `discriminator`, such as patchgan_discriminator.")
        if min(data.height, data.width) < 2 ** (scales - 1):
            raise ParamsError(
                f"fomm.scales: images of {data.height}×{data.width} pixels cannot be halved {scales - 1} times. Ask "
                "for fewer."
            )
        self.detector, self.motion, self.generator = detector, motion, generator
        self.discriminator: Any = discriminator
        self.adversarial = adversarial
        self.averages = nn.ModuleDict({name: EMA(getattr(self, name), ema) for name in NETWORKS})
        self.reconstruction, self.scales = reconstruction, scales
        self.equivariance, self.jacobian = equivariance, jacobian
        self.bend, self.curl = bend, curl
        self.gan, self.feature_matching = gan, feature_matching
        self.optimizer = optimizer

    def phases(self) -> Sequence[Phase]:
        """The discriminator's turn where there is one, then the animating networks', all at once."""
        animate = Phase("generator", NETWORKS, self.generator_loss, self.optimizer, after=self.follow)
        if self.discriminator is None or not self.gan:
            return [animate]
        judge = Phase("discriminator", ("discriminator",), self.discriminator_loss, self.optimizer, keeps=NETWORKS)
        return [judge, animate]

    def discriminator_loss(self, batch: Batch) -> Losses:
        """E ℓ_real(d(D)) + E ℓ_fake(d(D̂)); real and made frames in one forward."""
        real, made = self.driving(batch), self.made(batch).detach()
        logits = per_scale(self.discriminator(torch.cat([real, made])))
        true, false = ([one[half] for one in logits] for half in (slice(len(real)), slice(len(real), None)))
        watch(batch, true[0], false[0], real, made)
        return {"real": mean_over(true, self.adversarial.real), "made": mean_over(false, self.adversarial.fake)}

    def generator_loss(self, batch: Batch) -> Losses:
        """Reconstruction and both equivariance terms; with `gan` the adversarial and the feature matching term."""
        driving, made = self.driving(batch), self.made(batch)
        losses = {"reconstruction": self.reconstruction * pyramid_distance(made, driving, self.scales)}
        if self.equivariance or self.jacobian:
            driving_NK6, deformed_NK6, deformation = batch.shared["equivariance"]
            place, jacobian = inequivariance(driving_NK6, deformed_NK6, deformation)
            losses["equivariance"] = self.equivariance * place
            losses["jacobian"] = self.jacobian * jacobian
        return losses | self.opinion(driving, made) if self.gan else losses

    def opinion(self, driving: torch.Tensor, made: torch.Tensor) -> Losses:
        """The terms gan · E ℓ_gen(d(D̂)), and what d's layers see of D̂ and D."""
        logits, seen = self.discriminator(made, features=True)
        with torch.no_grad():
            _, wanted = self.discriminator(driving, features=True)
        terms = [F.l1_loss(ours.float(), theirs.float()) for ours, theirs in zip(flat(seen), flat(wanted), strict=True)]
        return {
            "adversarial": self.gan * mean_over(per_scale(logits), self.adversarial.generator),
            "feature_matching": self.gan * self.feature_matching * torch.stack(terms).mean(),
        }

    def driving(self, batch: Batch) -> torch.Tensor:
        """D, another frame of the source's video."""
        return batch.source.frames[:, 0]

    def made(self, batch: Batch) -> torch.Tensor:
        """D̂, made once for both players. All three images' keypoints come of one forward."""
        if "made" not in batch.shared:
            source, driving = batch.source.images_NCHW, self.driving(batch)
            deformation = random_deformation(batch.source.seeds_N, self.bend, self.curl)
            images = torch.cat([source, driving, deformation.deformed(driving)])
            source_NK6, driving_NK6, deformed_NK6 = self.detector(images).chunk(3)
            made = self.generator(source, self.motion(source, source_NK6, driving_NK6))
            if made.requires_grad:
                made.register_hook(reports_gradient(batch))
            batch.shared |= {"made": made, "equivariance": (driving_NK6, deformed_NK6, deformation)}
        made_NCHW: torch.Tensor = batch.shared["made"]
        return made_NCHW

    def follow(self, batch: Batch) -> None:
        """The averaged networks follow."""
        for name in NETWORKS:
            self.average(name).update(getattr(self, name))

    def average(self, name: str) -> Any:
        """The averaged `detector`, `motion` or `generator`."""
        return self.averages[name]

    def keypoints(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Keypoints of images in [-1, 1]: (N, K, 6), places and Jacobians (see `affine`)."""
        keypoints_NK6: torch.Tensor = self.average("detector")(images_NCHW)
        return keypoints_NK6

    def animate(
        self, source_NCHW: torch.Tensor, driving_NCHW: torch.Tensor, first_NCHW: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The sources as the driving frames would have them, NCHW in [-1, 1].

        Args:
            source_NCHW: images in [-1, 1].
            driving_NCHW: a frame of a video for each.
            first_NCHW: the videos' first frames: the source then moves as the video has since (eq. 14). Without, it
                takes the driving frame's keypoints themselves, and with them its proportions.
        """
        source_NK6, driving_NK6 = self.keypoints(source_NCHW), self.keypoints(driving_NCHW)
        if first_NCHW is not None:
            driving_NK6 = affine.relative(source_NK6, driving_NK6, self.keypoints(first_NCHW))
        motion_N3hw = self.average("motion")(source_NCHW, source_NK6, driving_NK6)
        made_NCHW: torch.Tensor = self.average("generator")(source_NCHW, motion_N3hw)
        return made_NCHW

    def score(self, held_out: Side) -> dict[str, float]:
        """`l1`: mean distance of made frames from the driving ones, 2 at most; `l1_copied`: of the sources."""
        if held_out.frames_NTCHW is None:
            return {}
        made_sum = torch.zeros((), device=held_out.images_NCHW.device)
        for source, frames in zip(held_out.images_NCHW.split(128), held_out.frames.split(128), strict=True):
            made_sum += (self.animate(source, frames[:, 0]) - frames[:, 0]).abs().sum()
        driving = held_out.frames[:, 0]
        copied = (held_out.images_NCHW - driving).abs().mean()
        return {"l1": made_sum.item() / driving.numel(), "l1_copied": copied.item()}

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Sources, driving frames, and what was made of both."""
        source, driving = batch.source.images_NCHW[:16], self.driving(batch)[:16]
        return {"source": source, "driving": driving, "animated": self.animate(source, driving)}


def pyramid_distance(made_NCHW: torch.Tensor, wanted_NCHW: torch.Tensor, scales: int) -> torch.Tensor:
    """Σ_s ‖made_s − wanted_s‖₁, each a mean; from one scale to the next, means of 2×2 pixels."""
    difference, total = made_NCHW - wanted_NCHW, torch.zeros((), device=made_NCHW.device)
    for scale in range(scales):
        difference = F.avg_pool2d(difference, 2) if scale else difference
        total = total + difference.abs().mean()
    return total


def inequivariance(
    driving_NK6: torch.Tensor, deformed_NK6: torch.Tensor, deformation: Deformation
) -> tuple[torch.Tensor, torch.Tensor]:
    """How far keypoints are from following a known deformation: of places (eq. 11) and of Jacobians (eq. 13).

    Args:
        driving_NK6: keypoints of X.
        deformed_NK6: those of Y, Y(z) = X(T_{X←Y}(z)).
        deformation: T_{X←Y}.
    """
    y_NK2 = affine.places(deformed_NK6)
    place = (affine.places(driving_NK6) - deformation(y_NK2)).abs().mean()
    turned_NK22 = affine.product(deformation.jacobian(y_NK2), affine.jacobians(deformed_NK6))
    there_and_back_NK22 = affine.product(affine.inverse(affine.jacobians(driving_NK6)), turned_NK22)
    identity_22 = torch.eye(2, device=y_NK2.device)
    return place, (identity_22 - there_and_back_NK22).abs().mean()


def flat(maps: Any) -> list[torch.Tensor]:
    """A discriminator's features of all its scales and layers."""
    return [layer for scale in maps for layer in scale] if isinstance(maps[0], list) else list(maps)
