"""Feature spaces in which realism is measured."""

from __future__ import annotations

import numpy as np


def scale_to_unit(reference_NF: np.ndarray, *others_NF: np.ndarray) -> list[np.ndarray]:
    """Divide all sets by one number so that the reference's mean squared feature is 1.

    KID's kernel (x·y/d + 1)³ mixes powers of the features, so its size depends on their scale; one common scale,
    taken from the real images, makes feature spaces and runs comparable without touching any direction.
    """
    root_mean_square = float(np.sqrt(np.mean(np.square(reference_NF, dtype=np.float64))))
    scale = root_mean_square or 1.0
    return [np.asarray(features, np.float64) / scale for features in (reference_NF, *others_NF)]


class PixelPCA:
    """Principal components of pixels, fitted on real images only: a space no network had a say in.

    Args:
        real_NCHW: uint8 images; N ≥ 2.
        components: at most this many directions.
    """

    def __init__(self, real_NCHW: np.ndarray, components: int = 64) -> None:
        flat_NP = _flat(real_NCHW)
        self.mean_P = flat_NP.mean(0)
        centred_NP = flat_NP - self.mean_P
        # Eigenvectors of the smaller Gram matrix: N×N for few large images, P×P for many small ones.
        if len(flat_NP) < flat_NP.shape[1]:
            values, vectors = np.linalg.eigh(centred_NP @ centred_NP.T)
            directions = centred_NP.T @ vectors / np.sqrt(np.maximum(values, 1e-12))
        else:
            values, directions = np.linalg.eigh(centred_NP.T @ centred_NP)
        keep = np.argsort(values)[::-1][:components]
        keep = keep[values[keep] > 1e-9 * max(values.max(), 1e-12)]
        self.directions_PF = directions[:, keep] if len(keep) else np.zeros((flat_NP.shape[1], 1))

    def __call__(self, images_NCHW: np.ndarray) -> np.ndarray:
        """Coordinates (N, F) float64 of uint8 images."""
        projected: np.ndarray = (_flat(images_NCHW) - self.mean_P) @ self.directions_PF
        return projected


def _flat(images_NCHW: np.ndarray) -> np.ndarray:
    return np.asarray(images_NCHW, np.float64).reshape(len(images_NCHW), -1) / 127.5 - 1.0
