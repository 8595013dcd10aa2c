"""Soft Neighborhood Density (Saito 2021): whether target images lie in dense groups of one prediction."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from adaptgan.metrics.validators import ModelOutputs


def soft_neighborhood_density(points_NF: np.ndarray, temperature: float) -> float:
    """Mean entropy, in nats, of each point's softmax over the cosine similarities of all others (Saito 2021, eq. 1–3).

    Args:
        points_NF: N ≥ 2 points; their lengths do not matter.
        temperature: what similarities are divided by.

    Returns:
        In [0, log(N − 1)]: large when many others are equally near. All points at one place score log(N − 1).
    """
    points = np.asarray(points_NF, np.float64)
    lengths_N = np.linalg.norm(points, axis=1, keepdims=True)
    unit_NF = points / np.where(lengths_N > 0, lengths_N, 1.0)
    scaled_NN = unit_NF @ unit_NF.T / temperature
    np.fill_diagonal(scaled_NN, -np.inf)  # nobody is a neighbour of their own
    scaled_NN -= scaled_NN.max(1, keepdims=True)
    np.fill_diagonal(scaled_NN, -np.inf)
    weights_NN = np.exp(scaled_NN)
    sums_N = weights_NN.sum(1)
    np.fill_diagonal(scaled_NN, 0.0)
    # H = log Σe^s − Σ e^s·s / Σe^s, without a logarithm of each of the N² probabilities.
    return float(np.mean(np.log(sums_N) - np.einsum("ij,ij->i", weights_NN, scaled_NN) / sums_N))


class SoftNeighborhoodDensity:
    """Soft neighborhood density of the target. It scores a collapse best of all, so never use it alone.

    Args:
        representation: what is compared: `probabilities`, the predictions after the softmax (the paper's choice), or
            the `features` before the last layer.
        temperature: the paper's.
        images: at most this many images; time and memory grow with the square.
    """

    def __init__(
        self,
        representation: Literal["probabilities", "features"] = "probabilities",
        temperature: Annotated[float, Field(gt=0)] = 0.05,
        images: Annotated[int, Field(ge=2)] = 2000,
    ) -> None:
        self.representation = representation
        self.temperature = temperature
        self.images = images

    def __call__(self, outputs: ModelOutputs, seed: int) -> float | None:
        """In [0, log(N − 1)] nats; None for fewer than two images, or for features that the model does not have."""
        points = outputs.features_NF if self.representation == "features" else outputs.probabilities_NK
        if points is None or len(points) < 2:
            return None
        if len(points) > self.images:
            points = points[np.random.default_rng(seed).choice(len(points), self.images, replace=False)]
        return soft_neighborhood_density(points, self.temperature)
