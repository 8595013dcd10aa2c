"""Images for people: contact sheets and data URIs."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

from adaptgan.data.images import decode_png, encode_png, hwc

GAP = 1
"""Pixels between two images of a sheet."""


def sheet(images_NCHW: np.ndarray, columns: int, background: int = 255) -> np.ndarray:
    """Images side by side, row by row, as one uint8 (H, W) or (H, W, 3); a last row may be short."""
    images_NCHW = np.asarray(images_NCHW)
    count, channels, height, width = images_NCHW.shape
    lines = -(-count // columns)
    shape = (channels, lines * (height + GAP) - GAP, columns * (width + GAP) - GAP)
    canvas_CHW = np.full(shape, background, np.uint8)
    for i, image_CHW in enumerate(images_NCHW):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        canvas_CHW[:, top : top + height, left : left + width] = image_CHW
    return hwc(canvas_CHW)


def data_uri(image: np.ndarray) -> str:
    """A uint8 (H, W) or (H, W, 3) image as a PNG inside a `data:` address."""
    return png_uri(encode_png(image))


def png_uri(png: bytes) -> str:
    """PNG bytes as a `data:` address, after a look that they are a PNG."""
    decode_png(png)
    return "data:image/png;base64," + base64.b64encode(png).decode()


def enlarge(image: np.ndarray, factor: int) -> np.ndarray:
    """Repeat each pixel `factor` times in both directions."""
    return image.repeat(factor, 0).repeat(factor, 1)


def stack(images: Sequence[np.ndarray], gap: int, background: int = 255) -> np.ndarray:
    """Images of one mode below each other, left-aligned, on a plain ground."""
    width = max(image.shape[1] for image in images)
    parts = []
    for i, image in enumerate(images):
        pad = [(gap if i else 0, 0), (0, width - image.shape[1])] + [(0, 0)] * (image.ndim - 2)
        parts.append(np.pad(image, pad, constant_values=background))
    return np.concatenate(parts)
