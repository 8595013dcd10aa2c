"""What the gates turned away: how many, by which rule, of which classes, and what it looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from adaptgan.data.dataset import ShardDataset
from adaptgan.reporting.images import data_uri, sheet
from adaptgan.reporting.pairs import find_pairs

LOST = 1 / 3
"""A gate that rejects at least this share of a class ..."""
TIMES = 3
"""... and this many times the mean share of the other classes throws the class away."""
UNNAMED = "gate"
"""Stands for the gates of sets that do not say which gate rejected what."""


def turned_away(
    source: ShardDataset, adapted: ShardDataset | None, refused: ShardDataset | None, count: int, seed: int
) -> list[dict[str, Any]]:
    """One entry for each gate, in the order they were asked: its counts, thresholds, lost classes and examples.

    Args:
        source: what was translated.
        adapted: what the gates let through; its origin tells of them.
        refused: what they did not.
        count: examples of each gate.
        seed: decides which.
    """
    gates: Mapping[str, Any] = adapted.manifest.origin.get("gates", {}) if adapted is not None else {}
    rejected = _rejected(refused)
    found = []
    for name in dict.fromkeys([*gates, *rejected]):
        entry = gates.get(name, {})
        found.append(
            {
                "name": name,
                "passed": entry.get("passed"),
                "rejected": entry.get("rejected", len(rejected.get(name, []))),
                "share": entry.get("share"),
                "thresholds": entry.get("thresholds", {}),
                "by_class": entry.get("by_class", {}),
                "for": entry.get("for", []),
                "lost": thrown_away(entry.get("by_class", {})),
                "examples": _examples(source, refused, name, rejected.get(name, []), count, seed),
            }
        )
    return found


def thrown_away(by_class: Mapping[str, float]) -> list[dict[str, Any]]:
    """Classes that a gate throws away: `label`, `share` of it that is rejected, `rest`: the others' mean share.

    Args:
        by_class: the share of each class that the gate rejects.
    """
    found = []
    for name, share in by_class.items():
        others = [value for other, value in by_class.items() if other != name]
        rest = sum(others) / len(others) if others else 0.0
        if others and share >= LOST and share >= TIMES * rest:
            found.append({"label": name, "share": share, "rest": rest})
    return found


def _rejected(refused: ShardDataset | None) -> dict[str, list[int]]:
    """Numbers of the records that each gate rejected."""
    found: dict[str, list[int]] = {}
    if refused is not None:
        for number, content in enumerate(refused.reader.contents()):
            for name in content.get("provenance", {}).get("refused_by", [UNNAMED]):
                found.setdefault(name, []).append(number)
    return found


def _examples(
    source: ShardDataset, refused: ShardDataset | None, gate: str, numbers: list[int], count: int, seed: int
) -> list[dict[str, Any]]:
    if refused is None or not numbers:
        return []
    pairs = find_pairs(source, refused, count, seed, among=np.array(numbers))
    found = []
    for i, details in enumerate(pairs.details):
        scores = details.get("gate")
        found.append(
            {
                "before": data_uri(sheet(pairs.before_NCHW[i : i + 1], 1)),
                "after": data_uri(sheet(pairs.after_NCHW[i : i + 1], 1)),
                "label": pairs.labels[i],
                "key": pairs.keys[i],
                "reason": str(details.get("reason", "no reason was recorded")),
                "score": scores.get(gate) if isinstance(scores, Mapping) else None,
                "pixelated": source.info.width <= 64,
            }
        )
    return found
