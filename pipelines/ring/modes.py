"""The table and the picture of this recipe: modes covered and share of high-quality samples, by layout and game.

    python pipelines/ring/modes.py --models models/ring --data data/ring --out reports/ring/table.json

It reads `<data>/<layout>` (made by the data set `gaussians`) and `<models>/<layout>/<seed>/<game>`, draws 10,000
samples of each model, and writes the numbers to `--out`, the table beside it as `.md` and the picture as `.png`.

A sample is of high quality when it lies within three standard deviations of a mode, and belongs to the nearest. A mode
is covered when at least `LEAST` samples of high quality belong to it. The papers (Srivastava 2017, Lin 2018) draw 2,500
and count a mode with a single one. Of the true density 1 − exp(−9/2) = 98.9% are of high quality.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import adaptgan
from adaptgan.data.images import to_float
from adaptgan.data.sources.gaussians import modes
from adaptgan.errors import DataError
from adaptgan.files import write_atomic, write_json
from adaptgan.methods.base import Sampler
from adaptgan.metrics.spread import mean_std, plus_minus
from adaptgan.reporting.formats import NOTHING

GAMES = {
    "minimax": "GAN, minimax",
    "minimax_5": "GAN, minimax, k = 5",
    "non_saturating": "GAN, non-saturating",
    "non_saturating_5": "GAN, non-saturating, k = 5",
    "lsgan": "LSGAN",
    "fgan": "f-GAN, Jensen–Shannon",
    "r1": "GAN with R1",
    "wgan": "WGAN, clipped",
    "wgan_gp": "WGAN-GP",
    "wgan_gp_5": "WGAN-GP, k = 5",
    "spectral": "hinge, spectral norm",
}
"""Titles of the games, in the order of the table; others of the folder follow under their own names."""

REAL = "real points"
SAMPLES = 10_000
LEAST = 20
"""Samples of high quality that make a mode covered: a twentieth of an equal share in the grid of 25."""

SHOWN = 2_000
"""Samples in a picture."""


def main() -> None:
    """Read the models, write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    results, pictured = measure(options.models, options.data)
    write_json(options.out, results)
    text = table(results)
    write_atomic(options.out.with_suffix(".md"), text)
    draw(pictured, options.out.with_suffix(".png"))
    sys.stdout.write(text)


def measure(models: Path, data: Path) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """`{layout: {std, games: {game: {modes, high_quality, seeds: {seed: …}}}}}`, and points of a seed to look at."""
    results: dict[str, Any] = {}
    pictured: dict[str, dict[str, np.ndarray]] = {}
    for folder in sorted(data.iterdir(), reverse=True):  # the ring, then the grid
        layout, std, real_N2 = opened(folder)
        found = sorted({path.parent.name for path in (models / folder.name).glob("*/*/model.json")}, key=_place)
        games: dict[str, Any] = {REAL: summary({"data": score(real_N2[:SAMPLES], layout, std)})}
        pictured[layout] = {REAL: real_N2[:SHOWN]}
        for game in found:
            seeds = {}
            for path in sorted((models / folder.name).glob(f"*/{game}")):
                points_N2 = sampled(path)
                seeds[path.parent.name] = score(points_N2, layout, std)
                pictured[layout].setdefault(game, points_N2[:SHOWN])
            games[game] = summary(seeds)
        results[layout] = {"std": std, "all_modes": len(modes(layout)), "games": games}
    return results, pictured


def opened(folder: Path) -> tuple[Any, float, np.ndarray]:
    """A data set's layout, deviation, and points (N, 2)."""
    dataset = adaptgan.load_dataset(folder)
    made_by = dataset.manifest.origin.get("dataset", {})
    if made_by.get("name") != "gaussians":
        raise DataError(f"{folder}: expected points that the data set `gaussians` made; found {made_by!r}.")
    points_N2 = to_float(torch.from_numpy(dataset.images_NCHW)).numpy().reshape(-1, 2)
    return made_by["layout"], made_by["std"], points_N2


def sampled(model: Path, count: int = SAMPLES) -> np.ndarray:
    """Points (N, 2) of a model, as its network gives them: floats, not rounded to a pixel's 256 values."""
    method = adaptgan.load_model(model)
    if not isinstance(method, Sampler):
        raise DataError(f"{model}: this model makes no images from noise; train a generative method.")
    with torch.no_grad():
        images_NCHW = method.sample(
            torch.arange(count) % max(1, method.info.n_classes), torch.Generator().manual_seed(0)
        )
    return images_NCHW.reshape(count, 2).numpy()


def score(points_N2: np.ndarray, layout: Any, std: float) -> dict[str, Any]:
    """How many modes are covered, the share of high-quality points, and how many of those each mode has."""
    centres_K2 = modes(layout)
    distance_NK = np.linalg.norm(points_N2[:, None] - centres_K2, axis=2)
    good_N = distance_NK.min(1) <= 3 * std
    counts_K = np.bincount(distance_NK.argmin(1)[good_N], minlength=len(centres_K2))
    return {
        "modes": int((counts_K >= LEAST).sum()),
        "high_quality": float(good_N.mean()),
        "counts": counts_K.tolist(),
    }


def summary(seeds: dict[str, Any]) -> dict[str, Any]:
    """Mean and standard deviation (of a sample) over the seeds."""
    result: dict[str, Any] = {"seeds": seeds}
    for name in ("modes", "high_quality"):
        result[name] = mean_std(seed[name] for seed in seeds.values())
    return result


def table(results: dict[str, Any]) -> str:
    """The table, in Markdown."""
    heads = [f"{layout}: modes of {results[layout]['all_modes']} | high quality" for layout in results]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---:|' * (2 * len(results))}"]
    found = {game for layout in results.values() for game in layout["games"]}
    for game in sorted(found, key=_place):
        cells = []
        for layout in results.values():
            row = layout["games"].get(game)
            if row is None:
                cells += [NOTHING, NOTHING]
                continue
            covered, good = row["modes"], row["high_quality"]
            cells.append(plus_minus(covered["mean"], covered["std"]))
            cells.append(plus_minus(good["mean"], good["std"], factor=100) + "%")
        lines.append(f"| {GAMES.get(game, game)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(pictured: dict[Any, dict[str, np.ndarray]], path: Path) -> None:
    """Points of one seed of each game: a row for each layout."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    games = sorted({game for points in pictured.values() for game in points}, key=_place)
    figure, axes = plt.subplots(
        len(pictured), len(games), figsize=(1.2 * len(games), 1.2 * len(pictured) + 0.5), squeeze=False
    )
    for row, (layout, points) in zip(axes, pictured.items(), strict=True):
        for axis, game in zip(row, games, strict=True):
            axis.set(xlim=(-1, 1), ylim=(-1, 1), xticks=[], yticks=[], aspect="equal")
            axis.scatter(*modes(layout).T, s=20, facecolors="none", edgecolors="#d08770", linewidths=0.7)
            if game in points:
                axis.scatter(*points[game].T, s=1, color="#2e3440", alpha=0.25, linewidths=0)
    for axis, game in zip(axes[0], games, strict=True):
        axis.set_title(GAMES.get(game, game).replace(", ", "\n", 1), fontsize=7)
    figure.tight_layout(pad=0.3, h_pad=0.8, rect=(0, 0, 1, 0.96))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)


def _place(game: str) -> tuple[int, str]:
    order = [REAL, *GAMES]
    return (order.index(game) if game in order else len(order), game)


if __name__ == "__main__":
    main()
