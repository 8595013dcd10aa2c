"""Made-up images: some as real, some with a trace of how they were made."""

from __future__ import annotations

import numpy as np

SIDE = 16


def real_images(count: int, seed: int) -> np.ndarray:
    """uint8 (N, 16, 16): noise of all frequencies alike."""
    return np.random.default_rng(seed).normal(120, 40, (count, SIDE, SIDE)).round().clip(0, 255).astype(np.uint8)


def generated_images(count: int, seed: int, every: int = 2) -> np.ndarray:
    """The same, but columns come in equal pairs, as after a careless enlargement; `every` 1: as real ones."""
    images = real_images(count, seed)
    return np.repeat(images[:, :, ::every], every, axis=2)
