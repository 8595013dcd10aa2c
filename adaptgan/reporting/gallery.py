"""Images on the page: before and after, and how training went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import decode_png
from adaptgan.reporting.images import data_uri, png_uri, sheet
from adaptgan.reporting.pairs import find_pairs, random_images

GROUND = 128
"""Grey between the images: it reads on a light page and on a dark one."""
WIDEST = 1600
"""Pixels; sheets of larger images have fewer columns."""
MOST_FRAMES = 12


def wipe(
    source: ShardDataset, adapted: ShardDataset, target: ShardDataset, count: int, seed: int
) -> dict[str, Any] | None:
    """The same records synthetic and refined, laid over each other, and real images beside them.

    With 5 to 12 classes each column holds one of them. None for an empty set.
    """
    if not len(adapted):
        return None
    classes = len(np.unique(adapted.labels_N))
    columns = classes if 5 <= classes <= 12 else 10
    columns = max(1, min(columns, count, len(adapted), WIDEST // source.info.width))
    pairs = find_pairs(source, adapted, max(columns, count // columns * columns), seed)
    shown = len(pairs.labels)
    before = sheet(pairs.before_NCHW, columns, GROUND)
    return {
        "before": data_uri(before),
        "after": data_uri(sheet(pairs.after_NCHW, columns, GROUND)),
        "real": data_uri(sheet(random_images(target, shown, seed), columns, GROUND)),
        "count": shown,
        "width": before.shape[1],
        "height": before.shape[0],
        "pixelated": source.info.width <= 64,
    }


def films(runs: Path) -> list[dict[str, Any]]:
    """Sample grids over training, at most `MOST_FRAMES` of each run, first and last among them."""
    found = []
    for folder in sorted(runs.glob("*/samples")):
        frames = sorted(folder.glob("*.png"))
        if not frames:
            continue
        places = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round().astype(int))
        images = [(frames[i], frames[i].read_bytes()) for i in places]
        width = decode_png(images[-1][1], str(frames[-1])).shape[1]
        found.append(
            {
                "name": folder.parent.name,
                "frames": [{"step": path.stem.lstrip("0") or "0", "image": png_uri(png)} for path, png in images],
                "pixelated": width <= 800,
            }
        )
    return sorted(found, key=lambda film: (film["name"].startswith("task"), film["name"]))
