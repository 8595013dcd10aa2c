"""The table of this recipe, from the numbers that `adaptgan fidelity` wrote for each way to learn and seed.

    python pipelines/pix2pix_edges/table.py --fidelity reports/pix2pix_edges/fidelity \
        --runs reports/pix2pix_edges/runs --out reports/pix2pix_edges/results.json

Writes the means and deviations over seeds to `--out` and the table beside it as `.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adaptgan.files import read_json
from adaptgan.metrics.spread import mean_std, plus_minus, summary
from adaptgan.reporting.results import write_results

COLUMNS = {
    "l1": ("L1", 4),
    "psnr": ("PSNR", 2),
    "ssim": ("SSIM", 3),
    "kid": ("KID", 3),
    "accuracy": ("accuracy", 3),
}
BASELINES = {"input": "*the edges themselves*", "truth": "*the true images*"}
"""Rows that no training changes; only KID, of random subsets, differs a little between seeds."""


def collect(fidelity: Path, runs: Path) -> dict[str, Any]:
    """`rows[method]`: the `mean`, `std` and `values` over seeds of each number, and seconds; best accuracy first."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for path in sorted(fidelity.glob("*.json")):
        method, _, seed = path.stem.rpartition("_")
        found.setdefault(method, []).append((seed, read_json(path)))
    rows: dict[str, Any] = {}
    for method, measured in found.items():
        rows[method] = {name: summary([one["rows"]["made"][name] for _, one in measured]) for name in COLUMNS}
        timings = [read_json(runs / method / seed / "timing.json") for seed, _ in measured]
        rows[method]["seconds"] = summary([timing["seconds"] for timing in timings])
    every = [one for measured in found.values() for _, one in measured]
    order = sorted(rows, key=lambda method: -rows[method]["accuracy"]["mean"])
    return {
        "images": every[0]["images"],
        "rows": {method: rows[method] for method in order},
        "baselines": {
            name: {key: mean_std(one["rows"][name].get(key) for one in every)["mean"] for key in COLUMNS}
            for name in BASELINES
        },
    }


def table(results: dict[str, Any]) -> str:
    """The table, in Markdown."""
    titles = [title for title, _ in COLUMNS.values()]
    lines = [f"| | {' | '.join(titles)} | seconds |", "|---" * (len(titles) + 2) + "|"]
    for method, row in results["rows"].items():
        cells = [plus_minus(row[name]["mean"], row[name]["std"], digits) for name, (_, digits) in COLUMNS.items()]
        lines.append(f"| {' | '.join([f'`{method}`', *cells])} | {row['seconds']['mean']:.0f} |")
    for name, row in results["baselines"].items():
        cells = [f"{row[key]:.{digits}f}" if row[key] is not None else "–" for key, (_, digits) in COLUMNS.items()]
        lines.append(f"| {' | '.join([BASELINES[name], *cells])} | – |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_results(__doc__, ("fidelity", "runs"), collect, table)
