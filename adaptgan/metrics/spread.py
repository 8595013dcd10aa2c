"""Mean and standard deviation of a few numbers, and how the two read side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from adaptgan.reporting.formats import NOTHING, number


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a few numbers (n − 1; None for a single one), and the numbers."""

    mean: float
    sd: float | None
    values: tuple[float, ...]


def spread(values: Iterable[float | None]) -> Spread | None:
    """Over those that are known; None when none is."""
    known = tuple(value for value in values if value is not None)
    if not known:
        return None
    return Spread(fmean(known), stdev(known) if len(known) > 1 else None, known)


def mean_std(values: Iterable[float | None]) -> dict[str, float | None]:
    """`mean` and `std` for a results file; both None when no number is known."""
    found = spread(values)
    return {"mean": found.mean if found else None, "std": found.sd if found else None}


def summary(values: Sequence[float | None]) -> dict[str, Any]:
    """`mean`, `std` and the `values` themselves, seed by seed, for a results file."""
    return {**mean_std(values), "values": list(values)}


def plus_minus(mean: float | None, sd: float | None, digits: int = 1, factor: float = 1.0) -> str:
    """`97.8 ± 0.5`; one number alone has no ±, none at all is a dash.

    Args:
        mean: None where nothing was measured.
        sd: None where there is no deviation.
        digits: after the point, of both.
        factor: both are multiplied with it, by 100 for percent.
    """
    if mean is None:
        return NOTHING
    text = number(round(factor * mean, digits) + 0.0, digits)  # + 0.0: what rounds to zero has no sign
    return text if sd is None else f"{text} ± {number(factor * sd, digits)}"
