"""Points in the plane around a few modes: where it shows whether a generator forgets some."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

from adaptgan.data.records import Record
from adaptgan.data.sources.base import check_split, generator
from adaptgan.errors import DataError

Layout = Literal["ring", "grid"]
"""8 modes on a circle, or 25 in a square."""

RADIUS = 0.8
"""Of the ring; the grid reaches from −0.8 to 0.8."""


class Gaussians:
    """A mixture of 8 Gaussians on a circle or 25 on a grid, equally likely; the label is the mode.

    A point (x, y) is a grey image of 1 × 2 pixels whose values in [−1, 1] are x and y: everything that trains on images
    trains on points. `train` has `count` of them, `test` as many again.

    The papers' modes are narrower: a ring of radius 2 with a deviation of 0.02 (Metz 2017), 1/77 of the distance
    between neighbours, and a grid of spacing 2 with 0.05 (Srivastava 2017, Lin 2018), 1/40 of it. Here the distances
    are 0.61 and 0.4, and 0.016 is 1/38 and 1/25 of them, so that a pixel's 256 values, 1/127.5 apart, hardly show:
    rounding makes the deviation 0.0162.

    Args:
        layout: `ring` or `grid`.
        count: points.
        std: deviation around a mode, of x and of y, before rounding.
    """

    def __init__(self, layout: Layout = "ring", count: int = 20000, std: float = 0.016) -> None:
        self.layout, self.total, self.std = layout, count, std
        if not 0 < std <= 0.05:
            raise DataError(
                f"gaussians: std must lie above 0 and not above 0.05, found {self.std}: the modes, "
                f"{RADIUS} from the middle, would blur into each other or reach beyond the pixels' range."
            )
        self.classes = tuple(f"mode {k:02d}" for k in range(len(modes(layout))))

    def records(self, split: str, seed: int) -> Iterator[Record]:
        """The split's points."""
        check_split(split, ("train", "test"), "gaussians")
        draw = generator("gaussians", self.layout, split, seed)
        labels_N = draw.integers(len(self.classes), size=self.total)
        points_N2 = modes(self.layout)[labels_N] + self.std * draw.standard_normal((self.total, 2))
        images_N12 = to_images(points_N2)
        for number, (image, label) in enumerate(zip(images_N12, labels_N, strict=True)):
            yield Record(f"{split}_{number:06d}", image, int(label), {}, {"layout": self.layout, "seed": seed})


def modes(layout: Layout) -> np.ndarray:
    """The modes' centres, float64 (K, 2) in [−1, 1]: mode k is class k.

    The ring's go around from (RADIUS, 0) counterclockwise, the grid's are column by column from the lower left.
    """
    if layout == "ring":
        angles_K = 2 * math.pi * np.arange(8) / 8
        return RADIUS * np.stack([np.cos(angles_K), np.sin(angles_K)], axis=1)
    side = np.linspace(-RADIUS, RADIUS, 5)
    return np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)


def to_images(points_N2: np.ndarray) -> np.ndarray:
    """Points in [−1, 1] as grey images of 1 × 2 pixels, uint8 (N, 1, 2)."""
    return np.clip(np.round((points_N2 + 1) * 127.5), 0, 255).astype(np.uint8)[:, None]
