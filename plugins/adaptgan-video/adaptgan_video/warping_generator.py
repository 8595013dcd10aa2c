"""The generator of the First Order Motion Model (Siarohin et al. 2019): features follow a flow, gaps are filled."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.normalization import Norm, normalization
from adaptgan_video import affine
from adaptgan_video.hourglass import doubled, halved, same
from adaptgan_video.keypoints import Positive


class WarpingGenerator(nn.Module):
    """Source (N, C, H, W) in [-1, 1], flow and occlusion (N, 3, h, w) -> the driving frame (N, C, H, W) in [-1, 1].

    An encoder halves the source `halvings` times to features ξ; they are warped, and what is not to be seen in the
    source is taken out (Siarohin 2019, eq. 8); residual blocks and a decoder paint the rest, tanh:

        ξ′ = O ⊙ f_w(ξ, T̂_{S←D})

    With `skips` the decoder also sees the warped source itself and the encoder's warped maps of each size, where
    nothing hides them: x ← O ⊙ f_w(ξ_size) + (1 − O) ⊙ x, as the authors' later code does (Siarohin 2021).

    Args:
        data: the images' shape.
        channels: of the first level; the paper's is 64.
        most: most channels of a level; the paper's is 512.
        halvings: how often the source is halved before it is warped.
        blocks: residual blocks behind the warp.
        skips: warp the finer maps and the image, too.
        norm: what normalizes.
    """

    def __init__(
        self,
        data: DataInfo,
        channels: Positive = 64,
        most: Positive = 512,
        halvings: Annotated[int, Field(ge=1)] = 2,
        blocks: Positive = 6,
        skips: bool = False,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        if data.height % 2**halvings or data.width % 2**halvings:
            raise ParamsError(
                f"warping_generator.halvings: images of {data.height}×{data.width} pixels cannot be halved {halvings} "
                "times. Give fewer, or ingest images with a `size` of base · 2^n, such as [64, 64]."
            )
        widths = [min(most, channels * 2**level) for level in range(halvings + 1)]
        self.skips = skips
        self.stem = same(data.channels, channels, norm, 7)
        self.down = nn.ModuleList(halved(a, b, norm) for a, b in zip(widths, widths[1:], strict=False))
        self.blocks = nn.Sequential(*(_Block(widths[-1], norm) for _ in range(blocks)))
        self.up = nn.ModuleList(doubled(b, a, norm) for a, b in reversed(list(zip(widths, widths[1:], strict=False))))
        self.out = nn.Conv2d(channels, data.channels, 7, padding=3)

    def forward(self, images_NCHW: torch.Tensor, motion_N3hw: torch.Tensor) -> torch.Tensor:
        """The driving frame, as the source would show it.

        Args:
            images_NCHW: the source.
            motion_N3hw: where to look, and how much is to be seen there, as `dense_motion` gives it.
        """
        maps = [self.stem(images_NCHW)]
        for layer in self.down:
            maps.append(layer(maps[-1]))
        x, _ = followed(maps.pop(), motion_N3hw)
        x = self.blocks(x)
        for layer in self.up:
            x, finer = layer(x), maps.pop()
            if self.skips:
                x = blended(finer, x, motion_N3hw)
        painted_NCHW = self.out(x).float().tanh()
        return blended(images_NCHW, painted_NCHW, motion_N3hw) if self.skips else painted_NCHW


class _Block(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))), 3×3. (N, C, H, W) -> the same."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [normalization(norm, channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        result_NCHW: torch.Tensor = x_NCHW + self.layers(x_NCHW)
        return result_NCHW


def followed(maps_NCHW: torch.Tensor, motion_N3hw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """O ⊙ f_w(ξ, T̂) of maps of any size (eq. 8), and O at that size, (N, 1, H, W)."""
    flow_Nhw2, occlusion_N1HW = motion_N3hw[:, :2].movedim(1, -1), motion_N3hw[:, 2:]
    height, width = maps_NCHW.shape[2:]
    if motion_N3hw.shape[2:] != maps_NCHW.shape[2:]:
        # Displacements are resized, not places, whose interpolation would stand still along the edges.
        moved_Nhw2 = flow_Nhw2 - affine.grid(motion_N3hw.shape[2], motion_N3hw.shape[3], motion_N3hw)
        resized_N3HW = F.interpolate(
            torch.cat([moved_Nhw2.movedim(-1, 1), occlusion_N1HW], 1),
            (height, width),
            mode="bilinear",
            align_corners=False,
        )
        flow_Nhw2 = resized_N3HW[:, :2].movedim(1, -1) + affine.grid(height, width, motion_N3hw)
        occlusion_N1HW = resized_N3HW[:, 2:]
    occlusion_N1HW = occlusion_N1HW.to(maps_NCHW.dtype)
    return affine.warped(maps_NCHW, flow_Nhw2) * occlusion_N1HW, occlusion_N1HW


def blended(maps_NCHW: torch.Tensor, painted_NCHW: torch.Tensor, motion_N3hw: torch.Tensor) -> torch.Tensor:
    """O ⊙ f_w(ξ, T̂) + (1 − O) ⊙ what was painted."""
    seen_NCHW, occlusion_N1HW = followed(maps_NCHW, motion_N3hw)
    return seen_NCHW + (1 - occlusion_N1HW) * painted_NCHW
