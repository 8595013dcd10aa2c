"""The azimuthally averaged power spectrum: how much an image varies at each fineness, in any direction."""

from __future__ import annotations

import torch

FAINT = 1e-7
"""Added to a power before its logarithm: a fiftieth of what rounding to 8 bits leaves, (2/255)²/12."""


def azimuthal_spectrum(images_NCHW: torch.Tensor, window: bool = True) -> torch.Tensor:
    """Mean power on rings of equal spatial frequency (Durall 2020, eq. 2; Dzanic 2020, §3).

    With F the discrete Fourier transform, w a window and x̄ the mean of a channel,

        P(u, v) = |F(w · (x − x̄))(u, v)|² / (H W · mean w²)
        S(k) = mean of P over all (u, v) with round(min(H, W) · √(u² + v²)) = k

    where u and v are in cycles per pixel, −½ ≤ u, v < ½; the rings go on into the corners, √½. White noise of variance
    σ² has S(k) = σ² at every k but that of x̄.

    Args:
        images_NCHW: in [-1, 1]; computed in float32, in float64 where that is given.
        window: w = Hann's in both directions, which keeps the jump from one edge to the opposite one, no part of the
            image, from spreading over all frequencies; else w = 1.

    Returns:
        (N, C, R), R = 1 + the largest k: 24 for 32 × 32 pixels.
    """
    x_NCHW = images_NCHW if images_NCHW.dtype == torch.float64 else images_NCHW.float()
    height, width = x_NCHW.shape[2:]
    x_NCHW = x_NCHW - x_NCHW.mean((2, 3), keepdim=True)
    scale = float(height * width)
    if window:
        w_HW = hann(height, x_NCHW)[:, None] * hann(width, x_NCHW)
        x_NCHW, scale = x_NCHW * w_HW, scale * float(w_HW.square().mean())
    power_NCP = (torch.fft.fft2(x_NCHW).abs().square() / scale).flatten(2)
    rings_P = rings(height, width).to(x_NCHW.device).flatten()
    counts_R = rings_P.bincount()
    sums_NCR = power_NCP.new_zeros(*power_NCP.shape[:2], len(counts_R)).index_add(2, rings_P, power_NCP)
    spectrum_NCR: torch.Tensor = sums_NCR / counts_R
    return spectrum_NCR


def log_spectrum(images_NCHW: torch.Tensor, window: bool = True) -> torch.Tensor:
    """log(S + 10⁻⁷) of all channels, (N, C·R); see `azimuthal_spectrum`."""
    return (azimuthal_spectrum(images_NCHW, window) + FAINT).log().flatten(1)


def rings(height: int, width: int) -> torch.Tensor:
    """The ring k of each frequency, int64 (H, W), in the order of the Fourier transform."""
    u_H, v_W = (torch.fft.fftfreq(size, dtype=torch.float64) for size in (height, width))
    radius_HW = (u_H[:, None].square() + v_W.square()).sqrt()
    rings_HW: torch.Tensor = (min(height, width) * radius_HW).round().long()
    return rings_HW


def n_rings(height: int, width: int) -> int:
    """R, how many rings there are."""
    return int(rings(height, width).max()) + 1


def hann(size: int, like: torch.Tensor) -> torch.Tensor:
    """Hann's window, ½ − ½ cos(2π(i + ½)/size): symmetric, and nowhere quite 0."""
    i = torch.arange(size, dtype=like.dtype, device=like.device)
    return 0.5 - 0.5 * (2 * torch.pi * (i + 0.5) / size).cos()
