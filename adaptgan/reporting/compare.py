"""The comparison of several runs, as text for a terminal, as Markdown, and as one page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adaptgan.metrics.spread import plus_minus
from adaptgan.reporting.formats import NOTHING, duration, join, number, percent, points
from adaptgan.reporting.page import render

Result = Mapping[str, Any]
"""What compare.json holds."""

_WIDTH = 188
_LEFT = 6


def summary(result: Result) -> str:
    """A few lines for a terminal."""
    lines = [headline(result)]
    for name, group in result["groups"].items():
        chosen = group["selection"]
        best = _best_row(group)
        lines.append(
            f"{name}: best row {best} {_accuracy(group['rows'][best]['accuracy'])}, chosen without labels "
            f"{_accuracy(chosen['accuracy'])}, source-only {_accuracy(chosen['source_only'])}, "
            f"oracle {_accuracy(chosen['oracle'])}"
            if best
            else f"{name}: no accuracies"
        )
    return "\n".join([*lines, *losses(result), *trust(result)])


def headline(result: Result) -> str:
    """The choice in one sentence."""
    chosen = result["selection"]
    if chosen["accuracy"] is None:
        return "What was selected has no accuracy in these runs"
    text = f"Chosen without labels: {percent(chosen['accuracy']['mean'])} on average"
    cost = chosen["regret"]["mean"]
    if cost < 0.0005:
        return f"{text}, as good as test labels would have chosen"
    return f"{text}; test labels would have chosen {percent(chosen['with_labels']['mean'])}"


def winners(result: Result) -> list[str]:
    """Which row is best where."""
    groups: dict[str, list[str]] = {}
    for name, group in result["groups"].items():
        if best := _best_row(group):
            groups.setdefault(best, []).append(name)
    return [
        f"{row} has the best mean accuracy on {join(names)}." if len(result["groups"]) > 1 else f"Best row: {row}."
        for row, names in groups.items()
    ]


def losses(result: Result) -> list[str]:
    """Rows that adaptation made worse than source-only, and choices that were: said, never averaged away."""
    runs, chosen = result["runs"], result["selection"]["below_source_only"]
    texts = [
        f"What was chosen lies below source-only in {len(chosen)} of {len(runs)} runs"
        + (f": {join(chosen)}." if chosen else ".")
    ]
    hurt = [
        f"{name} on {group_name} ({len(row['below_source_only'])} of {len(row['accuracy']['values'])})"
        for group_name, group in result["groups"].items()
        for name, row in group["rows"].items()
        if row["below_source_only"] and row["accuracy"]
    ]
    return [*texts, f"Below source-only: {join(hurt)}."] if hurt else texts


def trust(result: Result) -> list[str]:
    """How well the scores order candidates, the best, the worst and the mean rank named."""
    known = {name: entry for name, entry in result["validators"].items() if entry["spearman"] and name != "mean_rank"}
    texts = []
    combined = result["validators"].get("mean_rank")
    if combined and combined["spearman"]:
        texts.append(
            f"Over {_times(len(combined['spearman']['values']), 'run')}, the mean rank orders candidates as their true "
            f"accuracy does with ρ = {_rho(combined['spearman'])}."
        )
    if len(known) > 1:
        order = sorted(known, key=lambda name: -known[name]["spearman"]["mean"])
        texts.append(
            f"Of the single scores {order[0]} does best ({_rho(known[order[0]]['spearman'])}) and {order[-1]} worst "
            f"({_rho(known[order[-1]]['spearman'])})."
        )
    return texts


def _accuracy(value: Mapping[str, Any] | None) -> str:
    """`97.7 ± 0.2%`; one run has no ±."""
    return NOTHING if value is None else plus_minus(value["mean"], value["sd"], factor=100) + "%"


def markdown(result: Result, title: str) -> str:
    """All tables, for a README."""
    names = list(result["groups"])
    parts = [f"# {title}", headline(result) + ".", " ".join([*winners(result), *losses(result)])]
    if len(names) > 1:
        rows = [
            [
                _code(row),
                *(_accuracy((result["groups"][group]["rows"].get(row) or {}).get("accuracy")) for group in names),
            ]
            for row in _all_rows(result)
        ]
        parts += ["## Accuracy everywhere", _table(["row", *names], rows)]
    for name, group in result["groups"].items():
        parts += [f"## {name}", _group_table(group)]
    parts += ["## Choosing without labels", _selection_table(result)]
    if result["validators"]:
        parts += ["## How far to trust each score", " ".join(trust(result)), _validator_table(result)]
    parts.append(NOTE)
    return "\n\n".join(parts) + "\n"


NOTE = (
    "Accuracies are on held-out labelled images of the target, mean ± standard deviation over runs. ρ (Spearman) and τ "
    "(Kendall, τ-b) compare a label-free score with that accuracy over all rows and snapshots of one run, the oracle "
    "left out; 1 is the same order, 0 none, −1 the reverse. Regret is what the candidate with the highest score lacks "
    "to the best one, in points. The mean rank here is over all candidates, those too that selection had excluded."
)
"""What the figures mean, below them wherever they are shown."""


def _group_table(group: Mapping[str, Any]) -> str:
    lines = []
    for name, row in group["rows"].items():
        marks = [f"missing in {join(row['missing'])}"] if row["missing"] else []
        if row["below_source_only"]:
            marks.append(f"**below source-only** in {len(row['below_source_only'])}")
        marks += [f"{alarm} in {count}" for alarm, count in row["alarms"].items()]
        lines.append(
            [
                _code(name),
                _accuracy(row["accuracy"]),
                _mean(row["gain"], points),
                _mean(row["of_oracle"], percent),
                _mean(row["gap_closed"], lambda value: percent(value, 0).replace("-", "−")),
                "" if row["role"] == "oracle" else f"{len(row['selected'])} of {len(group['runs'])}",
                _mean(row["seconds"], duration),
                "; ".join(marks),
            ]
        )
    head = ["row", "accuracy", "vs. source-only", "of the oracle's", "gap closed", "selected", "training", ""]
    return _table(head, lines)


def _selection_table(result: Result) -> str:
    sets = {**{name: group["selection"] for name, group in result["groups"].items()}}
    if len(sets) > 1:
        sets["all"] = _without_spread(result["selection"])
    lines = [
        [
            name,
            _accuracy(chosen["source_only"]),
            _accuracy(chosen["accuracy"]),
            _accuracy(chosen["with_labels"]),
            _mean(chosen["regret"], lambda value: points(value).lstrip("+")),
            _accuracy(chosen["oracle"]),
            str(len(chosen["below_source_only"])),
        ]
        for name, chosen in sets.items()
    ]
    head = ["", "source-only", "chosen without labels", "chosen with test labels", "cost, points", "oracle"]
    return _table([*head, "runs below source-only"], lines)


def _validator_table(result: Result) -> str:
    groups = list(result["groups"]) if len(result["groups"]) > 1 else []
    lines = [
        [
            _code(name),
            _rho(entry["spearman"]),
            _rho(entry["kendall"]),
            _mean(entry["regret"], lambda value: points(value).lstrip("+")),
            _worst(entry["regret"]),
            *(_mean(entry["groups"][group]["spearman"], lambda value: plus_minus(value, None, 2)) for group in groups),
        ]
        for name, entry in result["validators"].items()
    ]
    return _table(["score", "ρ", "τ", "regret, mean", "worst", *(f"ρ, {group}" for group in groups)], lines)


def page(result: Result, title: str) -> str:
    """One self-contained page."""
    return render(
        {
            "title": title,
            "headline": headline(result),
            "leads": [" ".join(winners(result)), " ".join(losses(result)), " ".join(trust(result))],
            "groups": {name: _shown(group) for name, group in result["groups"].items()},
            "everywhere": _everywhere(result) if len(result["groups"]) > 1 else [],
            "selection": result["selection"],
            "overall": _without_spread(result["selection"]),
            "validators": {name: _score_shown(entry) for name, entry in result["validators"].items()},
            "runs": result["runs"],
            "rho_ticks": [(_rho_x(tick), number(tick, 0) if tick else "0") for tick in (-1.0, 0.0, 1.0)],
            "note": NOTE,
            "accuracy": _accuracy,
            "rho": _rho,
            "worst": _worst,
        },
        "compare.html.j2",
    )


def _shown(group: Mapping[str, Any]) -> dict[str, Any]:
    """A group's rows with the places of their dots, its ticks, and its two bounds as lines behind them."""
    chosen = group["selection"]
    start, ticks = _axis([group])

    def place(value: float) -> float:
        return round(_LEFT + _WIDTH * (max(value, start) - start) / (1 - start), 1)

    rows = {}
    for name, row in group["rows"].items():
        accuracy = row["accuracy"]
        dots = [] if accuracy is None else [(place(value), run, value) for run, value in accuracy["values"].items()]
        rows[name] = {**row, "dots": dots, "mean_x": place(accuracy["mean"]) if accuracy else None}
    bounds = {
        kind: place(chosen[key]["mean"])
        for kind, key in (("before", "source_only"), ("bound", "oracle"))
        if chosen[key] is not None
    }
    return {**group, "rows": rows, "bounds": bounds, "ticks": [(place(tick), percent(tick, 0)) for tick in ticks]}


