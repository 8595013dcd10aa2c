"""Networks of pose-to-frame transfer (Chan et al. 2019): they see two moments of a video at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.networks.normalization import Norm
from adaptgan.plugins import components

Positive = Annotated[int, Field(ge=1)]


class FrameGenerator(nn.Module):
    """G(x_t | y_{t−1}): a pose (N, C, H, W) and the frame before it (N, C', H, W) -> the frame (N, C', H, W), tanh.

    A U-Net without dropout (`unet_translator`) in place of pix2pixHD's network, which is made for 512 pixels and more.

    Args:
        data: shape of the poses, and of the frames, their pairs.
        channels: of the first layer; deeper ones have up to 8 times as many.
        depth: how often the sides are halved; without, as often as they can be.
        upsampling: `transposed` convolutions, or `resize`: neighbours repeated, then a 3×3 convolution.
        norm: what normalizes.
    """

    def __init__(
        self,
        data: DataInfo,
        channels: Positive = 64,
        depth: Annotated[int, Field(ge=2)] | None = None,
        upsampling: Literal["transposed", "resize"] = "resize",
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        self.channels = data.paired or data.channels
        seen = replace(data, channels=data.channels + self.channels, paired=self.channels)
        options = {"channels": channels, "depth": depth, "dropout": 0.0, "upsampling": upsampling, "norm": norm}
        self.unet = components().build("network", {"name": "unet_translator", **options}, "frame_generator", [seen])

    def forward(self, poses_NCHW: torch.Tensor, before_NCHW: torch.Tensor | None = None) -> torch.Tensor:
        """Frames in [-1, 1].

        Args:
            poses_NCHW: in [-1, 1].
            before_NCHW: the frames before, in [-1, 1]; without, zeros, for the first of a video.
        """
        if before_NCHW is None:
            number, _, *size = poses_NCHW.shape
            before_NCHW = poses_NCHW.new_zeros(number, self.channels, *size)
        frames_NCHW: torch.Tensor = self.unet(torch.cat([poses_NCHW, before_NCHW], 1))
        return frames_NCHW


class FrameDiscriminator(nn.Module):
    """D(x_{t−1}, x_t, y_{t−1}, y_t), concatenated by channels: (N, 2 (C + C'), H, W) -> logits of patches (N, h, w).

    With `frames: 1` it judges single frames, D(x, y), as pix2pix does: what temporal smoothing is measured against.

    Args:
        data: shape of the poses, and of the frames, their pairs.
        frames: how many neighbouring frames it sees at once.
        channels: of the first layer; deeper ones have up to 8 times as many.
        depth: how wide a patch it judges (see `patchgan_discriminator`).
        norm: what normalizes; `instance` has nothing to learn.
        spectral_normalization: bound every layer's Lipschitz constant (Miyato 2018).
        scales: how many sizes of the frames to look at; pix2pixHD's are 3.
    """

    def __init__(
        self,
        data: DataInfo,
        frames: Literal[1, 2] = 2,
        channels: Positive = 64,
        depth: Annotated[int, Field(ge=0, le=5)] = 3,
        norm: Norm = "instance",
        spectral_normalization: bool = False,
        scales: Positive = 1,
    ) -> None:
        seen = replace(data, channels=frames * data.channels, paired=frames * (data.paired or data.channels))
        super().__init__()
        self.frames = frames
        options = {
            "channels": channels,
            "depth": depth,
            "norm": norm,
            "spectral_normalization": spectral_normalization,
            "conditional": True,
            "scales": scales,
        }
        patchgan = {"name": "patchgan_discriminator", **options}
        self.patches = components().build("network", patchgan, "frame_discriminator", [seen])

    def forward(self, seen_NCHW: torch.Tensor, features: bool = False) -> Any:
        """Logits of the patches, and with `features` the hidden maps, as `patchgan_discriminator` gives them."""
        return self.patches(seen_NCHW, features)
