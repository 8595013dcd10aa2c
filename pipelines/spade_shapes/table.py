"""The table and the figure of this recipe, from the numbers that `adaptgan fidelity` wrote for each method and seed.

    python pipelines/spade_shapes/table.py --reports reports/spade_shapes --scenes data/spade_shapes/test \
        --made data/spade_shapes/made --out reports/spade_shapes/results.json --figure reports/spade_shapes/scenes.png

Writes the means and deviations over seeds to `--out`, the table beside it as `.md`, and to `--figure` the first
held-out maps, what every method made of them, and the true images.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import to_uint8
from adaptgan.files import read_json, write_atomic, write_json
from adaptgan.metrics.spread import plus_minus, summary
from adaptgan.networks.labels import painted

METHODS = ("painted", "regression", "spade")
TRUE = "true"
COLUMNS = {
    "l1": ("L1", 3),
    "kid": ("KID", 4),
    "pixel_accuracy": ("pixels read right", 3),
    "mean_iou": ("mean IoU", 3),
    "taught_pixel_accuracy": ("taught: pixels", 3),
    "taught_mean_iou": ("taught: mean IoU", 3),
    "seconds": ("seconds", 0),
}
SHOWN, ENLARGED, TITLE, GAP = 12, 2, 90, 4
"""Scenes in the figure; how much they are enlarged; pixels of a row's title, and between images."""


def main() -> None:
    """Read, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("reports", "scenes", "made", "out", "figure"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    results = collect(options.reports)
    write_json(options.out, results)
    text = table(results)
    write_atomic(options.out.with_suffix(".md"), text)
    sys.stdout.write(text)
    figure(options.scenes, options.made).save(options.figure)


def collect(reports: Path) -> dict[str, Any]:
    """`rows[method]`: the `mean`, `std` and `values` over seeds of each number."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in (TRUE, *METHODS)}

    def note(row: str, name: str, value: float) -> None:
        found[row].setdefault(name, []).append(value)

    for method in METHODS:
        for path in sorted((reports / "fidelity").glob(f"{method}_*.json")):
            rows, seed = read_json(path)["rows"], path.stem.rsplit("_")[-1]
            for name in ("l1", "kid", "pixel_accuracy", "mean_iou"):
                note(method, name, rows["made"][name])
            taught = read_json(reports / "exam" / path.name)["rows"]["truth"]
            for name in ("pixel_accuracy", "mean_iou"):
                note(method, f"taught_{name}", taught[name])
            timing = reports / "runs" / method / seed / "timing.json"
            if timing.is_file():
                note(method, "seconds", read_json(timing)["seconds"])
            if method == METHODS[-1]:  # the judge of this seed, on true images: the same for all methods
                for name in ("pixel_accuracy", "mean_iou"):
                    note(TRUE, name, rows["truth"][name])
                    note(TRUE, f"taught_{name}", rows["truth"][name])
    return {
        "rows": {row: {name: summary(values) for name, values in numbers.items()} for row, numbers in found.items()}
    }


def table(results: dict[str, Any]) -> str:
    """The table, in Markdown."""
    titles = [title for title, _ in COLUMNS.values()]
    lines = [f"| images | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for name, row in results["rows"].items():
        cells = [
            plus_minus(row[key]["mean"], row[key]["std"], digits) if key in row else "–"
            for key, (_, digits) in COLUMNS.items()
        ]
        lines.append(f"| {' | '.join([f'`{name}`' if name in METHODS else f'*{name}*', *cells])} |")
    return "\n".join(lines) + "\n"


def figure(scenes: Path, made: Path) -> Image.Image:
    """Maps, what each method's first seed made of them, and the true images, below each other."""
    true = ShardDataset(scenes)
    masks_NHW = torch.from_numpy(true.targets("segmentation")[:SHOWN])
    classes = true.info_for("segmentation").n_classes
    rows = {"map": to_uint8(painted(masks_NHW, classes, true.info.channels)).numpy()}
    for method in METHODS:
        rows[method] = ShardDataset(made / method / "0" / "test").images_NCHW[:SHOWN]
    rows[TRUE] = true.images_NCHW[:SHOWN]
    height, width = (ENLARGED * side for side in masks_NHW.shape[1:])
    page = Image.new("RGB", (TITLE + SHOWN * (width + GAP), len(rows) * (height + GAP) - GAP), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=14)
    for down, (name, images_NCHW) in enumerate(rows.items()):
        top = down * (height + GAP)
        draw.text((4, top + height // 2 - 8), name, fill="black", font=font)
        for across, image_CHW in enumerate(np.asarray(images_NCHW)):
            picture = Image.fromarray(np.ascontiguousarray(image_CHW.transpose(1, 2, 0)))
            large = picture.resize((width, height), Image.Resampling.NEAREST)
            page.paste(large, (TITLE + across * (width + GAP), top))
    return page


if __name__ == "__main__":
    main()
