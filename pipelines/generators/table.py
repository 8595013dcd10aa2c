"""The table and the figure of this recipe, from the numbers that `adaptgan realism` wrote for each seed.

    python pipelines/generators/table.py --realism reports/generators/realism_0.json … --runs reports/generators/runs \
        --samples reports/generators/samples_0 --out reports/generators/results.json \
        --figure reports/generators/samples.png

Writes the means and deviations over seeds to `--out`, the table beside it as `.md`, and samples of every method side
by side to `--figure`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from adaptgan.files import read_json, write_atomic, write_json
from adaptgan.metrics.spread import plus_minus, summary

SPACE = "model"
COLUMNS = {
    "fid": ("FID", 2),
    "kid": ("KID", 3),
    "precision": ("precision", 2),
    "recall": ("recall", 2),
    "coverage": ("coverage", 2),
    "class_balance": ("class balance", 2),
}
ACROSS, SHOWN, CELL, TITLE, GAP = 5, (8, 5), 33, 24, 12
"""Sheets in a line of the figure; images shown of each, across and down; pixels of an image, of a title, between."""


def main() -> None:
    """Read, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--realism", type=Path, nargs="+", required=True)
    for name in ("runs", "samples", "out", "figure"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    results = collect([read_json(path) for path in options.realism], options.runs)
    write_json(options.out, results)
    text = table(results)
    write_atomic(options.out.with_suffix(".md"), text)
    sys.stdout.write(text)
    figure(options.samples, list(results["rows"])).save(options.figure)


def collect(seeds: list[dict[str, Any]], runs: Path) -> dict[str, Any]:
    """`rows[method]`: the `mean`, `std` and `values` over seeds of each number; steps and seconds; best FID first."""
    rows: dict[str, Any] = {}
    for name in seeds[0]["sets"]:
        found = [seed["sets"][name][SPACE] for seed in seeds if name in seed["sets"]]
        row: dict[str, Any] = {key: summary([one[key] for one in found]) for key in found[0]}
        row["pixels"] = {key: summary([seed["sets"][name]["pixels"][key] for seed in seeds]) for key in ("fid", "kid")}
        logs = sorted((runs / name).glob("*/timing.json"))
        if logs:
            row["seconds"] = summary([json.loads(log.read_text())["seconds"] for log in logs])
            row["steps"] = json.loads(logs[0].read_text())["steps"]
        rows[name] = row
    order = sorted(rows, key=lambda name: rows[name]["fid"]["mean"])
    return {"images": seeds[0]["about"]["real"]["images"], "rows": {name: rows[name] for name in order}}


def table(results: dict[str, Any]) -> str:
    """The table, in Markdown."""
    titles = [title for title, _ in COLUMNS.values()]
    lines = [f"| method | {' | '.join(titles)} | steps | seconds |", "|---" * (len(titles) + 3) + "|"]
    for name, row in results["rows"].items():
        cells = [plus_minus(row[key]["mean"], row[key]["std"], digits) for key, (_, digits) in COLUMNS.items()]
        time = [str(row["steps"]), f"{row['seconds']['mean']:.0f}"] if "steps" in row else ["–", "–"]
        title = {"held_out": "*real test images*", "floor": "*real training images*"}.get(name, f"`{name}`")
        lines.append(f"| {' | '.join([title, *cells, *time])} |")
    return "\n".join(lines) + "\n"


def figure(samples: Path, names: list[str]) -> Image.Image:
    """A corner of each sheet, of the real images and of every method, best first, each under its name."""
    paths = {name: samples / f"{name}.png" for name in ["real", *names]}
    sheets = {name: Image.open(path).convert("L") for name, path in paths.items() if path.is_file()}
    width, height = (side * CELL - 1 for side in SHOWN)
    font = ImageFont.load_default(size=16)
    down = -(-len(sheets) // ACROSS)
    page = Image.new("L", (ACROSS * (width + GAP) - GAP, down * (height + TITLE + GAP) - GAP), "white")
    draw = ImageDraw.Draw(page)
    for number, (name, image) in enumerate(sheets.items()):
        left, top = number % ACROSS * (width + GAP), number // ACROSS * (height + TITLE + GAP)
        draw.text((left, top), name.replace("_", " "), fill="black", font=font)
        page.paste(image.crop((0, 0, width, height)), (left, top + TITLE))
    return page.quantize(16)


if __name__ == "__main__":
    main()
