from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from adaptgan.errors import DataError
from adaptgan.reporting.charts import HEIGHT, WIDTH, axis, curves, thin


def write(path: Path, *losses: dict[str, float]) -> Path:
    path.write_text(
        "".join(json.dumps({"step": 10 * i, "seconds": i, "losses": loss}) + "\n" for i, loss in enumerate(losses))
    )
    return path


def test_a_curve_spans_its_box(tmp_path: Path) -> None:
    (curve,) = curves(write(tmp_path / "l", {"d/adv": 4.0}, {"d/adv": 1.0}, {"d/adv": 2.0}))
    spots = [tuple(map(float, spot.split(","))) for spot in re.split("[ML]", curve.path)[1:]]
    # Largest at the top (y grows downwards), smallest at the bottom, steps evenly over the width.
    assert spots == [(0, 0), (WIDTH / 2, HEIGHT), (WIDTH, pytest.approx(HEIGHT * 2 / 3, abs=0.05))]
    assert (curve.low, curve.high, curve.last) == ("1", "4", "2")


def test_terms_may_come_and_go(tmp_path: Path) -> None:
    found = curves(write(tmp_path / "l", {"a": 1.0}, {"a": 1.0, "b": 2.0}, {"b": 3.0}))
    assert [(c.name, c.steps) for c in found] == [("a", [0, 10]), ("b", [10, 20])]


def test_a_flat_curve_is_in_the_middle(tmp_path: Path) -> None:
    (curve,) = curves(write(tmp_path / "l", {"a": 1.0}, {"a": 1.0}))
    assert curve.path == f"M0.0,{HEIGHT / 2}L{WIDTH:.1f},{HEIGHT / 2}"


def test_a_cut_last_line_is_passed_over_and_no_other(tmp_path: Path) -> None:
    path = write(tmp_path / "l", {"a": 1.0}, {"a": 2.0})
    path.write_text(path.read_text() + '{"step": 20, "los')
    assert curves(path)[0].steps == [0, 10]
    path.write_text('{"step"\n' + path.read_text())
    with pytest.raises(DataError, match="line 1"):
        curves(path)


def test_thinning_keeps_means_and_the_end() -> None:
    points = [(i, float(i % 7)) for i in range(1000)]
    thinned = thin(points, 50)
    assert len(thinned) == 50
    assert thinned[-1][0] == 999
    assert sum(value for _, value in thinned) / 50 == pytest.approx(sum(value for _, value in points) / 1000)
    assert thin(points[:20], 50) == points[:20]


@pytest.mark.parametrize("low", [0.0, 0.31, 0.76, 0.93, 0.999])
def test_the_axis_holds_every_interval_and_ends_at_one(low: float) -> None:
    start, ticks = axis({"source": {"interval": {"low": low, "high": 1.0}}, "none": {"interval": None}})
    assert 0 <= start <= low
    assert ticks[-1] == 1.0
    assert start - 1e-9 <= ticks[0]
    assert 2 <= len(ticks) <= 7
