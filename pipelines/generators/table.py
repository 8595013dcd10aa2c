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
import statistics
import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from adaptgan.files import read_json, write_atomic, write_json

SPACE = "model"
COLUMNS = {
    "fid": ("FID", 2),
    "kid": ("KID", 3),
    "precision": ("precision", 2),
    "recall": ("recall", 2),
    "coverage": ("coverage", 2),
    "class_balance": ("class balance", 2),
}
ACROSS, CROP, GAP = 4, 10, 12
"""Sheets in a line of the figure, lines of a sheet that are shown, pixels between."""


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
        row: dict[str, Any] = {key: spread([one[key] for one in found]) for key in found[0]}
        row["pixels"] = {key: spread([seed["sets"][name]["pixels"][key] for seed in seeds]) for key in ("fid", "kid")}
        logs = sorted((runs / name).glob("*/timing.json"))
        if logs:
            row["seconds"] = spread([json.loads(log.read_text())["seconds"] for log in logs])
            row["steps"] = json.loads(logs[0].read_text())["steps"]
        rows[name] = row
    order = sorted(rows, key=lambda name: rows[name]["fid"]["mean"])
    return {"images": seeds[0]["about"]["real"]["images"], "rows": {name: rows[name] for name in order}}


def spread(values: list[float]) -> dict[str, Any]:
    """Mean and deviation of a sample."""
    std = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "std": std, "values": values}


def table(results: dict[str, Any]) -> str:
    """The table, in Markdown."""
    titles = [title for title, _ in COLUMNS.values()]
    lines = [f"| method | {' | '.join(titles)} | steps | seconds |", "|---" * (len(titles) + 3) + "|"]
    for name, row in results["rows"].items():
        cells = [shown(row[key], digits) for key, (_, digits) in COLUMNS.items()]
        time = [str(row["steps"]), f"{row['seconds']['mean']:.0f}"] if "steps" in row else ["–", "–"]
        title = {"held_out": "*real test images*", "floor": "*real training images*"}.get(name, f"`{name}`")
        lines.append(f"| {' | '.join([title, *cells, *time])} |")
    return "\n".join(lines) + "\n"


def shown(cell: dict[str, Any], digits: int) -> str:
    """`mean ± deviation`."""
    text = f"{cell['mean']:.{digits}f}"
    return text if cell["std"] is None else f"{text} ± {cell['std']:.{digits}f}"


def figure(samples: Path, names: list[str]) -> Image.Image:
    """Sheets of the real images and of every method, best first, each under its name."""
    sheets = {name: samples / f"{name}.png" for name in ["real", *names]}
    images = {name: Image.open(path).convert("RGB") for name, path in sheets.items() if path.is_file()}
    width = max(image.width for image in images.values())
    height = min(min(image.height for image in images.values()), width * CROP // 10)
    font = ImageFont.load_default(size=22)
    down = -(-len(images) // ACROSS)
    page = Image.new("RGB", (ACROSS * (width + GAP) - GAP, down * (height + 28 + GAP)), "white")
    draw = ImageDraw.Draw(page)
    for number, (name, image) in enumerate(images.items()):
        left, top = number % ACROSS * (width + GAP), number // ACROSS * (height + 28 + GAP)
        draw.text((left + 2, top), name.replace("_", " "), fill="black", font=font)
        page.paste(image.crop((0, 0, image.width, height)), (left, top + 28))
    return page.resize((page.width // 2, page.height // 2), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
