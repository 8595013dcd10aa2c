from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from adaptgan.errors import DataError
from adaptgan.reporting.feature_map import MARGIN, RADIUS, SIDE, panels

DRAWN = {
    "classes": ["a", "b", "never seen"],
    "panels": [
        {
            "row": "source",
            "training_set": "source",
            "source": {"points": [[0.0, 0.0], [1.0, 1.0]], "classes": [0, 1]},
            "target": {"points": [[0.5, 0.5], [0.5, 1.0], [0.5, 0.0]], "classes": [0, 0, 0]},
        }
    ],
}


def test_points_lie_where_they_were_placed(tmp_path: Path) -> None:
    path = tmp_path / "feature_map.json"
    path.write_text(json.dumps(DRAWN))
    (panel,) = panels(path)
    assert (panel.row, panel.training_set, panel.counts) == ("source", "source", (2, 3))
    a, b = panel.groups  # a class without points is left out
    low, middle, high = MARGIN, SIDE / 2, SIDE - MARGIN
    # y grows downwards: the point (0, 0) is at the bottom left.
    assert re.findall(r"M([\d.]+),([\d.]+)a", a.source) == [(f"{low - RADIUS:.1f}", f"{high:.1f}")]
    assert re.findall(r"M([\d.]+),([\d.]+)a", b.source) == [(f"{high - RADIUS:.1f}", f"{low:.1f}")]
    spots = [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+),([\d.]+)h0", a.target)]
    assert spots == [(middle, middle), (middle, low), (middle, high)]
    assert a.label == (middle, middle)
    assert b.label == (high, low)  # no target image is predicted as b: its name stands at its source points
    assert (a.hue, b.hue, a.odd, b.odd) == (0, 120, False, True)


def test_none_was_drawn(tmp_path: Path) -> None:
    assert panels(tmp_path / "feature_map.json") == []


@pytest.mark.parametrize("damage", ["{}", '{"classes": [], "panels": [{}]}', "[1]"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "feature_map.json"
    path.write_text(damage)
    with pytest.raises(DataError, match=r"feature_map\.json: this is no feature map"):
        panels(path)
