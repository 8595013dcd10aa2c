from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import rankdata

from adaptgan.errors import AdaptganError
from adaptgan.metrics.selection import gap_closed, oracle_choice, ranks, select, taken_over


def test_ranks_equal_scipys() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = rng.integers(0, 4, 6).astype(float)
        np.testing.assert_allclose(ranks(list(values)), rankdata(-values))


def test_best_mean_rank_wins() -> None:
    chosen = select(
        {"source": {"a": 3.0, "b": 1.0}, "x": {"a": 1.0, "b": 2.0}, "y": {"a": 2.0, "b": 3.0}}, baseline="source"
    )
    assert chosen.selected == "y"
    assert chosen.mean_rank == {"source": 2.0, "x": 2.5, "y": 1.5}
    assert chosen.ranks["y"] == {"a": 2.0, "b": 1.0}


def test_the_oracle_never_is_a_candidate() -> None:
    chosen = select({"source": {"a": 1.0}, "oracle": {"a": 9.0}}, baseline="source", never=["oracle"])
    assert chosen.selected == "source"
    assert "oracle" not in chosen.mean_rank
    assert chosen.mean_rank == {"source": 1.0}  # nor does it push others down


def test_nothing_below_the_baseline_is_chosen() -> None:
    """Whatever the scores, the chosen row's mean rank is at most the baseline's."""
    for values in itertools.product([0.0, 1.0, 2.0], repeat=6):
        scores = {row: {"a": values[2 * i], "b": values[2 * i + 1]} for i, row in enumerate(("x", "source", "y"))}
        chosen = select(scores, baseline="source")
        assert chosen.mean_rank[chosen.selected] <= chosen.mean_rank["source"]


def test_ties_go_to_the_baseline_then_to_the_alphabet() -> None:
    tied = {"a": 1.0}
    assert select({"x": tied, "b": tied, "source": tied}, baseline="source").selected == "source"
    assert select({"x": {"a": 2.0}, "b": {"a": 2.0}, "source": tied}, baseline="source").selected == "b"


def test_order_of_rows_does_not_matter() -> None:
    scores = {"source": {"a": 1.0}, "x": {"a": 2.0}, "y": {"a": 2.0}}
    found = {select(dict(order), baseline="source").selected for order in itertools.permutations(scores.items())}
    assert found == {"x"}


def test_a_missing_score_leaves_its_validator_out_for_all() -> None:
    chosen = select({"source": {"a": 1.0, "b": 5.0}, "x": {"a": 2.0, "b": None}}, baseline="source")
    assert chosen.selected == "x"
    assert chosen.validators == ("a",)
    assert chosen.left_out == {"b": "no score for x"}


def test_the_oracles_missing_score_costs_nobody_a_validator() -> None:
    scores = {"source": {"a": 1.0, "dev": -2.0}, "x": {"a": 2.0, "dev": -1.0}, "oracle": {"a": 3.0, "dev": None}}
    chosen = select(scores, baseline="source", never=["oracle"])
    assert (chosen.validators, chosen.left_out) == (("a", "dev"), {})


def test_the_excluded_are_neither_chosen_nor_ranked() -> None:
    scores = {"source": {"a": 1.0, "b": 1.0}, "x": {"a": 9.0, "b": None}, "y": {"a": 2.0, "b": 2.0}}
    chosen = select(scores, baseline="source", excluded={"x": "collapsed", "source": "collapsed as well"})
    assert chosen.selected == "y"
    assert chosen.mean_rank == {"source": 2.0, "y": 1.0}
    assert chosen.validators == ("a", "b")
    assert chosen.excluded == {"x": "collapsed"}  # the baseline stays, whatever becomes of it


def test_snapshots_compete_with_rows() -> None:
    scores = {"source": {"a": 1.0}, "x": {"a": 2.0}, "x@100": {"a": 3.0}, "source@100": {"a": 0.0}}
    assert select(scores, baseline="source").selected == "x@100"


@pytest.mark.parametrize(
    ("share", "usual", "classes", "swallowed"),
    [
        (0.56, 0.2, 10, True),  # 0.1 + 0.5 · 0.9 = 0.55
        (0.54, 0.2, 10, False),
        (0.74, 0.5, 2, False),  # of two classes one may well have most
        (0.76, 0.5, 2, True),
        (0.90, 0.91, 10, False),  # source-only says so too: the target may be like that
        (1.0, 1.0, 1, False),
    ],
)
def test_taken_over(share: float, usual: float, classes: int, swallowed: bool) -> None:
    assert taken_over(share, usual, classes, limit=0.5) == swallowed


def test_oracle_choice() -> None:
    accuracies = {"source": 0.8, "x": 0.9, "x@10": 0.95, "y": 0.95, "z": None}
    assert oracle_choice(accuracies, "x") == {"row": "x@10", "accuracy": 0.95, "regret": pytest.approx(0.05)}
    assert oracle_choice(accuracies, "y") == {"row": "y", "accuracy": 0.95, "regret": 0.0}
    assert oracle_choice({"source": None, "x": None}, "x") is None


def test_without_any_score_the_baseline_stays() -> None:
    chosen = select({"source": {"a": None}, "x": {"a": 2.0}}, baseline="source")
    assert (chosen.selected, chosen.mean_rank) == ("source", {})


@pytest.mark.parametrize("never", [[], ["source"]])
def test_a_missing_baseline_is_said(never: list[str]) -> None:
    rows = {"x": {"a": 1.0}} if not never else {"x": {"a": 1.0}, "source": {"a": 2.0}}
    with pytest.raises(AdaptganError, match=r"baseline row 'source'.*evaluate\.baseline"):
        select(rows, baseline="source", never=never)


def test_gap_closed() -> None:
    assert gap_closed(0.8, 0.95, 1.0) == pytest.approx(0.75)
    assert gap_closed(0.8, 0.7, 1.0) == pytest.approx(-0.5)  # a loss is shown as one
    assert gap_closed(0.8, 0.9, None) is None
    assert gap_closed(0.9, 0.95, 0.9) is None
