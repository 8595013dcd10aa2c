"""The table of this recipe: errors on the test set, by labels and method, as a mean and deviation over the draws.

    python pipelines/semi_supervised/table.py --models models/semi_supervised --test data/semi_supervised/test \
        --out reports/semi_supervised/results.json

It reads `<models>/<n>_a_class/draw_<d>/<method>` and `<models>/ensemble/draw_<d>/<member>`, opens the test labels as
`evaluate` does, and writes the numbers to `--out` and the table beside it, as `.md`.
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

METHODS = {"supervised": "supervised", "pseudo_labels": "self-training", "semi_supervised_gan": "K+1 GAN"}
MEMBER = ("10_a_class", "semi_supervised_gan")
"""The row and method that an ensemble's other members join."""


def main() -> None:
    """Read the models, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    test = adaptgan.load_dataset(options.test, unseal="evaluate")
    results = measure(options.models, test)
    write_json(options.out, results)
    text = table(results)
    write_atomic(options.out.with_suffix(".md"), text)
    sys.stdout.write(text)


def measure(models: Path, test: ShardDataset) -> dict[str, Any]:
    """Errors in percent, `rows[labels][method] = {mean, std, errors: {draw: …}}`, and the ensembles'."""
    rows: dict[str, Any] = {}
    folders = sorted(models.glob("*_a_class"), key=lambda folder: int(folder.name.split("_")[0]))
    for folder in folders:
        labels = str(int(folder.name.split("_")[0]) * len(test.classes))
        for method in METHODS:
            found = {draw.name: draw / method for draw in sorted(folder.glob("draw_*")) if (draw / method).is_dir()}
            rows.setdefault(labels, {})[method] = summary(
                {draw: error(probabilities(path, test), test) for draw, path in found.items()}
            )
    members = {}
    for draw in sorted((models / "ensemble").glob("draw_*")):
        first = models / MEMBER[0] / draw.name / MEMBER[1]
        members[draw.name] = [first, *sorted(path for path in draw.iterdir() if path.is_dir())]
    together = {
        draw: error(np.mean([probabilities(path, test) for path in paths], axis=0), test)
        for draw, paths in members.items()
    }
    sizes = sorted({len(paths) for paths in members.values()})
    return {"images": len(test), "rows": rows, "ensemble": {**summary(together), "networks": sizes}}


def probabilities(model: Path, test: ShardDataset) -> np.ndarray:
    """A model's class probabilities on the test images, (N, K)."""
    reader = Reader(adaptgan.load_model(model), torch.device("cpu"), batch_size=256)
    return reader.probabilities(test.images_NCHW)


def error(probabilities_NK: np.ndarray, test: ShardDataset) -> float:
    """Share of images, in percent, whose likeliest class is wrong."""
    return float(100 * np.mean(probabilities_NK.argmax(1) != test.labels_N))


def summary(errors: dict[str, float]) -> dict[str, Any]:
    """Mean and standard deviation (of a sample) over draws."""
    return {**mean_std(errors.values()), "errors": errors}


def table(results: dict[str, Any]) -> str:
    """The table, in Markdown."""
    lines = [f"| labels | {' | '.join(METHODS.values())} | K+1 / supervised |", "|---" * (len(METHODS) + 2) + "|"]
    for labels, row in results["rows"].items():
        base, gan = row["supervised"]["mean"], row["semi_supervised_gan"]["mean"]
        share = f"{gan / base:.2f}" if base and gan is not None else "–"
        cells = " | ".join(plus_minus(row[method]["mean"], row[method]["std"]) for method in METHODS)
        lines.append(f"| {labels} | {cells} | {share} |")
    ensemble = results["ensemble"]
    if ensemble["errors"]:
        count = " or ".join(map(str, ensemble["networks"]))
        base = results["rows"]["100"]["supervised"]["mean"]
        cells = " | " * (len(METHODS) - 1) + plus_minus(ensemble["mean"], ensemble["std"])
        lines.append(f"| 100, ensemble of {count} |{cells} | {ensemble['mean'] / base:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
