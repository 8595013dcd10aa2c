"""Scores that choose a model without a single label of the target (Musgrave 2022). Higher is better in all.

Those that need more than a line of mathematics have files of their own: `deep_embedded_validation`,
`soft_neighborhood`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
from pydantic import Field


@dataclass(frozen=True)
class ModelOutputs:
    """What a validator may know of a model.

    Attributes:
        probabilities_NK: predicted probabilities on unlabelled target images; rows sum to 1.
        features_NF: the model's features of the same images; None when it has none.
        source_accuracy: accuracy on the labelled images held out when it was trained; None when there were none.
        held_out_probabilities_MK: predicted probabilities on those images; this and the rest are None when they cannot
            be known, and when no validator in use has `needs_source`.
        held_out_labels_M: their labels.
        held_out_features_MF: the model's features of them.
        training_features_LF: its features of some labelled images that it was trained on.
    """

    probabilities_NK: np.ndarray
    features_NF: np.ndarray | None = None
    source_accuracy: float | None = None
    held_out_probabilities_MK: np.ndarray | None = None
    held_out_labels_M: np.ndarray | None = None
    held_out_features_MF: np.ndarray | None = None
    training_features_LF: np.ndarray | None = None


class Validator(Protocol):
    """What a component of kind `validator` does.

    One that reads what `ModelOutputs` holds of the training set sets `needs_source = True`; without it those fields
    are None, and nobody pays for them.
    """

    def __call__(self, outputs: ModelOutputs, seed: int) -> float | None:
        """The score, higher is better; None when the outputs do not allow one."""


def entropy(probabilities_NK: np.ndarray) -> np.ndarray:
    """Shannon entropy of each row in nats, with 0·log 0 = 0."""
    p = np.asarray(probabilities_NK, np.float64)
    surprise_NK: np.ndarray = -p * np.log(np.where(p > 0, p, 1.0))
    summed_N: np.ndarray = surprise_NK.sum(-1)
    return summed_N


class SourceAccuracy:
    """Accuracy on held-out labelled images of the training set: says little of the target, and catches a collapse."""

    def __call__(self, outputs: ModelOutputs, seed: int) -> float | None:
        """In [0, 1]."""
        return outputs.source_accuracy


class Entropy:
    """−mean H(p): how sure the predictions are (Morerio 2018). In [−log K, 0] nats; a collapse scores best of all."""

    def __call__(self, outputs: ModelOutputs, seed: int) -> float:
        """0 for predictions without a doubt."""
        return float(-entropy(outputs.probabilities_NK).mean())


class InformationMaximization:
    """H(mean p) − mean H(p): predictions that are each sure and together diverse. In [0, log K] nats."""

    def __call__(self, outputs: ModelOutputs, seed: int) -> float:
        """The mutual information of image and prediction."""
        p = np.asarray(outputs.probabilities_NK, np.float64)
        return float(entropy(p.mean(0)) - entropy(p).mean())


class BatchNuclearNorm:
    """The nuclear norm of the (N, K) predictions over its upper bound √(N·min(N, K)) (Cui 2020): in (0, 1]."""

    def __call__(self, outputs: ModelOutputs, seed: int) -> float:
        """1 for sure and balanced predictions, 1/K for uniform ones (N ≥ K)."""
        p = np.asarray(outputs.probabilities_NK, np.float64)
        return float(np.linalg.svd(p, compute_uv=False).sum() / np.sqrt(len(p) * min(p.shape)))


class ClassAMI:
    """Adjusted mutual information of the predicted classes and k-means clusters of the features (Musgrave 2022).

    Args:
        restarts: k-means starts; the tightest clustering counts.
        images: at most this many images are clustered.
    """

    def __init__(
        self,
        restarts: Annotated[int, Field(ge=1)] = 3,
        images: Annotated[int, Field(ge=2)] = 4000,
    ) -> None:
        self.restarts = restarts
        self.images = images

    def __call__(self, outputs: ModelOutputs, seed: int) -> float | None:
        """About 0 for unrelated groupings, 1 for equal ones; None when the model has no features."""
        if outputs.features_NF is None:
            return None
        from sklearn.cluster import KMeans
        from sklearn.metrics import adjusted_mutual_info_score

        predicted_N = np.asarray(outputs.probabilities_NK).argmax(1)
        features_NF = np.asarray(outputs.features_NF, np.float64)
        if len(predicted_N) > self.images:
            picked = np.random.default_rng(seed).choice(len(predicted_N), self.images, replace=False)
            predicted_N, features_NF = predicted_N[picked], features_NF[picked]
        # More clusters than distinct points cannot be told apart; scikit-learn would warn and return empty ones.
        clusters = min(outputs.probabilities_NK.shape[1], len(np.unique(features_NF, axis=0)))
        means = KMeans(clusters, n_init=self.restarts, random_state=seed % 2**32).fit(features_NF)
        return float(adjusted_mutual_info_score(predicted_N, means.labels_))
