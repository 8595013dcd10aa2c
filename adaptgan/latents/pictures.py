"""Generated images for people: sheets, enlarged and captioned, as PNG; sequences as GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from adaptgan.data.images import encode_png, to_uint8
from adaptgan.errors import ParamsError
from adaptgan.files import write_atomic
from adaptgan.reporting.images import sheet

SEEN = 64
"""Pixels that the longer side of a small image is brought near to, by a whole factor."""

CAPTION = 12
"""Height of the line under an image, in pixels."""


def check_name(path: Path, *suffixes: str) -> None:
    """A picture's file must be of a kind that can be written.

    Raises:
        ParamsError: it is not.
    """
    if path.suffix.lower() not in suffixes:
        raise ParamsError(f"--out {path}: the name of the picture must end in {' or '.join(suffixes)}.")


def picture(images_NCHW: torch.Tensor, columns: int, captions: Sequence[str] | None = None) -> np.ndarray:
    """Images side by side, uint8 (H, W) or (H, W, 3).

    Args:
        images_NCHW: float in [-1, 1].
        columns: in a row.
        captions: a word under each.
    """
    tiles_NCHW = to_uint8(images_NCHW).cpu().numpy()
    factor = max(1, SEEN // max(tiles_NCHW.shape[2:]))
    tiles_NCHW = tiles_NCHW.repeat(factor, 2).repeat(factor, 3)
    if captions is not None:
        lines = np.stack([_line(text, tiles_NCHW.shape[3]) for text in captions])
        bands = np.broadcast_to(lines[:, None], (len(lines), tiles_NCHW.shape[1], *lines.shape[1:]))
        tiles_NCHW = np.concatenate([tiles_NCHW, bands], 2)
    return sheet(tiles_NCHW, columns)


def write_png(path: Path, image: np.ndarray) -> None:
    """Write a uint8 image whole or not at all."""
    write_atomic(path, encode_png(image))


def write_gif(path: Path, frames: Sequence[np.ndarray], seconds: float = 0.08) -> None:
    """Write an endless GIF whole or not at all.

    Args:
        path: the file.
        frames: uint8 (H, W) or (H, W, 3).
        seconds: that each is shown; the first and the last are shown eight times as long.
    """
    first, *rest = [Image.fromarray(frame) for frame in frames]
    durations = [round(1000 * seconds)] * len(frames)
    durations[0] = durations[-1] = 8 * durations[0]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    write_atomic(path, buffer.getvalue())


def _line(text: str, width: int) -> np.ndarray:
    """Black on white, uint8 (CAPTION, width); what does not fit is cut off."""
    line = Image.new("L", (width, CAPTION), 255)
    ImageDraw.Draw(line).text((width // 2, CAPTION // 2), text, 0, ImageFont.load_default(10), anchor="mm")
    return np.asarray(line)
