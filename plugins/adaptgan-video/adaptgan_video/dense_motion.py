"""The dense motion network of the First Order Motion Model (Siarohin et al. 2019): from keypoints to a flow."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.networks.normalization import Norm
from adaptgan_video import affine
from adaptgan_video.hourglass import Hourglass, halvings
from adaptgan_video.keypoints import Positive, shrunk


class DenseMotion(nn.Module):
    """Where each pixel of the driving frame is to be looked for in the source, and what is not to be found there.

    Source (N, C, H, W) and the keypoints (N, K, 6) of source S and driving frame D -> (N, 3, h, w): x and y of T̂_{S←D},
    and the occlusion O in [0, 1]. An hourglass sees the heat maps of eq. 6 and the source as each candidate warps it,
    and chooses between the candidates, pixel by pixel (eq. 7):

        T̂_{S←D}(z) = M_0 z + Σ_k M_k (T_{S←R}(p_k) + J_k (z − T_{D←R}(p_k)))          Σ_k M_k(z) = 1

    Args:
        data: the images' shape.
        keypoints: K, the detector's.
        channels: of the first level; the paper's is 64.
        most: most channels of a level; the paper's is 1024.
        levels: how often the image is halved; without, 5 times or as often as leaves 3 pixels.
        reduce: how many times smaller the flow is than the image; the paper's is 4.
        variance: σ of the heat maps; the paper's 0.01 is 0.1 of half an image's side, squared.
        norm: what normalizes.
    """

    def __init__(
        self,
        data: DataInfo,
        keypoints: Positive = 10,
        channels: Positive = 64,
        most: Positive = 1024,
        levels: Positive | None = None,
        reduce: Positive = 1,
        variance: Annotated[float, Field(gt=0)] = 0.01,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        depth = halvings(data, reduce, levels, "dense_motion")
        self.keypoints, self.reduce, self.variance = keypoints, reduce, variance
        self.features = Hourglass(keypoints + (keypoints + 1) * data.channels, channels, depth, norm, most)
        self.mask = nn.Conv2d(channels, keypoints + 1, 7, padding=3)
        self.occlusion = nn.Conv2d(channels, 1, 7, padding=3)

    def forward(self, images_NCHW: torch.Tensor, source_NK6: torch.Tensor, driving_NK6: torch.Tensor) -> torch.Tensor:
        """The flow and the occlusion, float32 (N, 3, h, w).

        Args:
            images_NCHW: the source, in [-1, 1].
            source_NK6: its keypoints.
            driving_NK6: those of the driving frame.
        """
        small_NCHW = shrunk(images_NCHW, self.reduce)
        size = (small_NCHW.shape[2], small_NCHW.shape[3])
        candidates_NLhw2 = candidates(source_NK6, driving_NK6, size)
        seen_NMhw = torch.cat(
            [
                difference(source_NK6, driving_NK6, size, self.variance),
                self.deformed(small_NCHW, candidates_NLhw2).flatten(1, 2),
            ],
            1,
        )
        features_NFhw = self.features(seen_NMhw)
        masks_NLhw = self.mask(features_NFhw).float().softmax(1)
        flow_Nhw2 = (masks_NLhw[..., None] * candidates_NLhw2).sum(1)
        occlusion_N1hw = self.occlusion(features_NFhw).float().sigmoid()
        return torch.cat([flow_Nhw2.movedim(-1, 1), occlusion_N1hw], 1)

    @staticmethod
    def deformed(images_NCHW: torch.Tensor, candidates_NLhw2: torch.Tensor) -> torch.Tensor:
        """The source as each candidate warps it, (N, L, C, h, w); the first, z itself, leaves it as it is."""
        moved_NKhw2 = candidates_NLhw2[:, 1:]
        repeated = images_NCHW.repeat_interleave(moved_NKhw2.shape[1], 0)
        warped = affine.warped(repeated, moved_NKhw2.flatten(0, 1)).unflatten(0, moved_NKhw2.shape[:2])
        return torch.cat([images_NCHW[:, None], warped], 1)


def candidates(source_NK6: torch.Tensor, driving_NK6: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Where to look: z itself, for the ground, then around each keypoint (eq. 4), (N, K + 1, h, w, 2).

        T_{S←D}(z) ≈ T_{S←R}(p_k) + J_k (z − T_{D←R}(p_k))
        J_k = (d T_{S←R} / dp)(d T_{D←R} / dp)⁻¹ at p_k                                            (eq. 5)

    Args:
        source_NK6: T_{S←R}(p_k) and its Jacobian.
        driving_NK6: T_{D←R}(p_k) and its Jacobian.
        size: h and w.
    """
    z_hw2 = affine.grid(*size, source_NK6)
    j_NK22 = affine.product(affine.jacobians(source_NK6), affine.inverse(affine.jacobians(driving_NK6)))
    from_driving_NKhw2 = z_hw2 - affine.places(driving_NK6)[:, :, None, None]
    to_source_NKhw2 = affine.places(source_NK6)[:, :, None, None]
    moved_NKhw2 = to_source_NKhw2 + affine.applied(j_NK22[:, :, None, None], from_driving_NKhw2)
    still_N1hw2 = z_hw2.expand(len(source_NK6), 1, *z_hw2.shape)
    return torch.cat([still_N1hw2, moved_NKhw2], 1)


def difference(
    source_NK6: torch.Tensor, driving_NK6: torch.Tensor, size: tuple[int, int], variance: float
) -> torch.Tensor:
    """Where each keypoint is in the driving frame, less where it is in the source (eq. 6), (N, K, h, w).

    H_k(z) = exp(−‖T_{D←R}(p_k) − z‖² / 2σ) − exp(−‖T_{S←R}(p_k) − z‖² / 2σ); the 2 is of the authors' code.
    """
    z_hw2 = affine.grid(*size, source_NK6)
    driving_NKhw, source_NKhw = (
        torch.exp(-(affine.places(one)[:, :, None, None] - z_hw2).square().sum(-1) / (2 * variance))
        for one in (driving_NK6, source_NK6)
    )
    return driving_NKhw - source_NKhw
