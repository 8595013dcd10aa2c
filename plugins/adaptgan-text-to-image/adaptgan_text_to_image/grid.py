"""A picture of captions and what a model makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from adaptgan.data.images import encode_png, hwc, to_uint8
from adaptgan.data.randomness import record_seeds, stream_key
from adaptgan.errors import ParamsError
from adaptgan.files import write_atomic
from adaptgan.models import load_model

LARGE = 64
"""Pixels that an image's longer side is brought near to, by a whole factor."""

LINE, GAP = 18, 2
"""Height of a caption's line and distance of two images, in pixels."""


def caption_grid(model: Path, captions: Sequence[str], out: Path, *, columns: int = 8, seed: int = 0) -> None:
    """Write a PNG with a row of images for each caption, the caption above it.

    Args:
        model: a model folder.
        captions: what to draw.
        out: the picture.
        columns: images of each caption.
        seed: of their noise; a column has the same in every row.

    Raises:
        ParamsError: the model makes no images of captions, or `out` is no name of a PNG.
        DataError: a caption has a word that the model does not know.
    """
    if out.suffix.lower() != ".png":
        raise ParamsError(f"--out {out}: the name of the picture must end in .png.")
    network: Any = load_model(model)
    if network.translates != "conditions" or network.conditions != ("caption",):
        raise ParamsError(f"{model}: {network.card['method']['name']!r} makes no images of captions.")
    write_atomic(out, encode_png(picture(drawn(network, captions, columns, seed), captions)))


def drawn(network: Any, captions: Sequence[str], columns: int, seed: int) -> np.ndarray:
    """Images of each caption, uint8 (captions, columns, C, H, W)."""
    encoded = np.stack([network.encode_conditions({"caption": caption}) for caption in captions])
    seeds = record_seeds(stream_key("caption grid", seed), np.zeros(columns, np.int64), np.arange(columns))
    conditions = torch.from_numpy(encoded).repeat_interleave(columns, 0)
    with torch.inference_mode():
        images = network.translate(conditions, torch.from_numpy(seeds).repeat(len(captions)))
    stacked: np.ndarray = to_uint8(images).cpu().numpy()
    return stacked.reshape(len(captions), columns, *stacked.shape[1:])


def picture(images_KVCHW: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    """Rows of images, each under its caption, uint8 (H, W, 3)."""
    rows = [row for caption, images in zip(captions, images_KVCHW, strict=True) for row in _row(images, caption)]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    return np.concatenate(padded)


def _row(images_VCHW: np.ndarray, caption: str) -> list[np.ndarray]:
    """A caption's line, and its images side by side."""
    factor = max(1, LARGE // max(images_VCHW.shape[2:]))
    tiles = [hwc(image).repeat(factor, 0).repeat(factor, 1) for image in images_VCHW]
    tiles = [tile if tile.ndim == 3 else tile[:, :, None].repeat(3, 2) for tile in tiles]
    bordered = [np.pad(tile, ((0, GAP), (0, GAP), (0, 0)), constant_values=255) for tile in tiles]
    font = ImageFont.load_default(13)
    line = Image.new("RGB", (round(font.getlength(caption)) + 2 * GAP, LINE), (255, 255, 255))
    ImageDraw.Draw(line).text((GAP, LINE // 2), caption, (0, 0, 0), font, anchor="lm")
    return [np.asarray(line), np.concatenate(bordered, 1)]
