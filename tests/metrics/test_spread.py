"""Means and deviations worked out by hand, and how they read."""

from __future__ import annotations

import math

import numpy as np
import pytest

from adaptgan.metrics.spread import mean_std, plus_minus, spread, summary


def test_spread() -> None:
    three = spread([1.0, None, 2.0, 6.0])
    assert three is not None
    assert (three.mean, three.values) == (3.0, (1.0, 2.0, 6.0))
    assert three.sd == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    one = spread([0.5])
    assert one is not None
    assert one.sd is None
    assert spread([None]) is None


def test_for_a_results_file() -> None:
    values = [97.2, 98.4, 97.9, 96.0]
    found = mean_std(value for value in values)
    assert found["mean"] == pytest.approx(np.mean(values))
    assert found["std"] == pytest.approx(np.std(values, ddof=1))
    assert mean_std([8]) == {"mean": 8.0, "std": None}
    assert mean_std([]) == mean_std([None]) == {"mean": None, "std": None}
    assert summary((2.0, None, 4.0)) == {"mean": 3.0, "std": pytest.approx(2**0.5), "values": [2.0, None, 4.0]}


@pytest.mark.parametrize(
    ("mean", "sd", "options", "text"),
    [
        (97.84, 0.46, {}, "97.8 ± 0.5"),
        (97.84, None, {}, "97.8"),
        (97.84, 0.0, {}, "97.8 ± 0.0"),
        (None, None, {}, "–"),
        (0.9784, 0.0046, {"factor": 100}, "97.8 ± 0.5"),
        (0.9784, 0.0046, {"digits": 3}, "0.978 ± 0.005"),
        (-0.0051, 0.0004, {"digits": 3}, "−0.005 ± 0.000"),
        (-0.0004, 0.02, {"digits": 2}, "0.00 ± 0.02"),
        (131.77, 9.33, {"digits": 0}, "132 ± 9"),
    ],
)
def test_how_it_reads(mean: float | None, sd: float | None, options: dict[str, int], text: str) -> None:
    assert plus_minus(mean, sd, **options) == text
