"""How close images are to the truth they should have been: L1, PSNR and SSIM of each."""

from __future__ import annotations

import numpy as np
import torch
from kornia.metrics import ssim as ssim_map

from adaptgan.metrics.inference import in_batches

FINEST = (1 / 255) ** 2 / 12
"""The mean squared error that rounding to 8 bits leaves. Closer than that images are not told apart: 58.9 dB."""

WINDOW = 11
"""Pixels across SSIM's Gaussian window (σ = 1.5)."""

NUMBERS = ("l1", "psnr", "ssim")
"""What `compared` gives."""


def l1(made_NCHW: torch.Tensor, truth_NCHW: torch.Tensor) -> torch.Tensor:
    """Each image's mean absolute error, (N,), of images in [0, 1]."""
    return (made_NCHW - truth_NCHW).abs().flatten(1).mean(1)


def psnr(made_NCHW: torch.Tensor, truth_NCHW: torch.Tensor) -> torch.Tensor:
    """Each image's peak signal-to-noise ratio in dB, (N,): −10 log₁₀ of its mean squared error over all channels.

    Equal images would have ∞, and a mean with one of them in it too; so errors below that of rounding to 8 bits
    (`FINEST`) count as that.

    Args:
        made_NCHW: in [0, 1].
        truth_NCHW: in [0, 1].
    """
    errors_N = (made_NCHW - truth_NCHW).square().flatten(1).mean(1)
    decibels_N: torch.Tensor = -10 * errors_N.clamp(min=FINEST).log10()
    return decibels_N


def ssim(made_NCHW: torch.Tensor, truth_NCHW: torch.Tensor) -> torch.Tensor:
    """Each image's structural similarity, (N,), at most 1 (Wang 2004, eq. 13): mean over channels and windows.

    11×11 Gaussian windows of σ = 1.5 that lie wholly in the image, K₁ = 0.01, K₂ = 0.03, as in the paper's code.

    Args:
        made_NCHW: in [0, 1], at least 11 pixels each way.
        truth_NCHW: in [0, 1].
    """
    similar: torch.Tensor = ssim_map(made_NCHW, truth_NCHW, WINDOW, max_val=1.0, eps=0.0, padding="valid")
    return similar.flatten(1).mean(1)


def luma(images_NCHW: torch.Tensor) -> torch.Tensor:
    """Y of Y′CbCr (ITU-R 601) with its 16 … 235 of 255, which super-resolution is compared on: (N, 1, H, W).

    Args:
        images_NCHW: in [0, 1]; grey ones have R = G = B.
    """
    weights_C = images_NCHW.new_tensor([65.481, 128.553, 24.966]) / 255
    return 16 / 255 + (images_NCHW.expand(-1, 3, -1, -1) * weights_C[:, None, None]).sum(1, keepdim=True)


def compared(
    made_NCHW: np.ndarray,
    truth_NCHW: np.ndarray,
    *,
    border: int = 0,
    on_luma: bool = False,
    device: torch.device | None = None,
    batch_size: int = 256,
) -> dict[str, np.ndarray | None]:
    """`l1` (on the scale 0 … 1), `psnr` (dB) and `ssim` of each image, (N,) float64.

    Args:
        made_NCHW: uint8.
        truth_NCHW: uint8, of the same shape.
        border: pixels left out at every edge.
        on_luma: compare the images' luma alone.
        device: where; the CPU when None.
        batch_size: images at a time.

    Returns:
        By name; `ssim` is None for images that its window does not fit into.
    """
    size = min(made_NCHW.shape[2:]) - 2 * border
    channels = made_NCHW.shape[1]
    measures = (l1, psnr, ssim) if size >= WINDOW else (l1, psnr)

    def forward(both_NCHW: torch.Tensor) -> tuple[torch.Tensor, ...]:
        made, truth = (both_NCHW.double() / 255).split(channels, dim=1)
        if border:
            made, truth = (images[..., border:-border, border:-border] for images in (made, truth))
        if on_luma:
            made, truth = luma(made), luma(truth)
        return tuple(measure(made, truth)[:, None] for measure in measures)

    both_NCHW = np.concatenate([made_NCHW, truth_NCHW], axis=1)
    found = in_batches(forward, both_NCHW, device or torch.device("cpu"), batch_size)
    columns = [values_N1[:, 0] for values_N1 in found]
    return dict(zip(NUMBERS, [*columns, None], strict=False))
