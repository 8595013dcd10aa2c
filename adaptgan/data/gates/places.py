"""Where things are in images: edges, and whether two maps of edges lie at the same place.

Both functions are batched, on the images' device, in float32, and treat each image for itself.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

REACH = 4
"""How far a map is moved in search of a better place, in tolerances."""
FLOOR = 0.05
"""An advantage of the own place below this is none: nothing in such a map tells places apart."""


def edges(images_NCHW: torch.Tensor, sigma: float) -> torch.Tensor:
    """Lengths of the gradients of smoothed images, (N, H, W); the channels' squares are added.

    They do not change when an image is inverted, and grow in proportion to its contrast.

    Args:
        images_NCHW: in [-1, 1].
        sigma: of the Gaussian that smooths, in pixels.
    """
    smooth_NCHW = F.pad(_smooth(images_NCHW.float(), sigma), (1, 1, 1, 1), mode="replicate")
    across = (smooth_NCHW[..., 1:-1, 2:] - smooth_NCHW[..., 1:-1, :-2]) / 2
    down = (smooth_NCHW[..., 2:, 1:-1] - smooth_NCHW[..., :-2, 1:-1]) / 2
    return (across.square() + down.square()).sum(1).sqrt()


def boundaries(masks_NHW: torch.Tensor, sigma: float) -> torch.Tensor:
    """Smoothed boundaries between the classes of masks, (N, H, W): pixels with a neighbour of another class.

    Args:
        masks_NHW: int64 classes.
        sigma: of the Gaussian, in pixels.
    """
    across = masks_NHW[:, :, 1:] != masks_NHW[:, :, :-1]
    down = masks_NHW[:, 1:] != masks_NHW[:, :-1]
    touched = F.pad(across, (0, 1)) | F.pad(across, (1, 0)) | F.pad(down, (0, 0, 0, 1)) | F.pad(down, (0, 0, 1, 0))
    return _smooth(touched.float()[:, None], sigma)[:, 0]


def fit(map_NHW: torch.Tensor, other_NHW: torch.Tensor, tolerance: int) -> torch.Tensor:
    """How much better two maps correlate at their own place than elsewhere, (N,) in [-1, 1].

    With r(d) the correlation of one map with the other moved by d pixels,

        max r(d) over |d| ≤ tolerance  −  max r(d) over tolerance < |d| ≤ REACH · tolerance,   |d| = max(|dx|, |dy|):

    positive when nothing moved by more than the tolerance, negative when something did, near 0 when the maps have
    nothing in common. A map without structure correlates with none: 0.
    """
    reach = REACH * tolerance
    r_Ndd = correlations(map_NHW, other_NHW, reach)
    steps = torch.arange(-reach, reach + 1, device=r_Ndd.device).abs()
    near_dd = torch.maximum(steps[:, None], steps[None]) <= tolerance
    best_near = r_Ndd.masked_fill(~near_dd, -2.0).amax((1, 2))
    return best_near - r_Ndd.masked_fill(near_dd, -2.0).amax((1, 2))


def correlations(map_NHW: torch.Tensor, other_NHW: torch.Tensor, reach: int) -> torch.Tensor:
    """Correlation coefficients of maps, the second moved by dy, dx = -reach … reach; (N, 2 · reach + 1, 2 · reach + 1).

    By the Fourier transform; beyond its border a map is at its mean, so what leaves the image counts for nothing.
    """
    map_NHW, other_NHW = _standard(map_NHW), _standard(other_NHW)
    size = [side + reach for side in map_NHW.shape[1:]]
    product = torch.fft.rfft2(map_NHW, s=size).conj() * torch.fft.rfft2(other_NHW, s=size)
    r_NHW: torch.Tensor = torch.fft.irfft2(product, s=size)
    # Index d holds Σ map(p) other(p + d); negative d come from behind.
    return r_NHW.roll((reach, reach), (1, 2))[:, : 2 * reach + 1, : 2 * reach + 1]


def moved(images_NHW: torch.Tensor, dy: int, dx: int) -> torch.Tensor:
    """Images with their content moved down by dy and right by dx pixels; what comes in repeats the border."""
    height, width = images_NHW.shape[-2:]
    rows = (torch.arange(height, device=images_NHW.device) - dy).clamp(0, height - 1)
    columns = (torch.arange(width, device=images_NHW.device) - dx).clamp(0, width - 1)
    return images_NHW[..., rows, :][..., columns]


def directions(length: int) -> list[tuple[int, int]]:
    """The eight (dy, dx) of this many pixels: down, right, and between."""
    sides = (-length, 0, length)
    return [(dy, dx) for dy in sides for dx in sides if dy or dx]


def _smooth(images_NCHW: torch.Tensor, sigma: float) -> torch.Tensor:
    radius = max(1, round(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, device=images_NCHW.device, dtype=torch.float32)
    weights = torch.exp(-offsets.square() / (2 * sigma**2))
    weights = weights / weights.sum()
    n, c, h, w = images_NCHW.shape
    padded = F.pad(images_NCHW.reshape(n * c, 1, h, w), (radius,) * 4, mode="replicate")
    across = F.conv2d(padded, weights.view(1, 1, 1, -1))
    return F.conv2d(across, weights.view(1, 1, -1, 1)).view(n, c, h, w)


def _standard(map_NHW: torch.Tensor) -> torch.Tensor:
    """Maps with mean 0 and length 1; flat ones are 0."""
    centred = map_NHW - map_NHW.mean((1, 2), keepdim=True)
    return centred / centred.square().sum((1, 2), keepdim=True).sqrt().clamp(min=1e-6)
