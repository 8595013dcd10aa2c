"""The table of this recipe: accuracy on real test images, by what was trained on, as mean and deviation over seeds.

    python pipelines/generated_training_set/table.py --models models/generated_training_set \
        --data data/generated_training_set --test data/generated_training_set/test \
        --out reports/generated_training_set/results.json

It reads `<models>/<n>_a_class/<seed>/<row>` and the counts of `<data>/<n>_a_class/<seed>/gated`, and writes the numbers
to `--out` and the table beside it, as `.md`.
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
from adaptgan.files import write_atomic, write_json
from adaptgan.metrics.spread import mean_std, plus_minus
from adaptgan.stages.inference import Reader

ROWS = {
    "real": "the real images",
    "generated": "generated, all",
    "gated": "generated, gated",
    "both": "real and gated",
}


def main() -> None:
    """Read the models, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("models", "data", "test", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    results = measure(options.models, options.data, adaptgan.load_dataset(options.test))
    write_json(options.out, results)
    text = table(results)
    write_atomic(options.out.with_suffix(".md"), text)
    sys.stdout.write(text)


def measure(models: Path, data: Path, test: ShardDataset) -> dict[str, Any]:
    """Accuracies in percent, `rows[labels][row] = {mean, std, values: {seed: …}}`, and what share passed the gate."""
    rows: dict[str, Any] = {}
    for folder in sorted(models.glob("*_a_class"), key=lambda folder: int(folder.name.split("_")[0])):
        labels = str(int(folder.name.split("_")[0]) * len(test.classes))
        seeds = sorted(path.name for path in folder.iterdir())
        row = {
            name: summary(
                {seed: accuracy(folder / seed / name, test) for seed in seeds if (folder / seed / name).is_dir()}
            )
            for name in ROWS
        }
        gated = {seed: data / folder.name / seed / "gated" for seed in seeds}
        kept = {seed: 100 * passed(path) for seed, path in gated.items() if path.is_dir()}
        rows[labels] = row | {"kept": summary(kept)}
    return {"images": len(test), "rows": rows}


def accuracy(model: Path, test: ShardDataset) -> float:
    """Share of test images, in percent, whose likeliest class is right."""
    reader = Reader(adaptgan.load_model(model), torch.device("cpu"), batch_size=256)
    return float(100 * np.mean(reader.predictions(test.images_NCHW) == test.labels_N))


def passed(gated: Path) -> float:
    """Share of the generated images that the gate let through."""
    origin = adaptgan.load_dataset(gated).manifest.origin
    return float(origin["kept"] / (origin["kept"] + origin["quarantined"]))


def summary(values: dict[str, float]) -> dict[str, Any]:
    """Mean and standard deviation (of a sample) over seeds."""
    return {**mean_std(values.values()), "values": values}


def table(results: dict[str, Any]) -> str:
    """The table, in Markdown."""
    lines = [f"| labelled images | {' | '.join(ROWS.values())} | passed the gate |", "|---" * (len(ROWS) + 2) + "|"]
    for labels, row in results["rows"].items():
        cells = " | ".join(plus_minus(row[name]["mean"], row[name]["std"]) for name in (*ROWS, "kept"))
        lines.append(f"| {int(labels):,} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
