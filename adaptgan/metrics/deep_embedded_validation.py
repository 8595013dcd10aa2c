"""Deep Embedded Validation (You 2019): the target's risk, estimated from source images weighted to look like it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from adaptgan.metrics.validators import ModelOutputs

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse weights of the domain classifier's L2 penalty to choose among; the most cautious first."""
SMALLEST = 1e-12
"""A probability counts at least this much: one sure mistake must not cost infinitely."""


def controlled_risk(weights_M: np.ndarray, losses_M: np.ndarray) -> float:
    """mean(w·ℓ) + η·mean(w) − η with η = −Cov(w·ℓ, w) / Var(w): importance weighting with a control variate.

    The mean of the weights is 1 if they are right, so the added terms cancel in expectation and take variance away
    (You 2019, eq. 8 and 9).

    Args:
        weights_M: density ratio target / source at each held-out source image; ≥ 0.
        losses_M: the model's loss on each.
    """
    w, loss = np.asarray(weights_M, np.float64), np.asarray(losses_M, np.float64)
    weighted = w * loss
    variance = np.var(w)
    eta = -np.mean((weighted - weighted.mean()) * (w - w.mean())) / variance if variance > 0 else 0.0
    return float(weighted.mean() + eta * w.mean() - eta)


def density_ratio(
    source_LF: np.ndarray,
    target_NF: np.ndarray,
    at_MF: np.ndarray,
    seed: int,
    strengths: Sequence[float] = STRENGTHS,
) -> np.ndarray:
    """p_target(f) / p_source(f) at each row of `at_MF`, by a logistic regression between the two domains.

    With P(target | f) of the classifier it is (L / N) · P(target | f) / P(source | f) (You 2019, eq. 5). Its penalty
    is the one with the lowest log loss on a fifth of the points that it has not seen: a density ratio needs
    calibrated probabilities, and domains that a linear map tells apart would give none without a penalty.

    Args:
        source_LF: features of the source; L ≥ 5.
        target_NF: features of the target; N ≥ 5.
        at_MF: where to tell the ratio.
        seed: decides which fifth.
        strengths: inverse penalties to choose among.

    Returns:
        (M,) in [0, N]: no image can stand for more than all of the target.
    """
    from sklearn.linear_model import LogisticRegression

    points_PF = np.concatenate([source_LF, target_NF])
    domains_P = np.repeat([0, 1], [len(source_LF), len(target_NF)])
    mean_F, std_F = points_PF.mean(0), points_PF.std(0)
    std_F[std_F == 0] = 1.0
    order = np.random.default_rng(seed).permutation(len(points_PF))
    held, learn = order[: len(order) // 5], order[len(order) // 5 :]
    scaled_PF = (points_PF - mean_F) / std_F
    best, lowest = None, np.inf
    for strength in strengths:
        model = LogisticRegression(C=strength, max_iter=1000).fit(scaled_PF[learn], domains_P[learn])
        logits = model.decision_function(scaled_PF[held])
        log_loss = np.logaddexp(0.0, np.where(domains_P[held] == 1, -logits, logits)).mean()
        if log_loss < lowest:
            best, lowest = model, log_loss
    assert best is not None
    log_ratio_M = best.decision_function((at_MF - mean_F) / std_F) + np.log(len(source_LF) / len(target_NF))
    ratio_M: np.ndarray = np.exp(np.minimum(log_ratio_M, np.log(len(target_NF))))
    return ratio_M


class DeepEmbeddedValidation:
    """The negative target risk, estimated on held-out source images that count as much as they look like the target.

    How alike they look is judged in the model's own features, so a model whose features hide the domain is believed
    on its source accuracy, and one that maps the target where no source image lies has few images to be judged by: the
    estimate is then noisy, which Musgrave 2022 found to be the rule.

    Args:
        loss: what the risk is of: `cross_entropy`, or `error` (0 or 1), which says nothing when hardly any held-out
            image is misread.
        images: at most this many images of training source and target teach the domain classifier.
    """

    needs_source: ClassVar[bool] = True

    def __init__(
        self,
        loss: Literal["cross_entropy", "error"] = "cross_entropy",
        images: Annotated[int, Field(ge=10)] = 1000,
    ) -> None:
        self.loss = loss
        self.images = images

    def __call__(self, outputs: ModelOutputs, seed: int) -> float | None:
        """−risk, at most about 0; None without features, or when what was held out is not known."""
        p_MK, labels_M = outputs.held_out_probabilities_MK, outputs.held_out_labels_M
        held_MF, train_LF, target_NF = outputs.held_out_features_MF, outputs.training_features_LF, outputs.features_NF
        if p_MK is None or labels_M is None or held_MF is None or train_LF is None or target_NF is None:
            return None
        if not len(p_MK) or min(len(train_LF), len(target_NF)) < 5:
            return None
        rng = np.random.default_rng(seed)
        source_LF, target_NF = (
            np.asarray(part[rng.permutation(len(part))[: self.images]], np.float64) for part in (train_LF, target_NF)
        )
        weights_M = density_ratio(source_LF, target_NF, np.asarray(held_MF, np.float64), seed)
        return -controlled_risk(weights_M, self._losses(p_MK, labels_M))

    def _losses(self, p_MK: np.ndarray, labels_M: np.ndarray) -> np.ndarray:
        if self.loss == "error":
            wrong_M: np.ndarray = (p_MK.argmax(1) != labels_M).astype(np.float64)
            return wrong_M
        surprise_M: np.ndarray = -np.log(np.maximum(p_MK[np.arange(len(labels_M)), labels_M], SMALLEST))
        return surprise_M
