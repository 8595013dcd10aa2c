"""Image grids that a person can read: one named row per batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageDraw, ImageFont
from torchvision.utils import make_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = 10
"""Images shown of each batch, at most."""

_SMALLEST = 48
_PADDING = 2
_BACKGROUND = (255, 255, 255)


def labelled_grid(images: Mapping[str, torch.Tensor], columns: int = COLUMNS) -> Image.Image:
    """One row per batch, its name at the left.

    Args:
        images: NCHW float in [-1, 1], on the CPU; the batches may differ in size and channels.
        columns: images per row.

    Returns:
        An RGB image; small ones are enlarged by a whole factor, so that pixels stay pixels.
    """
    rows = [(name.replace("_", " "), _row(batch[:columns])) for name, batch in images.items() if len(batch)]
    font = ImageFont.load_default(size=13)
    margin = 12 + max((int(font.getlength(name)) for name, _ in rows), default=0)
    width = margin + max((row.width for _, row in rows), default=0)
    grid = Image.new("RGB", (width, max(1, sum(row.height for _, row in rows))), _BACKGROUND)
    draw = ImageDraw.Draw(grid)
    top = 0
    for name, row in rows:
        draw.text((6, top + row.height // 2), name, fill=(0, 0, 0), font=font, anchor="lm")
        grid.paste(row, (margin, top))
        top += row.height
    return grid


def _row(batch_NCHW: torch.Tensor) -> Image.Image:
    factor = max(1, -(-_SMALLEST // max(batch_NCHW.shape[-2:])))
    shown = batch_NCHW.float().clamp(-1, 1).repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    if shown.shape[1] not in (1, 3):
        shown = shown[:, :1]
    tiled_CHW = make_grid((shown + 1) / 2, nrow=len(shown), padding=_PADDING, pad_value=1.0)
    return Image.fromarray((tiled_CHW * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
