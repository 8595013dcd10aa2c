"""Fréchet Inception Distance (Heusel 2017): how far two sets of features are apart, if both were normal."""

from __future__ import annotations

import numpy as np

from adaptgan.metrics.neighbors import two_sets


def frechet_distance(
    mean_a_F: np.ndarray, covariance_a_FF: np.ndarray, mean_b_F: np.ndarray, covariance_b_FF: np.ndarray
) -> float:
    """d² = |μa − μb|² + Tr(Σa + Σb − 2·(Σa Σb)^½) between two normal distributions (Dowson & Landau 1982).

    With roots Σ = R Rᵀ from eigenvalues, Tr (Σa Σb)^½ is the sum of the singular values of Raᵀ Rb: real and ≥ 0 also
    where the covariances are singular (fewer images than features). A root of the product itself, which is not
    symmetric, turns complex there; and eigenvalues of the symmetric Raᵀ Σb Ra, when rooted, make 1e-8 of a rounding
    error of 1e-16.

    Args:
        mean_a_F: μa.
        covariance_a_FF: Σa, symmetric and not negative.
        mean_b_F: μb.
        covariance_b_FF: Σb.

    Returns:
        The squared distance, ≥ 0.
    """
    difference_F = mean_a_F - mean_b_F
    singular = np.linalg.svd(_root(covariance_a_FF).T @ _root(covariance_b_FF), compute_uv=False)
    spread = np.trace(covariance_a_FF) + np.trace(covariance_b_FF) - 2 * singular.sum()
    return max(0.0, float(difference_F @ difference_F + spread))


def _root(covariance_FF: np.ndarray) -> np.ndarray:
    """R (F, r) with R Rᵀ = Σ, without the directions in which Σ is 0 but for rounding."""
    values_F, vectors_FF = np.linalg.eigh(covariance_FF)
    keep = values_F > len(values_F) * np.finfo(np.float64).eps * max(float(values_F[-1]), 0.0)
    root_FR: np.ndarray = vectors_FF[:, keep] * np.sqrt(values_F[keep])
    return root_FR


class FID:
    """The Fréchet distance between normal distributions fitted to both sets of features.

    The name is kept for all feature spaces; only the `inception_v3` extractor, with the weights of the FID's network,
    gives numbers that can be held against a paper's. The estimate is biased: it falls as the number of images grows
    (Bińkowski 2018; Chong & Forsyth 2020), so compare values of equally many images only, and hold them against a floor
    of as many.
    """

    def __call__(self, features_a_NF: np.ndarray, features_b_NF: np.ndarray, seed: int) -> dict[str, float]:
        """Compare the set that is judged with the real one; nothing is random.

        Returns:
            `fid` ≥ 0, in squared units of the features.

        Raises:
            DataError: a set has fewer than two images, or the widths differ.
        """
        a, b = two_sets("FID", features_a_NF, features_b_NF, 2)
        return {"fid": frechet_distance(a.mean(0), _covariance(a), b.mean(0), _covariance(b))}


def _covariance(features_NF: np.ndarray) -> np.ndarray:
    """Unbiased, (F, F) also for one feature."""
    return np.atleast_2d(np.cov(features_NF, rowvar=False))
