"""When a gate throws a class away."""

from __future__ import annotations

import pytest

from adaptgan.reporting.turned_away import thrown_away


@pytest.mark.parametrize(
    ("by_class", "lost"),
    [
        ({"a": 0.5, "b": 0.0, "c": 0.1}, ["a"]),
        ({"a": 0.5, "b": 0.4, "c": 0.6}, []),  # it rejects everything alike
        ({"a": 0.2, "b": 0.0, "c": 0.0}, []),  # most of the class is left
        ({"a": 0.9, "b": 0.9, "c": 0.0, "d": 0.0, "e": 0.0, "f": 0.0}, ["a", "b"]),
        ({"a": 1.0}, []),  # there are no others
        ({}, []),
    ],
)
def test_lost_classes(by_class: dict[str, float], lost: list[str]) -> None:
    found = thrown_away(by_class)
    assert [entry["label"] for entry in found] == lost
    for entry in found:
        others = [share for name, share in by_class.items() if name != entry["label"]]
        assert entry["rest"] == pytest.approx(sum(others) / len(others))
        assert entry["share"] == by_class[entry["label"]]
