"""How numbers read on the page."""

from __future__ import annotations

NOTHING = "–"
"""Stands where a number was not measured."""


def percent(value: float | None, digits: int = 1) -> str:
    """0.9312 -> `93.1%`."""
    return NOTHING if value is None else f"{100 * value:.{digits}f}%"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, always signed: 0.0312 -> `+3.1`."""
    return NOTHING if value is None else f"{100 * value:+.1f}".replace("-", "−")


def number(value: float | None, digits: int = 3) -> str:
    """A plain number with a true minus sign."""
    return NOTHING if value is None else f"{value:.{digits}f}".replace("-", "−")


def significant(value: float) -> str:
    """Three significant digits, for axes and values of any size."""
    return f"{value:.3g}".replace("-", "−")


def duration(seconds: float | None) -> str:
    """`42 s`, `3 min 20 s`, `2 h 05 min`; one decimal below ten seconds."""
    if seconds is None:
        return NOTHING
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(value: int | None) -> str:
    """19384 -> `19 384`, with a thin no-break space."""
    return NOTHING if value is None else f"{value:,}".replace(",", "\u202f")


def join(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else "none"
