"""The table of this recipe: what a plain network reads of real test images after each adapted set, and what each costs.

    python pipelines/adapted_set/table.py --out reports/adapted_set/results.json [--also OTHER/PROJECT …]

It reads the main job's outputs and this recipe's in the current folder. `--also` takes further copies of the project,
in which both ran with another seed: then the table has means and deviations.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import adaptgan
from adaptgan.data.dataset import ShardDataset
from adaptgan.files import read_json, write_atomic, write_json
from adaptgan.metrics.spread import mean_std, plus_minus
from adaptgan.stages.inference import Reader

WAYS = {
    "class_translator": "translated, classes known to D (main job)",
    "generated": "made from noise, classes known to both",
    "simgan": "refined by SimGAN, same guard",
    "source": "none: synthetic images as they are",
    "oracle": "none: real images with their labels",
}
COLUMNS = {
    "accuracy": "accuracy",
    "passed": "passed the gate",
    "read_by_oracle": "labels the oracle reads",
    "seconds": "training, s",
}


def main() -> None:
    """Measure, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--also", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    projects = [measure(project) for project in (Path(), *options.also)]
    results = {
        way: {column: summary([project[way].get(column) for project in projects]) for column in COLUMNS} for way in WAYS
    }
    write_json(options.out, results)
    text = table(results)
    write_atomic(options.out.with_suffix(".md"), text)
    sys.stdout.write(text)


def measure(project: Path) -> dict[str, dict[str, float]]:
    """One copy of the project: per way accuracy, share that passed, labels that the oracle reads (percent), seconds."""
    test = adaptgan.load_dataset(project / "data/target_test", unseal="evaluate")
    oracle = reader(project / "models/task/oracle")
    found: dict[str, dict[str, float]] = {}
    for way in WAYS:
        own = project / "models/adapted_set/plain" / way
        main_job = {"class_translator": "adapted"}.get(way, way)
        model = own if own.is_dir() else project / "models/task" / main_job
        found[way] = {"accuracy": agreement(reader(model), test)}
        folder = project / ("data/adapted" if way == "class_translator" else f"data/adapted_set/{way}")
        if folder.is_dir():
            made = adaptgan.load_dataset(folder)
            origin = made.manifest.origin
            found[way]["passed"] = 100 * origin["kept"] / (origin["kept"] + origin["quarantined"])
            found[way]["read_by_oracle"] = agreement(oracle, made)
            log = project / ("reports/runs/refiner" if way == "class_translator" else f"reports/adapted_set/runs/{way}")
            found[way]["seconds"] = read_json(log / "timing.json")["seconds"]
    return found


def reader(model: Path) -> Reader:
    """A classifier that reads uint8 images."""
    return Reader(adaptgan.load_model(model), torch.device("cpu"), batch_size=256)


def agreement(classifier: Reader, data: ShardDataset) -> float:
    """Share of images, in percent, whose likeliest class is their label."""
    return float(100 * np.mean(classifier.predictions(data.images_NCHW) == data.labels_N))


def summary(values: list[float | None]) -> dict[str, Any] | None:
    """Mean and deviation over the projects; None where nothing was measured."""
    known = [value for value in values if value is not None]
    return {**mean_std(known), "values": known} if known else None


def table(results: dict[str, Any]) -> str:
    """The table, in Markdown."""
    lines = [f"| adapted set | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for way, title in WAYS.items():
        cells = [plus_minus(cell["mean"], cell["std"]) if (cell := results[way][column]) else "" for column in COLUMNS]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
