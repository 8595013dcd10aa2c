"""The table and the figure of one kind of images, from what `adaptgan fidelity` wrote for each method and seed.

    python pipelines/superres/table.py --fidelity reports/superres/digits --runs reports/superres/runs/digits \
        --out reports/superres/digits.json --figure reports/superres/digits.png

Writes means and deviations over seeds to `--out`, the table beside it as `.md`, and images of every method side by side
to `--figure`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from adaptgan.files import read_json, write_atomic, write_json
from adaptgan.metrics.spread import mean_std, plus_minus

ROWS = {
    "nearest": "nearest neighbour",
    "bicubic": "bicubic",
    "srresnet": "SRResNet",
    "srgan": "SRGAN",
    "srgan_guard": "SRGAN, features of a classifier",
    "truth": "*the truth*",
}
COLUMNS: dict[str, tuple[str, int, float]] = {
    "psnr": ("PSNR, dB", 2, 1),
    "ssim": ("SSIM", 3, 1),
    "kid": ("KID", 3, 1),
    "accuracy": ("accuracy, %", 1, 100),
}
"""Of the table: title, digits, factor."""

TITLE, GAP = 20, 6
"""Pixels of the figure's titles, and between its columns."""


def main() -> None:
    """Read, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("fidelity", "runs", "out", "figure"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    results = collect(options.fidelity, options.runs)
    write_json(options.out, results)
    text = table(results)
    write_atomic(options.out.with_suffix(".md"), text)
    sys.stdout.write(text)
    figure(options.fidelity, [name for name in ROWS if name in results["rows"] or name == "truth"]).save(options.figure)


def collect(fidelity: Path, runs: Path) -> dict[str, Any]:
    """`rows[name]`: `mean` and `std` over seeds of each number, and what the training took."""
    values: dict[str, dict[str, list[float | None]]] = {}
    images = 0
    for path in sorted(fidelity.glob("*.json")):
        method = path.stem.rpartition("_")[0]
        result = read_json(path)
        images = result["images"]
        for row, numbers in result["rows"].items():
            name = method if row == "made" else row
            # What no method had a hand in (bicubic, the truth) is the same in every file: once is enough.
            if row == "made" or name not in values:
                for key in COLUMNS.keys() & numbers.keys():
                    # Main components of pixels do not see what is lost in making images small.
                    if key != "kid" or result["space"] == "model":
                        values.setdefault(name, {}).setdefault(key, []).append(numbers[key])
    rows: dict[str, Any] = {}
    for name in ROWS:
        if name in values:
            rows[name] = {key: mean_std(found) for key, found in values[name].items()}
            logs = [read_json(log) for log in sorted(runs.glob(f"{name}_[0-9]*/timing.json"))]
            if logs:
                rows[name] |= {"seconds": mean_std(log["seconds"] for log in logs), "steps": logs[0]["steps"]}
    return {"images": images, "rows": rows}


def table(results: dict[str, Any]) -> str:
    """The table, in Markdown."""
    keys = [key for key in COLUMNS if any(key in row for row in results["rows"].values())]
    lines = [f"| | {' | '.join(COLUMNS[key][0] for key in keys)} | steps | seconds |", "|---" * (len(keys) + 3) + "|"]
    for name, row in results["rows"].items():
        cells = []
        for key in keys:
            _, digits, factor = COLUMNS[key]
            found = row.get(key, mean_std([]))
            cells.append(plus_minus(found["mean"], found["std"], digits, factor))
        cost = [str(row["steps"]), f"{row['seconds']['mean']:.0f}"] if "steps" in row else ["–", "–"]
        lines.append(f"| {' | '.join([ROWS[name], *cells, *cost])} |")
    return "\n".join(lines) + "\n"


def figure(fidelity: Path, names: list[str]) -> Image.Image:
    """The first test images: each way to make them large in a column of its own, the truth at the right."""
    grids = {path.parent.name.rpartition("_")[0]: Image.open(path) for path in sorted(fidelity.glob("*_0/pairs.png"))}
    shared = next(iter(grids.values()))
    # `adaptgan fidelity` lays out nearest, bicubic, made, truth with a gap of one enlarged pixel; that is cut off.
    step = (shared.width + 1) // 4
    place = {"nearest": 0, "bicubic": 1, "truth": 3}
    columns = {
        name: grids.get(name, shared).crop((at := place.get(name, 2) * step, 0, at + step - 1, shared.height))
        for name in names
    }
    page = Image.new("RGB", (len(columns) * (step + GAP) - GAP, shared.height + TITLE), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=13)
    for number, (name, column) in enumerate(columns.items()):
        draw.text((number * (step + GAP), 0), name.replace("_", " "), fill="black", font=font)
        page.paste(column, (number * (step + GAP), TITLE))
    return page


if __name__ == "__main__":
    main()
