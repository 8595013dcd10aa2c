"""Coordinates for inline SVG: loss curves and intervals."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptgan.errors import DataError
from adaptgan.reporting.formats import significant

WIDTH, HEIGHT = 280, 96
MOST_POINTS = 240


@dataclass(frozen=True)
class Curve:
    """One loss over training.

    Attributes:
        name: `phase/term`.
        steps: at which it was read.
        values: its mean since the read-out before.
        path: an SVG path in a WIDTH × HEIGHT box.
        low, high: what the bottom and top of the box stand for.
    """

    name: str
    steps: list[int]
    values: list[float]
    path: str
    low: str
    high: str

    @property
    def last(self) -> str:
        """The final value, for people."""
        return significant(self.values[-1])


def curves(path: Path) -> list[Curve]:
    """Every loss of a `losses.jsonl`, in the order they first appear.

    A line cut short by a crash is passed over when it is the last; anywhere else the file is damaged.

    Raises:
        DataError: a line is not what `train` writes.
    """
    series: dict[str, list[tuple[int, float]]] = {}
    lines = path.read_text().splitlines()
    for i, line in enumerate(lines):
        try:
            entry = json.loads(line)
            step, losses = int(entry["step"]), dict(entry["losses"])
        except (ValueError, KeyError, TypeError) as error:
            if i == len(lines) - 1:
                break
            raise DataError(f"{path}, line {i + 1}: this is no read-out of losses ({error}). Train again.") from None
        for name, value in losses.items():
            if math.isfinite(value):
                series.setdefault(name, []).append((step, float(value)))
    return [_curve(name, points) for name, points in series.items()]


def _curve(name: str, points: Sequence[tuple[int, float]]) -> Curve:
    points = thin(points, MOST_POINTS)
    steps, values = [step for step, _ in points], [value for _, value in points]
    low, high = min(values), max(values)
    if high == low:  # a flat line goes through the middle
        low, high = low - 0.5, high + 0.5
    first, last = steps[0], max(steps[-1], steps[0] + 1)
    spots = [
        f"{WIDTH * (step - first) / (last - first):.1f},{HEIGHT * (1 - (value - low) / (high - low)):.1f}"
        for step, value in points
    ]
    return Curve(name, steps, values, "M" + "L".join(spots), significant(low), significant(high))


def thin(points: Sequence[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """At most `most` points: means over equal stretches, at their last step."""
    if len(points) <= most:
        return list(points)
    edges = [round(i * len(points) / most) for i in range(most + 1)]
    parts = [points[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]


def axis(rows: Mapping[str, Mapping[str, Any]]) -> tuple[float, list[float]]:
    """Where the accuracy axis begins (it ends at 1), and its ticks: the lowest interval's end, rounded down."""
    lows = [row["interval"]["low"] for row in rows.values() if row["interval"]]
    start = max(0.0, math.floor((min(lows, default=0.0) - 0.005) * 20) / 20)
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.25) if (1 - start) / s <= 5 or s == 0.25)
    ticks = [round(1 - i * step, 4) for i in range(int((1 - start) / step + 1e-9) + 1)]
    return start, ticks[::-1]
