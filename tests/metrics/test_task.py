from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

from adaptgan.metrics import task


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    return labels, np.where(rng.random(200) < 0.7, labels, rng.integers(0, 4, 200))


def test_scores_equal_scikit_learns(answers: tuple[np.ndarray, np.ndarray]) -> None:
    labels, predictions = answers
    assert task.accuracy(labels, predictions) == pytest.approx(accuracy_score(labels, predictions))
    np.testing.assert_array_equal(task.confusion(labels, predictions, 4), confusion_matrix(labels, predictions))
    found = task.per_class(labels, predictions, ["a", "b", "c", "d"])
    assert list(found) == ["a", "b", "c", "d"]
    np.testing.assert_allclose(list(found.values()), recall_score(labels, predictions, average=None))


def test_a_class_without_images_has_no_accuracy() -> None:
    assert task.per_class(np.array([0, 0]), np.array([0, 1]), ["a", "b"]) == {"a": 0.5, "b": None}


@pytest.mark.parametrize(("correct", "total"), [(0, 10), (10, 10), (3, 7), (960, 1000), (1, 1)])
def test_wilson_equals_scipys(correct: int, total: int) -> None:
    expected = binomtest(correct, total).proportion_ci(method="wilson")
    assert task.wilson_interval(correct, total) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_of_nothing_knows_nothing() -> None:
    assert task.wilson_interval(0, 0) == (0.0, 1.0)


def test_paired_difference_is_that_of_the_per_image_scores(answers: tuple[np.ndarray, np.ndarray]) -> None:
    labels, before = answers
    rng = np.random.default_rng(1)
    after = np.where(rng.random(200) < 0.5, labels, before)
    scores = (after == labels).astype(float) - (before == labels).astype(float)
    margin = 1.959964 * scores.std() / np.sqrt(len(scores))
    found = task.paired_difference(labels, before, after)
    assert found == pytest.approx((scores.mean(), scores.mean() - margin, scores.mean() + margin), abs=1e-6)


def test_equal_answers_differ_by_nothing(answers: tuple[np.ndarray, np.ndarray]) -> None:
    labels, predictions = answers
    assert task.paired_difference(labels, predictions, predictions) == (0.0, 0.0, 0.0)
