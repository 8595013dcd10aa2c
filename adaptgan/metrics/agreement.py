"""How well a label-free score orders models: rank correlation with the truth, and what choosing by it costs.

Pure functions over numbers. Candidates without a score or a truth are for the caller to leave out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from adaptgan.metrics.selection import ranks

FEWEST = 3
"""Candidates below which an order says nothing: two agree or disagree by the toss of a coin."""


@dataclass(frozen=True)
class Agreement:
    """One score against the truth, over the candidates of one run.

    Attributes:
        candidates: how many there were.
        spearman: ρ in [-1, 1]; None where it is not defined.
        kendall: τ-b in [-1, 1]; None where it is not defined.
        regret: the best truth less that of the candidate with the highest score, ≥ 0.
    """

    candidates: int
    spearman: float | None
    kendall: float | None
    regret: float


def spearman(scores: Sequence[float], truths: Sequence[float]) -> float | None:
    """Spearman's ρ: Pearson's correlation of the ranks, ties sharing the mean of their places.

    None with fewer than three candidates, or when either side is the same for all.
    """
    if _undefined(scores, truths):
        return None
    x, y = ranks(scores), ranks(truths)
    mean = (len(x) + 1) / 2
    both = sum((a - mean) * (b - mean) for a, b in zip(x, y, strict=True))
    spread = math.sqrt(sum((a - mean) ** 2 for a in x) * sum((b - mean) ** 2 for b in y))
    return both / spread


def kendall(scores: Sequence[float], truths: Sequence[float]) -> float | None:
    """Kendall's τ-b: (agreeing − disagreeing pairs) / √(pairs untied in one · pairs untied in the other).

    None with fewer than three candidates, or when either side is the same for all.
    """
    if _undefined(scores, truths):
        return None
    balance = untied_x = untied_y = 0
    for (x1, y1), (x2, y2) in combinations(zip(scores, truths, strict=True), 2):
        dx, dy = _sign(x1, x2), _sign(y1, y2)
        balance += dx * dy
        untied_x += abs(dx)
        untied_y += abs(dy)
    return balance / math.sqrt(untied_x * untied_y)


def regret(scores: Sequence[float], truths: Sequence[float]) -> float:
    """What is lost by taking the highest score: max truth − truth there; of several highest, the mean of theirs."""
    highest = max(scores)
    taken = [truth for score, truth in zip(scores, truths, strict=True) if score == highest]
    return max(truths) - fmean(taken)


def agreement(scores: Sequence[float], truths: Sequence[float]) -> Agreement:
    """All of it, for one score in one run; higher is better in both."""
    return Agreement(len(scores), spearman(scores, truths), kendall(scores, truths), regret(scores, truths))


def mean_ranks(scores: Mapping[str, Mapping[str, float | None]]) -> dict[str, float]:
    """Each candidate's mean place over the validators that scored all of them; 1 is best. Empty without one."""
    if not scores:
        return {}
    names = list(dict.fromkeys(name for row in scores.values() for name in row))
    columns = [[row.get(name) for row in scores.values()] for name in names]
    places = [ranks([v for v in column if v is not None]) for column in columns if None not in column]
    if not places:
        return {}
    return {row: fmean(place[i] for place in places) for i, row in enumerate(scores)}


def _sign(one: float, other: float) -> int:
    return int(one > other) - int(one < other)


def _undefined(scores: Sequence[float], truths: Sequence[float]) -> bool:
    return len(scores) < FEWEST or len(set(scores)) == 1 or len(set(truths)) == 1
