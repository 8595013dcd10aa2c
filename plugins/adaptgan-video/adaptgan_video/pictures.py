"""Videos for people: several side by side, as a GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from adaptgan.data.images import to_uint8
from adaptgan.files import write_atomic
from adaptgan.reporting.images import enlarge, sheet

SEEN = 96
"""Pixels that a frame's longer side is brought near to, by a whole factor."""

COLOURS = 96
"""In a GIF's palette."""


def write_gif(path: Path, strips: Sequence[torch.Tensor], seconds: float = 0.12) -> None:
    """Write an endless GIF: a video a row, its pictures side by side.

    Args:
        path: the file, written whole or not at all.
        strips: (T, V, C, H, W) in [-1, 1] for each video; a shorter one waits at its last frame.
        seconds: that a frame is shown.
    """
    length = max(len(strip) for strip in strips)
    frames = [_sheet([strip[min(t, len(strip) - 1)] for strip in strips], strips[0].shape[1]) for t in range(length)]
    images = [Image.fromarray(frame).convert("RGB") for frame in frames]
    # One palette for all frames, no dithering: what stands still costs nothing, and does not flicker.
    palette = Image.fromarray(np.concatenate(frames)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    first, *rest = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=round(1000 * seconds), loop=0)
    write_atomic(path, buffer.getvalue())


def _sheet(rows: Sequence[torch.Tensor], columns: int) -> np.ndarray:
    tiles = [grey_as_colour(to_uint8(row).numpy()) for row in rows]
    picture = sheet(np.concatenate(tiles), columns)
    return enlarge(picture, max(1, SEEN // max(tiles[0].shape[2:])))


def grey_as_colour(images_NCHW: np.ndarray) -> np.ndarray:
    """Three equal channels where there is one."""
    return images_NCHW.repeat(3, 1) if images_NCHW.shape[1] == 1 else images_NCHW
