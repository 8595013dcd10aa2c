"""What is measured on class probabilities: the Inception Score and the balance of classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from adaptgan.errors import DataError
from adaptgan.metrics.class_balance import ClassBalance
from adaptgan.metrics.inception_score import InceptionScore, inception_score
from adaptgan.metrics.realism import wants


@pytest.fixture
def logits() -> torch.Tensor:
    return 3 * torch.randn(400, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("splits", [1, 5])
def test_equals_torch_fidelity_on_the_same_predictions(logits: torch.Tensor, splits: int) -> None:
    probabilities = logits.softmax(1).numpy()
    order = np.random.default_rng(4).permutation(len(logits))
    theirs = isc_features_to_metric(logits[order], splits=splits, shuffle=False)
    ours = InceptionScore(splits)(probabilities, probabilities[:0], seed=4)
    assert ours["inception_score"] == pytest.approx(theirs["inception_score_mean"], rel=1e-12)
    assert ours["inception_score_std"] == pytest.approx(theirs["inception_score_std"], rel=1e-9, abs=1e-12)


def test_known_scores() -> None:
    assert inception_score(np.eye(4)[np.arange(20) % 4]) == pytest.approx(4)  # sure, all classes
    assert inception_score(np.eye(4)[np.zeros(20, int)]) == pytest.approx(1)  # sure, one class
    assert inception_score(np.full((20, 4), 0.25)) == pytest.approx(1)  # unsure
    half = np.array([[0.75, 0.25], [0.25, 0.75]])
    kl = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    assert inception_score(half) == pytest.approx(np.exp(kl))


def test_its_best_known_fault() -> None:
    """One image per class, repeated, has the highest score there is."""
    repeated = np.eye(10)[np.repeat(np.arange(10), 50)]
    assert InceptionScore(1)(repeated, repeated, seed=0)["inception_score"] == pytest.approx(10)


def test_more_splits_than_images() -> None:
    with pytest.raises(DataError, match="10 splits.*found 9"):
        InceptionScore()(np.full((9, 2), 0.5), np.full((9, 2), 0.5), seed=0)


def predictions(*counts: int) -> np.ndarray:
    """So many images of each class, each predicted with 0.6."""
    k = len(counts)
    return (np.eye(k) * (0.6 - 0.4 / (k - 1)) + 0.4 / (k - 1))[np.repeat(np.arange(k), counts)]


def test_class_balance_by_hand() -> None:
    even, two, one = predictions(10, 10, 10, 10), predictions(20, 20, 0, 0), predictions(0, 0, 40, 0)
    balance = ClassBalance()
    assert balance(even, even, 0) == pytest.approx({"class_balance": 1, "largest_class": 0.25, "missing_classes": 0})
    assert balance(two, even, 0) == pytest.approx({"class_balance": 0.5, "largest_class": 0.5, "missing_classes": 2})
    assert balance(one, even, 0) == pytest.approx({"class_balance": 0.25, "largest_class": 1, "missing_classes": 3})
    assert balance(even, two, 0)["class_balance"] == pytest.approx(2)
    assert balance(even, two, 0)["missing_classes"] == 0  # what the real ones lack is not missing


def test_class_balance_needs_equal_classes() -> None:
    with pytest.raises(DataError, match=r"\(4, 2\), \(4, 3\)"):
        ClassBalance()(np.ones((4, 2)), np.ones((4, 3)), 0)
    with pytest.raises(DataError, match=r"\(0, 2\)"):
        ClassBalance()(np.ones((0, 2)), np.ones((4, 2)), 0)


def test_they_ask_for_probabilities() -> None:
    assert wants(InceptionScore()) == wants(ClassBalance()) == "probabilities"
    assert wants(lambda a, b, seed: {}) == "features"
