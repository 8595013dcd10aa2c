from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import rankdata

from adaptgan.errors import AdaptganError
from adaptgan.metrics.selection import gap_closed, ranks, select


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
