from __future__ import annotations

import pytest

from adaptgan.reporting import formats


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
        (None, "–"),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert formats.duration(seconds) == shown


def test_numbers() -> None:
    assert formats.percent(0.96649) == "96.6%"
    assert formats.percent(None) == "–"
    assert formats.points(0.031) == "+3.1"
    assert formats.points(-0.031) == "−3.1"
    assert formats.number(-0.00312, 4) == "−0.0031"
    assert formats.count(19384) == "19\u202f384"
    assert [formats.join(list(names)) for names in ("", "a", "ab", "abc")] == ["none", "a", "a and b", "a, b and c"]
