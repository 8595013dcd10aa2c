"""What `evaluate` says at its end: a short table, and flat numbers for the tracker."""

from __future__ import annotations

import sys
from typing import Any

from adaptgan.reporting.entries import alarms, chosen, learned_from, shown


def headline(result: dict[str, Any]) -> dict[str, float | str]:
    """The numbers of metrics.json that matter most, flat; what was not measured is left out."""
    numbers: dict[str, float | str | None] = {"selected": result["selected"], "gap_closed": result["gap_closed"]}
    for name, row in result["rows"].items():
        numbers[f"accuracy/{name}"] = row["accuracy"]
    numbers["accuracy/selected"] = chosen(result)["accuracy"]
    choice = result["oracle_choice"]
    numbers["regret"] = choice["regret"] if choice else None
    for entry in alarms(result):
        name = f"alarms/{entry['row'].replace('@', '-')}"  # MLflow takes no @ in names
        numbers[name] = f"{numbers[name]}, {entry['alarm']}" if name in numbers else entry["alarm"]
    numbers["label_preservation"] = result["label_preservation"]
    numbers["quarantined"] = result["quarantined"]
    for name, values in result["realism"].items():
        for metric in ("kid", "a_distance", *result["realism_numbers"]):
            numbers[f"{metric}/{name}"] = values.get(metric)
    return {name: value for name, value in numbers.items() if value is not None}


def print_summary(result: dict[str, Any]) -> None:
    """A short table of all rows, and a line for each alarm, the choice, the gap, the labels and realism."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("row", "method", "trained on"):
        table.add_column(title, no_wrap=True)
    for title in ("accuracy", "95%", "A-dist.", "rank"):
        table.add_column(title, no_wrap=True, justify="right")
    for name, row in shown(result).items():
        span = row["interval"]
        table.add_row(
            name,
            row["method"],
            learned_from(row),
            _percent(row["accuracy"]),
            f"{100 * span['low']:.1f}–{100 * span['high']:.1f}" if span else "",
            _number(row["a_distance"]),
            "excluded" if name in result["selection"]["excluded"] else _number(row["mean_rank"]),
            style="bold" if name == result["selected"] else None,
        )
    width = None if sys.stdout.isatty() else 120  # a pipe has no width, and the table no room in 80 columns
    console = Console(highlight=False, soft_wrap=True, width=width)
    console.print(table)
    for entry in alarms(result):
        console.print(f"alarm: {entry['row']}: {entry['alarm']}: {entry['message']}", markup=False)
    console.print(f"selected: {result['selected']}, by {_chosen_by(result)}")
    if choice := result["oracle_choice"]:
        agrees = f"{100 * choice['regret']:.1f} points above the selected one" if choice["regret"] > 0 else "the same"
        console.print(f"what test labels would have chosen: {choice['row']}, {_percent(choice['accuracy'])}, {agrees}")
    console.print(f"gap closed: {_percent(result['gap_closed'])}")
    if result["label_preservation"] is not None:
        console.print(f"labels kept in adapted images: {_percent(result['label_preservation'])}")
    distances = [f"{name} {values['kid']:.4f}" for name, values in result["realism"].items() if "kid" in values]
    if distances:
        console.print(f"KID to real: {', '.join(distances)}")
    for number, said in result["realism_numbers"].items():
        measured = [f"{name} {values[number]:.3g}" for name, values in result["realism"].items() if number in values]
        console.print(f"{number.replace('_', ' ')}: {', '.join(measured)} ({said})", markup=False)


def _chosen_by(result: dict[str, Any]) -> str:
    names = result["selection"]["validators"]
    if not names:
        return "default: no validator has a score for every row, so the baseline stays"
    return f"the best mean rank over {', '.join(names)}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{100 * value:.1f}%"
