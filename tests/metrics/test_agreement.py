"""Rank correlations against ranks worked out by hand, and against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from adaptgan.metrics.agreement import agreement, kendall, mean_ranks, regret, spearman


def test_ranks_with_ties_by_hand() -> None:
    """Scores 5 5 3 1 have the places 1.5 1.5 3 4; truths 8 6 7 6 have 1 3.5 2 3.5; both means are 2.5.

    Products of the deviations: (−1)(−1.5) + (−1)(1) + (0.5)(−0.5) + (1.5)(1) = 1.75; squares: 4.5 and 4.5.
    Pairs: 12 tied in x; 13 agrees (5>3, 8>7); 14 agrees; 23 disagrees (5>3, 6<7); 24 tied in y; 34 agrees.
    So τ = (3 − 1) / √(5 · 5).
    """
    scores, truths = [5.0, 5.0, 3.0, 1.0], [8.0, 6.0, 7.0, 6.0]
    assert spearman(scores, truths) == pytest.approx(1.75 / 4.5)
    assert kendall(scores, truths) == pytest.approx(2 / 5)
    assert regret(scores, truths) == pytest.approx(8 - (8 + 6) / 2)


def test_perfect_and_reversed_orders() -> None:
    forwards = agreement([1.0, 2.0, 40.0], [0.1, 0.5, 0.6])
    assert (forwards.candidates, forwards.regret) == (3, 0.0)
    assert (forwards.spearman, forwards.kendall) == (pytest.approx(1), pytest.approx(1))
    backwards = agreement([3.0, 2.0, 1.0], [0.1, 0.5, 0.6])
    assert (backwards.spearman, backwards.kendall) == (pytest.approx(-1), pytest.approx(-1))
    assert backwards.regret == pytest.approx(0.5)


@pytest.mark.parametrize("levels", [2, 4, 1000])  # many ties, some, hardly any
def test_equal_scipys(levels: int) -> None:
    rng = np.random.default_rng(levels)
    for _ in range(30):
        x, y = rng.integers(0, levels, (2, 9)).astype(float)
        if len(set(x)) == 1 or len(set(y)) == 1:
            continue
        assert spearman(list(x), list(y)) == pytest.approx(stats.spearmanr(x, y).statistic)
        assert kendall(list(x), list(y)) == pytest.approx(stats.kendalltau(x, y).statistic)


def test_where_an_order_says_nothing() -> None:
    assert spearman([1.0, 2.0], [1.0, 2.0]) is None
    assert kendall([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
    assert spearman([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]) is None
    assert regret([1.0, 1.0], [0.4, 0.8]) == pytest.approx(0.2)


def test_mean_ranks_leave_out_what_not_all_have() -> None:
    scores = {"x": {"a": 3.0, "b": 1.0}, "y": {"a": 1.0, "b": None}, "z": {"a": 2.0, "b": 9.0}}
    assert mean_ranks(scores) == {"x": 1.0, "y": 3.0, "z": 2.0}
    assert mean_ranks({"x": {"a": 1.0, "b": 1.0}, "y": {"a": 0.0, "b": 1.0}}) == {"x": 1.25, "y": 1.75}
    assert mean_ranks({"x": {"a": None}}) == {}
    assert mean_ranks({}) == {}
