from __future__ import annotations

from typing import Any

import pytest

from adaptgan.reporting.entries import alarms, alarms_of_trainings, chosen, entries, learned_from, shown

ROW = {"role": "candidate", "training_set": "source", "uses_target": False, "labelled": None, "alarms": []}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "source"),
        ({"uses_target": True}, "source, target"),
        ({"labelled": 100, "uses_target": True}, "source, target, 100 labelled target images"),
        ({"labelled": 1}, "source, 1 labelled target image"),
        ({"labelled": 0}, "source, labelled target images"),
        ({"labelled": 20, "training_set": "labelled"}, "20 labelled target images"),
        ({"role": "oracle", "training_set": "target"}, "target labels"),
    ],
)
def test_what_a_row_learned_from(changes: dict[str, Any], says: str) -> None:
    assert learned_from(ROW | changes) == says


def test_alarms_of_rows_and_of_the_selected_snapshot() -> None:
    def alarm(message: str) -> dict[str, Any]:
        return {"alarms": [{"step": 5, "alarm": "a", "message": message}]}

    metrics = {
        "rows": {"source": ROW, "x": ROW | alarm("It fell. What usually helps: more `steps`."), "oracle": ROW},
        "snapshots": {
            "x@1": ROW | alarm("Bad.") | {"snapshot_of": "x"},
            "x@2": ROW | alarm("Worse.") | {"snapshot_of": "x"},
        },
        "selected": "x@2",
    }
    assert list(entries(metrics)) == ["source", "x", "oracle", "x@1", "x@2"]
    assert list(shown(metrics)) == ["source", "x", "x@2", "oracle"]
    assert chosen(metrics)["alarms"][0]["message"] == "Worse."
    assert alarms(metrics) == [
        {"row": "x", "step": 5, "alarm": "a", "message": "It fell.", "helps": "more `steps`."},
        {"row": "x@2", "step": 5, "alarm": "a", "message": "Worse.", "helps": ""},
    ]


def test_alarms_of_trainings_are_those_that_no_row_has() -> None:
    known = {"step": 5, "alarm": "a", "message": "Bad. What usually helps: more."}
    metrics = {"rows": {"x": ROW | {"alarms": [known]}}, "selected": "x"}
    raised = {"generator": [{"step": 7, "alarm": "a", "message": "Bad. What usually helps: more."}], "task.x": [known]}
    assert alarms_of_trainings(raised, alarms(metrics)) == [
        {"row": "generator", "step": 7, "alarm": "a", "message": "Bad.", "helps": "more."}
    ]
    assert alarms_of_trainings({}, alarms(metrics)) == []
