"""The keypoint detector of the First Order Motion Model (Siarohin et al. 2019): heat maps and what is around them."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.networks.normalization import Norm
from adaptgan_video import affine
from adaptgan_video.hourglass import Hourglass, halvings

Positive = Annotated[int, Field(ge=1)]


class KeypointDetector(nn.Module):
    """Keypoints that nobody named: (N, C, H, W) in [-1, 1] -> (N, K, 6), places and Jacobians (see `affine`).

    An hourglass gives a heat map a keypoint, which its softmax over all pixels makes a distribution H_k; the place is
    its expectation, the Jacobian the expectation of a map of 2×2 matrices (Siarohin 2019, §3.1 and appendix A):

        T_{X←R}(p_k) = Σ_z H_k(z) z          d T_{X←R} / dp = Σ_z H_k(z) J_k(z)

    Jacobians start as the identity, whatever the image.

    Args:
        data: the images' shape.
        keypoints: K.
        channels: of the first level.
        most: most channels of a level; the paper's is 1024.
        levels: how often the image is halved; without, 5 times or as often as leaves 3 pixels.
        reduce: how many times smaller an image is looked at; the paper's 4 makes 64 pixels of 256.
        temperature: what the heat is divided by before the softmax; low makes sharp keypoints.
        jacobian: learn Jacobians; without, they are the identity (Monkey-Net, Siarohin 2019a).
        norm: what normalizes.
    """

    def __init__(
        self,
        data: DataInfo,
        keypoints: Positive = 10,
        channels: Positive = 32,
        most: Positive = 1024,
        levels: Positive | None = None,
        reduce: Positive = 1,
        temperature: Annotated[float, Field(gt=0)] = 0.1,
        jacobian: bool = True,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        depth = halvings(data, reduce, levels, "keypoint_detector")
        self.keypoints, self.reduce, self.temperature = keypoints, reduce, temperature
        self.features = Hourglass(data.channels, channels, depth, norm, most)
        self.heat = nn.Conv2d(channels, keypoints, 7, padding=3)
        self.around = nn.Conv2d(channels, 4 * keypoints, 7, padding=3) if jacobian else None
        if self.around is not None:
            assert self.around.bias is not None
            nn.init.zeros_(self.around.weight)
            with torch.no_grad():
                self.around.bias.copy_(torch.eye(2).flatten().repeat(keypoints))

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Keypoints (N, K, 6)."""
        features_NFhw = self.features(shrunk(images_NCHW, self.reduce))
        # Whatever the precision: the softmax makes a lot of what bfloat16 rounds.
        with torch.autocast(features_NFhw.device.type, enabled=False):
            heat_NKhw = self.heat(features_NFhw.float())
        share_NKhw = distribution(heat_NKhw / self.temperature)
        places_NK2 = expected_place(share_NKhw)
        if self.around is None:
            identity_22 = torch.eye(2, device=places_NK2.device).expand(*places_NK2.shape, 2)
            return affine.keypoints(places_NK2, identity_22)
        maps_NK4hw = self.around(features_NFhw).float().unflatten(1, (self.keypoints, 4))
        jacobians_NK4 = (share_NKhw[:, :, None] * maps_NK4hw).sum((-2, -1))
        return torch.cat([places_NK2, jacobians_NK4], -1)


def distribution(heat_NKhw: torch.Tensor) -> torch.Tensor:
    """Softmax over all pixels of each map, (N, K, h, w)."""
    return heat_NKhw.flatten(2).softmax(-1).view_as(heat_NKhw)


def expected_place(share_NKhw: torch.Tensor) -> torch.Tensor:
    """Σ_z H(z) z, (N, K, 2): the soft argmax."""
    grid_hw2 = affine.grid(share_NKhw.shape[2], share_NKhw.shape[3], share_NKhw)
    x_w, y_h = grid_hw2[0, :, 0], grid_hw2[:, 0, 1]
    # By rows and by columns: a quarter of the products.
    return torch.stack([(share_NKhw.sum(2) * x_w).sum(-1), (share_NKhw.sum(3) * y_h).sum(-1)], -1)


def shrunk(images_NCHW: torch.Tensor, factor: int) -> torch.Tensor:
    """Means of squares of `factor` pixels' side."""
    return images_NCHW if factor == 1 else F.avg_pool2d(images_NCHW, factor)
