"""Choosing a row without target labels: pure functions over scores, with the oracle named as what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adaptgan.errors import AdaptganError

Scores = Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True)
class Selection:
    """Which row was chosen, and why.

    Attributes:
        selected: the candidate of the best mean rank.
        mean_rank: per candidate; 1 is best.
        ranks: per candidate and validator; ties share the mean of their places.
        validators: those that were ranked on.
        left_out: those that were not, and why.
    """

    selected: str
    mean_rank: dict[str, float]
    ranks: dict[str, dict[str, float]]
    validators: tuple[str, ...]
    left_out: dict[str, str]


def ranks(values: Sequence[float]) -> list[float]:
    """Places by falling value, 1 is best; equal values share the mean of their places."""
    above = [sum(other > value for other in values) for value in values]
    equal = [sum(other == value for other in values) for value in values]
    return [1 + more + (same - 1) / 2 for more, same in zip(above, equal, strict=True)]


def select(scores: Scores, baseline: str, never: Sequence[str] = ()) -> Selection:
    """Choose the row with the best mean rank over all validators.

    The baseline is always a candidate, so that whatever is chosen ranks at least as high; on a tie the baseline
    wins, then the alphabetically first row. A validator that a candidate has no score for is left out for all.

    Args:
        scores: row → validator → score, higher is better, None when there is none.
        baseline: the row trained on source alone.
        never: rows that may not be chosen: the oracle, which has seen target labels.

    Raises:
        AdaptganError: the baseline is missing, or is itself excluded.
    """
    candidates = sorted(set(scores) - set(never))
    if baseline not in candidates:
        raise AdaptganError(
            f"The baseline row {baseline!r} is not among the candidates {candidates}; a choice must be compared with "
            "it. Train it, or name another in evaluate.baseline."
        )
    names = list(dict.fromkeys(name for row in candidates for name in scores[row]))
    left_out: dict[str, str] = {}
    placed: dict[str, dict[str, float]] = {row: {} for row in candidates}
    for name in names:
        values = [scores[row].get(name) for row in candidates]
        missing = [row for row, value in zip(candidates, values, strict=True) if value is None]
        if missing:
            left_out[name] = "no score for " + ", ".join(missing)
            continue
        for row, place in zip(candidates, ranks([v for v in values if v is not None]), strict=True):
            placed[row][name] = place
    used = tuple(name for name in names if name not in left_out)
    if not used:  # nothing to prefer anyone by
        return Selection(baseline, {}, placed, (), left_out)
    mean_rank = {row: sum(places.values()) / len(places) for row, places in placed.items()}
    selected = min(candidates, key=lambda row: (mean_rank[row], row != baseline, row))
    return Selection(selected, mean_rank, placed, used, left_out)


def gap_closed(source: float | None, selected: float | None, oracle: float | None) -> float | None:
    """(selected − source) / (oracle − source): the share of the gap to the oracle that was closed.

    None when a number is missing, or when the oracle is no better than source and there is no gap to close.
    """
    if source is None or selected is None or oracle is None or oracle <= source:
        return None
    return (selected - source) / (oracle - source)
