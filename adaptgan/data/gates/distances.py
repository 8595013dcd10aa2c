"""Distances of images, pixel by pixel: root mean square differences, in [0, 2].

Images above `LARGEST` pixels a side are averaged down to it first: pairs of a batch take their number squared.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

LARGEST = 64
"""Pixels of the longer side that are compared."""


def rms(one_NCHW: torch.Tensor, other_NCHW: torch.Tensor) -> torch.Tensor:
    """Distances of images to those of the same number, (N,)."""
    return (_small(one_NCHW) - _small(other_NCHW)).square().flatten(1).mean(1).sqrt()


def pairwise(images_NCHW: torch.Tensor) -> torch.Tensor:
    """Distances of all pairs, float32 (N, N).

    In float64 inside: |a|² + |b|² - 2ab of nearly equal images loses what matters in less.
    """
    flat_ND = _small(images_NCHW).flatten(1).double()
    squares_N = flat_ND.square().sum(1)
    squared_NN = squares_N[:, None] + squares_N[None] - 2 * flat_ND @ flat_ND.T
    return (squared_NN.clamp(min=0).sqrt() / math.sqrt(flat_ND.shape[1])).float()


def standardized(images_NCHW: torch.Tensor) -> torch.Tensor:
    """Each image with mean 0 and variance 1, over all its channels; a flat one is 0 everywhere.

    Distances are then √(2 - 2r), r the correlation of the two: in [0, 2], whatever the contrast.
    """
    images_NCHW = _small(images_NCHW)
    centred = images_NCHW - images_NCHW.mean((1, 2, 3), keepdim=True)
    deviation = centred.square().mean((1, 2, 3), keepdim=True).sqrt()
    return centred / deviation.clamp(min=1 / 127.5)  # a grey level of uint8


def nearest(distances_NN: torch.Tensor) -> torch.Tensor:
    """The distance of each to the nearest other, (N,)."""
    own = torch.eye(len(distances_NN), dtype=torch.bool, device=distances_NN.device)
    return distances_NN.masked_fill(own, math.inf).amin(1)


def _small(images_NCHW: torch.Tensor) -> torch.Tensor:
    height, width = images_NCHW.shape[2:]
    shrink = LARGEST / max(height, width)
    if shrink >= 1:
        return images_NCHW.float()
    return F.adaptive_avg_pool2d(images_NCHW.float(), (max(1, round(height * shrink)), max(1, round(width * shrink))))
