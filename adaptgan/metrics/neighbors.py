"""Neighbours in a feature space: which points lie in which balls. Distances are made block by block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from adaptgan.errors import DataError

BLOCK = 512
"""Rows of the distance matrix that are held at once: 512 × 5,000 numbers are 20 MB."""

ROUNDING = 1e-12
"""A squared distance below this share of the points' own squared lengths is rounding: the points are equal."""


def two_sets(name: str, a_NF: np.ndarray, b_MF: np.ndarray, fewest: int) -> tuple[np.ndarray, np.ndarray]:
    """Both sets in float64, after a look at their shapes.

    Args:
        name: the metric's, for messages.
        a_NF: the set that is judged.
        b_MF: the set it is compared with.
        fewest: rows that each must have.

    Raises:
        DataError: they are no two arrays of one width, or too few rows.
    """
    a, b = np.asarray(a_NF, np.float64), np.asarray(b_MF, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise DataError(f"{name} compares two (N, F) arrays of the same width F; found {a.shape} and {b.shape}.")
    if min(len(a), len(b)) < fewest:
        raise DataError(f"{name} needs at least {fewest} images in each set; found {len(a)} and {len(b)}.")
    return a, b


def squared_radii(points_NF: np.ndarray, k: int) -> np.ndarray:
    """Squared distance (N,) of each point to the k-th nearest other; N > k."""
    radii_N = np.empty(len(points_NF))
    for rows, distances_BN in _blocks(points_NF, points_NF):
        own = np.arange(rows.start, rows.stop)
        distances_BN[own - rows.start, own] = np.inf  # nobody is a neighbour of their own
        radii_N[rows] = np.partition(distances_BN, k - 1, axis=1)[:, k - 1]
    return radii_N


def inside(points_NF: np.ndarray, centres_MF: np.ndarray, squared_radii_M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many balls each point lies in, (N,), and how many points lie in each ball, (M,). A ball has its border."""
    balls_N = np.empty(len(points_NF), np.int64)
    points_M = np.zeros(len(centres_MF), np.int64)
    for rows, distances_BM in _blocks(points_NF, centres_MF):
        inside_BM = distances_BM <= squared_radii_M
        balls_N[rows] = inside_BM.sum(1)
        points_M += inside_BM.sum(0)
    return balls_N, points_M


def _blocks(a_NF: np.ndarray, b_MF: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of a, and their squared distances to all of b as |a|² + |b|² − 2a·b: one matrix product per block."""
    centre_F = b_MF.mean(0)  # far from the origin the three terms would cancel to rounding errors
    a, b = a_NF - centre_F, b_MF - centre_F
    lengths_M = np.einsum("mf,mf->m", b, b)
    for start in range(0, len(a), BLOCK):
        rows = slice(start, min(start + BLOCK, len(a)))
        part = a[rows]
        lengths_BM = np.einsum("bf,bf->b", part, part)[:, None] + lengths_M
        distances_BM = lengths_BM - 2 * part @ b.T
        distances_BM[distances_BM < ROUNDING * lengths_BM] = 0.0
        yield rows, distances_BM
