"""Two runs' numbers in one table, written out by hand."""

from __future__ import annotations

import copy
from typing import Any

from adaptgan.reporting.beside import beside


def row(accuracy: float | None, role: str = "candidate", **more: Any) -> dict[str, Any]:
    interval = None if accuracy is None else {"low": accuracy - 0.01, "high": accuracy + 0.01}
    return {
        "accuracy": accuracy,
        "interval": interval,
        "role": role,
        "method": "supervised",
        "training_set": "source",
        **more,
    }


RUN: dict[str, Any] = {
    "rows": {"source": row(0.8, "baseline"), "adapted": row(0.9), "oracle": row(0.99, "oracle")},
    "selected": "adapted",
    "quarantined": 0.25,
    "label_preservation": 0.95,
    "label_preservation_before_gate": None,
    "read_by_oracle": {"source": 0.9, "adapted": 0.875},
    "realism": {"adapted": {"kid": 0.125, "kid_std": 0.0625, "a_distance": 1.5, "cross_check": {}}},
    "data": {"adapted": {"count": 1500, "digest": "a"}, "test": {"digest": "t"}, "source": {"digest": "s"}},
}


def other(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(RUN), **changes}


def test_alone_there_is_nothing_to_show() -> None:
    assert beside(RUN, {}) is None


def test_rows_of_the_same_name_share_a_line() -> None:
    found = beside(RUN, {"x": other(rows={"source": row(0.8), "new": row(0.7), "adapted": row(0.935)})})
    assert found is not None and found["names"] == ["this run", "x"]
    assert [name for name, _ in found["rows"]] == ["source", "adapted", "new", "oracle"]
    cells = dict(found["rows"])
    assert [cell["accuracy"] for cell in cells["adapted"]] == ["90.0%", "93.5%"]
    assert [cell["difference"] for cell in cells["adapted"]] == ["", "+3.5"]
    assert [cell["interval"] for cell in cells["adapted"]] == ["89.0% to 91.0%", "92.5% to 94.5%"]
    assert [cell["selected"] for cell in cells["adapted"]] == [True, True]
    assert cells["new"][0] is None and cells["new"][1]["difference"] == ""
    assert cells["oracle"][1] is None
    assert found["warnings"] == []


def test_a_selected_snapshot_has_a_line_of_its_own() -> None:
    snapshot = row(0.96, snapshot_of="adapted")
    found = beside(RUN, {"x": other(snapshots={"adapted@9": snapshot}, selected="adapted@9")})
    assert found is not None
    cells = dict(found["rows"])
    assert cells["adapted@9"][0] is None and cells["adapted@9"][1]["selected"]
    assert cells["adapted"][0]["selected"] and not cells["adapted"][1]["selected"]


def test_figures_of_the_adapted_sets() -> None:
    bare = other(
        quarantined=None, label_preservation=None, read_by_oracle={}, realism={}, data={"test": {"digest": "t"}}
    )
    bare["data"] = {"test": {"digest": "t"}, "source": {"digest": "s"}}
    found = beside(RUN, {"bare": bare})
    assert found is not None
    assert found["figures"] == [
        ("images", ["1\u202f500", "–"]),
        ("kept by the gate", ["75.0%", "–"]),
        ("label read by the judge", ["95.0%", "–"]),
        ("label read by the oracle", ["87.5%", "–"]),
        ("KID to real images", ["0.1250 ± 0.0625", "–"]),
        ("proxy A-distance", ["1.50", "–"]),
    ]


def test_accuracies_that_nobody_measured() -> None:
    rows = {"source": row(None), "adapted": row(None)}
    found = beside(other(rows=rows), {"x": other(rows=rows)})
    assert found is not None
    assert dict(found["rows"])["adapted"][1]["accuracy"] == "–"
    assert dict(found["rows"])["adapted"][1]["difference"] == ""


def test_sets_that_differ_are_named() -> None:
    changed = other(data={**RUN["data"], "test": {"digest": "another"}})
    found = beside(RUN, {"x": changed, "y": RUN, "z": changed})
    assert found is not None
    assert found["warnings"] == ["The test set of x and z is another than this run's: accuracies do not compare."]
