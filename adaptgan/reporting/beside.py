"""This run's table beside those of others: rows of the same name in one line, and what the adapted sets are like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adaptgan.reporting.entries import shown
from adaptgan.reporting.formats import NOTHING, count, join, number, percent, points

THIS = "this run"
"""What the page calls the run that it is about."""

Metrics = Mapping[str, Any]


def beside(this: Metrics, others: Mapping[str, Metrics]) -> dict[str, Any] | None:
    """What the section shows; None where there is no other run.

    Args:
        this: metrics.json of the run that the page is about.
        others: those of other runs, by name.

    Returns:
        `names` of the runs, this one first; `rows` of (name, cells) and `figures` of (title, texts), one cell for each
        run; `warnings`, sentences about what does not compare.
    """
    if not others:
        return None
    runs = {THIS: this, **others}
    return {
        "names": list(runs),
        "rows": [(name, [_cell(name, run, this) for run in runs.values()]) for name in _rows(list(runs.values()))],
        "figures": _figures(list(runs.values())),
        "warnings": _warnings(this, others),
    }


def _rows(runs: Sequence[Metrics]) -> list[str]:
    """All names: this run's order, then what only others have; oracles last. A selected snapshot counts as a row."""
    found = [shown(run) for run in runs]
    names = list(dict.fromkeys(name for rows in found for name in rows))
    return sorted(names, key=lambda name: any(rows.get(name, {}).get("role") == "oracle" for rows in found))


def _cell(name: str, run: Metrics, this: Metrics) -> dict[str, Any] | None:
    """A row of one run; None where it has no such row."""
    row = shown(run).get(name)
    if row is None:
        return None
    mine = shown(this).get(name, {}).get("accuracy")
    known = run is not this and mine is not None and row["accuracy"] is not None
    return {
        "accuracy": percent(row["accuracy"]),
        "interval": f"{percent(row['interval']['low'])} to {percent(row['interval']['high'])}"
        if row.get("interval")
        else "",
        "selected": name == run["selected"],
        "difference": points(row["accuracy"] - mine) if known else "",
        "method": row["method"],
        "learned_from": row["training_set"],
    }


def _figures(runs: Sequence[Metrics]) -> list[tuple[str, list[str]]]:
    """What was measured of the adapted sets; a figure that no run has is left out."""
    lines = {
        "images": [count(run["data"].get("adapted", {}).get("count")) for run in runs],
        "kept by the gate": [percent(_kept(run)) for run in runs],
        "label read by the judge": [percent(run.get("label_preservation")) for run in runs],
        "the same before the gate": [percent(run.get("label_preservation_before_gate")) for run in runs],
        "label read by the oracle": [percent((run.get("read_by_oracle") or {}).get("adapted")) for run in runs],
        "KID to real images": [_kid(_realism(run)) for run in runs],
        "KID in pixels (PCA)": [_kid(_realism(run).get("cross_check", {}).get("pixels", {})) for run in runs],
        "proxy A-distance": [number(_realism(run).get("a_distance"), 2) for run in runs],
    }
    return [(title, texts) for title, texts in lines.items() if set(texts) != {NOTHING}]


def _kept(run: Metrics) -> float | None:
    refused = run.get("quarantined")
    return None if refused is None else 1 - refused


def _realism(run: Metrics) -> Mapping[str, Any]:
    found: Mapping[str, Any] = run.get("realism", {}).get("adapted", {})
    return found


def _kid(values: Mapping[str, Any]) -> str:
    spread = f" ± {number(values['kid_std'], 4)}" if values.get("kid_std") is not None else ""
    return number(values.get("kid"), 4) + spread


def _warnings(this: Metrics, others: Mapping[str, Metrics]) -> list[str]:
    """Sets that the runs do not share, by their digests."""
    sentences = []
    for role, meaning in (
        ("test", "accuracies do not compare"),
        ("target", "KID and A-distance do not compare"),
        ("source", "rows began with different labelled images"),
    ):
        mine = this["data"].get(role, {}).get("digest")
        differing = [name for name, run in others.items() if run["data"].get(role, {}).get("digest") != mine]
        if differing:
            sentences.append(f"The {role} set of {join(differing)} is another than this run's: {meaning}.")
    return sentences
