"""Plots that `dvc plots` shows: tables as CSV and JSON, and a grid of images."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import encode_png
from adaptgan.files import staged
from adaptgan.reporting.images import enlarge, sheet, stack
from adaptgan.reporting.pairs import find_pairs, random_images


def write_plots(
    folder: Path,
    result: Mapping[str, Any],
    confusions: Mapping[str, np.ndarray],
    classes: Sequence[str],
    grid: np.ndarray,
    drawn: Mapping[str, Any] | None = None,
) -> None:
    """Fill the plots folder, all files or none.

    `accuracy.csv` and `per_class.csv` have a line per row (and class). `confusion_baseline.csv` and
    `confusion_selected.csv` have a line per test image, as DVC's confusion template wants it. `confusion.json` has
    all counts. Without a test set the tables have a header alone. `feature_map.json` has the feature map's points,
    when one was `drawn`.
    """
    with staged(folder) as out:
        accuracies, per_class = [], []
        for name, row in result["rows"].items():
            if row["accuracy"] is None:
                continue
            span = row["interval"]
            accuracies.append([name, row["method"], row["accuracy"], span["low"], span["high"]])
            per_class += [[name, label, value] for label, value in row["per_class"].items() if value is not None]
        _write_csv(out / "accuracy.csv", ["row", "method", "accuracy", "low", "high"], accuracies)
        _write_csv(out / "per_class.csv", ["row", "class", "accuracy"], per_class)
        for role in ("baseline", "selected"):
            counts_KK = confusions.get(result[role])
            lines = [] if counts_KK is None else _one_line_each(counts_KK, classes)
            _write_csv(out / f"confusion_{role}.csv", ["actual", "predicted"], lines)
        tables = {"classes": list(classes), "rows": {name: counts.tolist() for name, counts in confusions.items()}}
        (out / "confusion.json").write_text(json.dumps(tables) + "\n")
        (out / "before_after.png").write_bytes(encode_png(grid))
        if drawn is not None:
            (out / "feature_map.json").write_text(json.dumps(drawn) + "\n")


def before_after(
    source: ShardDataset,
    adapted: ShardDataset | None,
    target: ShardDataset,
    seed: int,
    columns: int = 20,
    lines: int = 3,
) -> np.ndarray:
    """Bands of images below each other: drawn, the same refined, and real ones, as one uint8 image."""
    count = columns * lines
    real = random_images(target, count, seed)
    if adapted is None or not len(adapted):
        bands = [random_images(source, count, seed), real]
    else:
        pairs = find_pairs(source, adapted, count, seed)
        bands = [pairs.before_NCHW, pairs.after_NCHW, real]
    factor = max(1, 48 // max(source.info.height, source.info.width))
    return enlarge(stack([sheet(band, columns) for band in bands], gap=8), factor)


def _one_line_each(counts_KK: np.ndarray, classes: Sequence[str]) -> list[list[str]]:
    return [
        [classes[actual], classes[predicted]]
        for actual, predicted in np.ndindex(*counts_KK.shape)
        for _ in range(counts_KK[actual, predicted])
    ]


def _write_csv(path: Path, header: Sequence[str], lines: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)
