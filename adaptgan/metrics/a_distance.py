"""Proxy A-distance (Ben-David 2007): how well a classifier tells two domains apart."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from adaptgan.errors import DataError


def a_distance(error: float) -> float:
    """2(1 − 2ε): 0 when the domains cannot be told apart, 2 when they never are confused.

    Args:
        error: held-out error ε of a balanced domain classifier. Above 0.5 it is chance, not knowledge, and is
            clipped.
    """
    return 2.0 * (1.0 - 2.0 * min(error, 0.5))


class ProxyADistance:
    """Train a domain classifier on half the points and measure its error on the other half.

    Args:
        classifier: `linear` (logistic regression) or `mlp` (one hidden layer of 64).
        splits: random splits into halves; the errors are averaged.
    """

    def __init__(
        self,
        classifier: Literal["linear", "mlp"] = "linear",
        splits: Annotated[int, Field(ge=1)] = 3,
    ) -> None:
        self.classifier = classifier
        self.splits = splits

    def __call__(self, features_a_NF: np.ndarray, features_b_NF: np.ndarray, seed: int) -> dict[str, float]:
        """Compare two sets of features or small images (anything that flattens to (N, F)).

        Returns:
            `a_distance` in [0, 2] and `domain_error`, the mean held-out error before clipping.

        Raises:
            DataError: a set has fewer than four points, or the widths differ.
        """
        a = np.asarray(features_a_NF, np.float64).reshape(len(features_a_NF), -1)
        b = np.asarray(features_b_NF, np.float64).reshape(len(features_b_NF), -1)
        if a.shape[1] != b.shape[1]:
            raise DataError(f"A-distance compares features of one width; found {a.shape[1]} and {b.shape[1]}.")
        if min(len(a), len(b)) < 4:
            raise DataError(f"A-distance needs at least 4 images in each set; found {len(a)} and {len(b)}.")
        errors = [self._split_error(a, b, np.random.default_rng([seed, split])) for split in range(self.splits)]
        error = float(np.mean(errors))
        return {"a_distance": a_distance(error), "domain_error": error}

    def _split_error(self, a_NF: np.ndarray, b_NF: np.ndarray, rng: np.random.Generator) -> float:
        """Held-out error of one random split, both domains equally many in either half."""
        half = min(len(a_NF), len(b_NF)) // 2
        picked_a = rng.permutation(len(a_NF))[: 2 * half]
        picked_b = rng.permutation(len(b_NF))[: 2 * half]
        domains_N = np.repeat([0, 1], half)
        train_NF = np.concatenate([a_NF[picked_a[:half]], b_NF[picked_b[:half]]])
        test_NF = np.concatenate([a_NF[picked_a[half:]], b_NF[picked_b[half:]]])
        # Standardized with the training half only: the held-out half stays unseen.
        mean_F, std_F = train_NF.mean(0), train_NF.std(0)
        std_F[std_F == 0] = 1.0
        model = self._model(int(rng.integers(2**31)))
        with warnings.catch_warnings():
            # Separable domains have no finite optimum; stopping at the iteration limit is right there.
            warnings.filterwarnings("ignore", message=".*(failed to converge|hasn't converged).*")
            model.fit((train_NF - mean_F) / std_F, domains_N)
        return float(np.mean(model.predict((test_NF - mean_F) / std_F) != domains_N))

    def _model(self, seed: int) -> Any:
        if self.classifier == "linear":
            from sklearn.linear_model import LogisticRegression

            return LogisticRegression(C=0.1, max_iter=200)
        from sklearn.neural_network import MLPClassifier

        return MLPClassifier((64,), alpha=1e-3, max_iter=60, early_stopping=True, random_state=seed)
