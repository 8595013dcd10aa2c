"""Choosing a model without target labels: pure functions over scores, with the oracle named as what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adaptgan.errors import AdaptganError

Scores = Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True)
class Selection:
    """Which candidate was chosen, and why.

    Attributes:
        selected: the candidate of the best mean rank.
        mean_rank: per candidate; 1 is best.
        ranks: per candidate and validator; ties share the mean of their places.
        validators: those that were ranked on.
        left_out: those that were not, and why.
        excluded: candidates that could not be chosen, and why.
    """

    selected: str
    mean_rank: dict[str, float]
    ranks: dict[str, dict[str, float]]
    validators: tuple[str, ...]
    left_out: dict[str, str]
    excluded: dict[str, str] = field(default_factory=dict)


def ranks(values: Sequence[float]) -> list[float]:
    """Places by falling value, 1 is best; equal values share the mean of their places."""
    above = [sum(other > value for other in values) for value in values]
    equal = [sum(other == value for other in values) for value in values]
    return [1 + more + (same - 1) / 2 for more, same in zip(above, equal, strict=True)]


def select(
    scores: Scores, baseline: str, never: Sequence[str] = (), excluded: Mapping[str, str] | None = None
) -> Selection:
    """Choose the candidate with the best mean rank over all validators.

    The baseline is always a candidate, so that whatever is chosen ranks at least as high; on a tie the baseline
    wins, then the alphabetically first. A validator that a candidate has no score for is left out for all. Who may
    not be chosen is not ranked either: it neither pushes others down nor costs them a validator.

    Args:
        scores: candidate → validator → score, higher is better, None when there is none.
        baseline: the row trained on source alone.
        never: rows that are no candidates: the oracle, which has seen target labels.
        excluded: candidates that broke down, and how; for the baseline it has no effect.

    Raises:
        AdaptganError: the baseline is missing, or is itself the oracle.
    """
    excluded = {name: why for name, why in (excluded or {}).items() if name != baseline and name not in never}
    candidates = sorted(set(scores) - set(never) - set(excluded))
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
        return Selection(baseline, {}, placed, (), left_out, excluded)
    mean_rank = {row: sum(places.values()) / len(places) for row, places in placed.items()}
    selected = min(candidates, key=lambda row: (mean_rank[row], row != baseline, row))
    return Selection(selected, mean_rank, placed, used, left_out, excluded)


def taken_over(share: float, baseline_share: float, n_classes: int, limit: float) -> bool:
    """Whether one class has swallowed the predictions on the target.

    Args:
        share: of the target images that the most predicted class gets.
        baseline_share: what the baseline's most predicted class gets; a target of unequal classes shows there too.
        n_classes: K.
        limit: of what lies between an even 1/K (0) and everything (1), how much a class may take.
    """
    even = 1 / max(1, n_classes)
    return share > baseline_share and share > even + limit * (1 - even)


def oracle_choice(accuracies: Mapping[str, float | None], selected: str) -> dict[str, str | float] | None:
    """What test labels would have chosen, which nobody may: for comparison with what was chosen without.

    Args:
        accuracies: of every candidate on the test set, excluded ones too, the oracle row not.
        selected: what was chosen; it wins ties.

    Returns:
        `row`, its `accuracy`, and the `regret`: by how much it is above the selected one's, ≥ 0. None without a test.
    """
    known = {name: value for name, value in accuracies.items() if value is not None}
    if selected not in known:
        return None
    best = min(known, key=lambda name: (-known[name], name != selected, name))
    return {"row": best, "accuracy": known[best], "regret": known[best] - known[selected]}


def gap_closed(source: float | None, selected: float | None, oracle: float | None) -> float | None:
    """(selected − source) / (oracle − source): the share of the gap to the oracle that was closed.

    None when a number is missing, or when the oracle is no better than source and there is no gap to close.
    """
    if source is None or selected is None or oracle is None or oracle <= source:
        return None
    return (selected - source) / (oracle - source)
