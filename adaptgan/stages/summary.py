"""What `evaluate` says at its end: a short table, and flat numbers for the tracker."""

from __future__ import annotations

from typing import Any


def headline(result: dict[str, Any]) -> dict[str, float | str]:
    """The numbers of metrics.json that matter most, flat; what was not measured is left out."""
    numbers: dict[str, float | str | None] = {"selected": result["selected"], "gap_closed": result["gap_closed"]}
    for name, row in result["rows"].items():
        numbers[f"accuracy/{name}"] = row["accuracy"]
    numbers["accuracy/selected"] = result["rows"][result["selected"]]["accuracy"]
    numbers["label_preservation"] = result["label_preservation"]
    numbers["quarantined"] = result["quarantined"]
    for name, values in result["realism"].items():
        for metric in ("kid", "a_distance"):
            numbers[f"{metric}/{name}"] = values.get(metric)
    return {name: value for name, value in numbers.items() if value is not None}


def print_summary(result: dict[str, Any]) -> None:
    """A short table of all rows, and one line each for the gap, the labels and realism."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, side in (
        ("row", "left"),
        ("method", "left"),
        ("trained on", "left"),
        ("accuracy", "right"),
        ("95% interval", "right"),
        ("mean rank", "right"),
        ("seconds", "right"),
        ("", "left"),
    ):
        table.add_column(title, justify=side, no_wrap=True)  # type: ignore[arg-type]
    for name, row in result["rows"].items():
        span = row["interval"]
        mark = "selected" if name == result["selected"] else row["role"] if row["role"] != "candidate" else ""
        table.add_row(
            name,
            row["method"],
            row["training_set"] + (" + target images" if row["uses_target"] else ""),
            _percent(row["accuracy"]),
            f"{_percent(span['low'])} to {_percent(span['high'])}" if span else "",
            "" if row["mean_rank"] is None else f"{row['mean_rank']:.2f}",
            "" if row["seconds"] is None else f"{row['seconds']:.0f}",
            mark,
            style="bold" if name == result["selected"] else None,
        )
    console = Console(highlight=False, width=None)
    console.print(table)
    console.print(f"gap closed: {_percent(result['gap_closed'])}, chosen by {_chosen_by(result)}")
    if result["label_preservation"] is not None:
        console.print(f"labels kept in adapted images: {_percent(result['label_preservation'])}")
    distances = [f"{name} {values['kid']:.4f}" for name, values in result["realism"].items() if "kid" in values]
    if distances:
        console.print(f"KID to real: {', '.join(distances)}")


def _chosen_by(result: dict[str, Any]) -> str:
    names = result["selection"]["validators"]
    return ", ".join(names) if names else "nothing: no validator has a score for every row, so the baseline stays"


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{100 * value:.1f}%"
