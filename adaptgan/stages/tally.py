"""What each gate let through, and whether it throws away one class."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from adaptgan.errors import AdaptganWarning
from adaptgan.reporting.turned_away import thrown_away

MOVES = 0.5
"""A translator of which fewer images than this pass the check of places moves pixels, whatever it says."""


class Tally:
    """Counts records as they pass by.

    Args:
        thresholds: of each gate, by its name; all gates are in it.
        classes: class names that labels index.
        added: gates that were added to those asked for, with the annotations that they are for.
    """

    def __init__(
        self,
        thresholds: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
        classes: Sequence[str] = (),
        added: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.thresholds, self.classes, self.added = thresholds, classes, added or {}
        self.made: Counter[int | None] = Counter()
        self.rejected: dict[str, Counter[int | None]] = {name: Counter() for name in thresholds}

    def see(self, label: int | None, provenance: Mapping[str, Any]) -> None:
        """Count one record, kept or rejected."""
        self.made[label] += 1
        for name in provenance.get("refused_by", []):
            self.rejected[name][label] += 1

    def gates(self) -> dict[str, dict[str, Any]]:
        """By gate: images `passed` and `rejected`, the `share` that passed, and its `thresholds`.

        Where labels are known, further the share rejected `by_class`; `for` names the annotations it was added for.
        """
        made = self.made.total()
        found: dict[str, dict[str, Any]] = {}
        for name, rejected in self.rejected.items():
            entry: dict[str, Any] = {
                "passed": made - rejected.total(),
                "rejected": rejected.total(),
                "share": round(1 - rejected.total() / max(1, made), 6),
                "thresholds": {option: round(value, 6) for option, value in self.thresholds[name].items()},
            }
            if by_class := self._by_class(rejected):
                entry["by_class"] = by_class
            if name in self.added:
                entry["for"] = list(self.added[name])
            found[name] = entry
        return found

    def _by_class(self, rejected: Counter[int | None]) -> dict[str, float]:
        return {
            name: round(rejected[label] / self.made[label], 6)
            for label, name in enumerate(self.classes)
            if self.made[label]
        }


def headline(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers for the tracker: all counts, and of each gate the share that passed and its thresholds."""
    kept = {name: value for name, value in counts.items() if name not in ("reasons", "gates")}
    gates = {
        name: {option: entry[option] for option in ("share", "thresholds")} for name, entry in counts["gates"].items()
    }
    return kept | ({"gates": gates} if gates else {})


def warn_of(gates: Mapping[str, Mapping[str, Any]]) -> None:
    """Warn of classes that a gate throws away, and of a translator that moves what it claims to leave in place."""
    lost = [(gate, found) for gate, entry in gates.items() for found in thrown_away(entry.get("by_class", {}))]
    for gate, found in lost:
        warnings.warn(
            f"The gate {gate} rejects {100 * found['share']:.0f}% of the class {found['label']!r} and "
            f"{100 * found['rest']:.0f}% of the others: the new set has few of them. Look at the rejected ones: "
            "either the translator turns this class into another, or the gate misjudges it.",
            AdaptganWarning,
            stacklevel=2,
        )
    for gate, entry in gates.items():
        if "for" in entry and entry["share"] < MOVES:
            warnings.warn(
                f"The translator says that it moves no pixels, and {gate} rejects {100 * (1 - entry['share']):.0f}% of "
                f"its images: {', '.join(entry['for'])} may be wrong on those that passed, too.",
                AdaptganWarning,
                stacklevel=2,
            )