def _without_spread(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Over several groups a standard deviation says how unlike they are, not how sure the mean is."""
    return {key: {**value, "sd": None} if isinstance(value, Mapping) else value for key, value in chosen.items()}


def _score_shown(entry: Mapping[str, Any]) -> dict[str, Any]:
    found = entry["spearman"]
    dots = [] if found is None else [(_rho_x(value), run, value) for run, value in found["values"].items()]
    return {**entry, "dots": dots, "mean_x": _rho_x(found["mean"]) if found else None}


def _rho_x(value: float) -> float:
    return round(_LEFT + _WIDTH * (value + 1) / 2, 1)


def _everywhere(result: Result) -> list[tuple[str, list[tuple[float | None, float, bool]]]]:
    """Row, and for each group its mean accuracy, a shade in [0, 1], and whether it lies below source-only."""
    start, _ = _axis(result["groups"].values())
    table = []
    for name in _all_rows(result):
        cells: list[tuple[float | None, float, bool]] = []
        for group in result["groups"].values():
            row = group["rows"].get(name)
            mean = row["accuracy"]["mean"] if row and row["accuracy"] else None
            below = bool(row and row["gain"] and row["gain"]["mean"] < 0)
            cells.append((mean, 0.0 if mean is None else max(0.0, (mean - start) / (1 - start)), below))
        table.append((name, cells))
    return table


def _all_rows(result: Result) -> list[str]:
    """Every row that some group has: baselines, then by the mean over groups, oracles last."""
    entries: dict[str, list[Mapping[str, Any]]] = {}
    for group in result["groups"].values():
        for name, row in group["rows"].items():
            entries.setdefault(name, []).append(row)

    def key(name: str) -> tuple[int, float]:
        means = [row["accuracy"]["mean"] for row in entries[name] if row["accuracy"]]
        place = {"baseline": 0, "oracle": 2}.get(entries[name][0]["role"], 1)
        return place, -sum(means) / len(means) if means else 0.0

    return sorted(entries, key=key)


def _best_row(group: Mapping[str, Any]) -> str | None:
    scored = {
        name: row["accuracy"]["mean"]
        for name, row in group["rows"].items()
        if row["role"] != "oracle" and row["accuracy"]
    }
    return max(scored, key=lambda name: scored[name]) if scored else None


def _axis(groups: Iterable[Mapping[str, Any]]) -> tuple[float, list[float]]:
    """Where the accuracy axis begins (it ends at 1), and its ticks."""
    values = [
        value
        for group in groups
        for row in group["rows"].values()
        if row["accuracy"]
        for value in row["accuracy"]["values"].values()
    ]
    start = min(0.95, max(0.0, math.floor((min(values, default=0.0) - 0.005) * 20) / 20))
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.25) if (1 - start) / s <= 5 or s == 0.25)
    return start, [round(1 - i * step, 4) for i in range(int((1 - start) / step + 1e-9) + 1)][::-1]


def _rho(value: Mapping[str, Any] | None) -> str:
    return NOTHING if value is None else plus_minus(value["mean"], value["sd"], 2)


def _worst(value: Mapping[str, Any] | None) -> str:
    return NOTHING if value is None else points(max(value["values"].values())).lstrip("+")


def _mean(value: Mapping[str, Any] | None, show: Any) -> str:
    return NOTHING if value is None else str(show(value["mean"]))


def _times(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _code(name: str) -> str:
    return f"`{name}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column to the left, the figures to the right."""
    lines = [list(head), ["---", *["---:"] * (len(head) - 1)], *(list(row) for row in rows)]
    if head[-1] == "":
        lines[1][-1] = "---"
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
