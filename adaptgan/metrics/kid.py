"""Kernel Inception Distance (Bińkowski 2018): an unbiased distance between two sets of features."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from adaptgan.errors import DataError


def polynomial_mmd2(a_NF: np.ndarray, b_MF: np.ndarray) -> float:
    """The unbiased squared maximum mean discrepancy with the kernel k(x, y) = (x·y / d + 1)³.

    Args:
        a_NF: features of one set, any scale, N ≥ 2.
        b_MF: features of the other, of the same width d = F, M ≥ 2.

    Returns:
        An estimate whose mean is 0 for equal distributions; it may therefore be slightly negative
        (Bińkowski 2018, eq. 4).
    """
    a, b = np.asarray(a_NF, np.float64), np.asarray(b_MF, np.float64)
    n, m, width = len(a), len(b), a.shape[1]
    kernel_aa = (a @ a.T / width + 1) ** 3
    kernel_bb = (b @ b.T / width + 1) ** 3
    kernel_ab = (a @ b.T / width + 1) ** 3
    # The diagonal compares a point with itself; leaving it out is what makes the estimate unbiased.
    within_a = (kernel_aa.sum() - np.trace(kernel_aa)) / (n * (n - 1))
    within_b = (kernel_bb.sum() - np.trace(kernel_bb)) / (m * (m - 1))
    return float(within_a + within_b - 2 * kernel_ab.mean())


class KID:
    """Mean and spread of the polynomial MMD² over random subsets.

    Args:
        subsets: how many subsets are drawn from each set.
        subset_size: features in a subset; fewer when a set is smaller.
    """

    def __init__(
        self,
        subsets: Annotated[int, Field(ge=1)] = 20,
        subset_size: Annotated[int, Field(ge=2)] = 500,
    ) -> None:
        self.subsets = subsets
        self.subset_size = subset_size

    def __call__(self, features_a_NF: np.ndarray, features_b_NF: np.ndarray, seed: int) -> dict[str, float]:
        """Compare two sets of features; their sizes may differ, their widths may not.

        Returns:
            `kid`, the mean over subsets, and `kid_std`, the standard deviation over them.

        Raises:
            DataError: a set has fewer than two features, or the widths differ.
        """
        shape_a, shape_b = np.shape(features_a_NF), np.shape(features_b_NF)
        if len(shape_a) != 2 or len(shape_b) != 2 or shape_a[1] != shape_b[1]:
            raise DataError(f"KID compares two (N, F) arrays of the same width F; found {shape_a} and {shape_b}.")
        size = min(self.subset_size, shape_a[0], shape_b[0])
        if size < 2:
            raise DataError(f"KID needs at least 2 images in each set; found {shape_a[0]} and {shape_b[0]}.")
        rng = np.random.default_rng(seed)
        values = [
            polynomial_mmd2(
                features_a_NF[rng.choice(shape_a[0], size, replace=False)],
                features_b_NF[rng.choice(shape_b[0], size, replace=False)],
            )
            for _ in range(self.subsets)
        ]
        return {"kid": float(np.mean(values)), "kid_std": float(np.std(values))}
