"""Read-outs pooled to readings, and conditions that must last: what all watchdogs share. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SHORTEST = 200
"""Steps below which a training is a trial, and no alarm is raised."""
BLOCK = 0.05
"""Share of the training that a reading spans at least; shorter read-outs are pooled: a batch alone is mostly noise."""


class Stretch:
    """Whether something has held without a break for long enough.

    Args:
        after: progress before which nothing counts.
        long: a stretch of this share of the training is enough, wherever it lies.
        end: so is this one, at the very end.
    """

    def __init__(self, after: float, long: float, end: float) -> None:
        self.after, self.long, self.end = after, long, end
        self.since: float | None = None

    def lasted(self, first: float, last: float, holds: bool) -> bool:
        """Take in whether it held between two points of progress, in [0, 1]; whether that makes it long enough."""
        if first < self.after - 1e-9 or not holds:
            self.since = None
            return False
        self.since = first if self.since is None else self.since
        needed = self.end if last >= 1.0 else self.long
        return last - self.since >= needed - 1e-9


@dataclass
class Pool:
    """Gathers read-outs until they span a block.

    Attributes:
        steps: of the whole training.
        begin: the step at which the present block begins.
    """

    steps: int
    begin: int = 0
    _sums: dict[str, tuple[float, int]] = field(default_factory=dict)

    def add(self, step: int, span: int, values: Mapping[str, float]) -> tuple[float, float, dict[str, float]] | None:
        """Take in the means of the `span` steps before `step`.

        Returns:
            When a block is full: its first and last point of progress, and each name's mean where it was read.
        """
        for name, value in values.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + value * span, count + span)
        if step - self.begin < BLOCK * self.steps - 1e-9 and step < self.steps:
            return None
        means = {name: total / count for name, (total, count) in self._sums.items()}
        block = (self.begin / self.steps, step / self.steps, means)
        self._sums, self.begin = {}, step
        return block


def largest_plausible(classes: int) -> float:
    """Half-way between an even split over K classes and all in one: 0.55 for 10, 0.75 for 2.

    The largest share in a batch lies above 1/K by chance (0.16 of 64 even predictions over 10 classes), far below this.
    """
    even = 1 / classes
    return even + (1 - even) / 2
