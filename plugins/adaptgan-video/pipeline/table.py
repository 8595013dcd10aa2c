"""The tables of this recipe, from the numbers that `adaptgan video-scores` wrote for each way to learn and seed.

    python plugins/adaptgan-video/pipeline/table.py --scores reports/video/scores --runs reports/video/runs \
        --out reports/video/results.json

Writes the means and deviations over seeds to `--out` and the tables beside it as `.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adaptgan.files import read_json
from adaptgan.metrics.spread import plus_minus, summary
from adaptgan.reporting.results import write_results

TABLES = {
    "People who were never seen": {
        ("fomm", "made"): "`fomm`",
        ("fomm", "copied"): "*a copy of the first frame, or of its joints*",
        ("fomm", "mean"): "*the joints' mean places*",
    },
    "Dances that were never seen": {
        ("smoothed", "made"): "`pose_to_frame`",
        ("smoothed", "first"): "the same, every frame made as a first one",
        ("single", "made"): "`pose_to_frame`, `smoothing: false`",
    },
}
"""Title → rows: which training and which row of its scores, and what the table calls it."""

COLUMNS = {"l1": ("L1", 4), "tracking": ("tracking error (pixels)", 2), "flicker": ("flicker", 4)}


def tables(results: dict[str, Any]) -> str:
    """All of them, in Markdown."""
    return "\n".join(table(title, results[title]) for title in TABLES)


def collect(scores: Path, runs: Path) -> dict[str, Any]:
    """`title → row → column`: `mean`, `std` and `values` over seeds; `seconds` of the training, too."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for path in sorted(scores.glob("*.json")):
        way, _, seed = path.stem.rpartition("_")
        found.setdefault(way, []).append((seed, read_json(path)["rows"]))
    results: dict[str, Any] = {}
    for title, wanted in TABLES.items():
        results[title] = {}
        for (way, row), called in wanted.items():
            numbers = {
                name: summary([one[row][name] for _, one in found[way]])
                for name in COLUMNS
                if all(name in one[row] for _, one in found[way])
            }
            if row == "made":
                timings = [read_json(runs / way / seed / "timing.json")["seconds"] for seed, _ in found[way]]
                numbers["seconds"] = summary(timings)
            results[title][called] = numbers
    return results


def table(title: str, rows: dict[str, Any]) -> str:
    """One table, in Markdown."""
    shown = {name: head for name, head in COLUMNS.items() if any(name in row for row in rows.values())}
    lines = [
        f"| {title} | {' | '.join(head for head, _ in shown.values())} | seconds |",
        "|---" * (len(shown) + 2) + "|",
    ]
    for called, row in rows.items():
        cells = [cell(row[name], digits) if name in row else "–" for name, (_, digits) in shown.items()]
        seconds = f"{row['seconds']['mean']:.0f}" if "seconds" in row else "–"
        lines.append(f"| {' | '.join([called, *cells])} | {seconds} |")
    return "\n".join(lines) + "\n"


def cell(numbers: dict[str, Any], digits: int) -> str:
    """`0.0213 ± 0.0004`; what is the same for all seeds has no ±."""
    return plus_minus(numbers["mean"], numbers["std"] or None, digits)


if __name__ == "__main__":
    write_results(__doc__, ("scores", "runs"), collect, tables)
