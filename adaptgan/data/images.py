"""Pixels: PNG in and out, size and mode changes, and the two ranges images live in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from PIL import Image

from adaptgan.errors import DataError

if TYPE_CHECKING:
    import torch

Mode = Literal["L", "RGB"]
Resample = Literal["bicubic"]


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 0..255 to float32 in [-1, 1], any shape."""
    import torch

    return images.to(torch.float32, copy=True).div_(127.5).sub_(1)


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Float in [-1, 1] to the nearest of 0..255, any shape; what lies outside is clamped."""
    import torch

    return (images.float() + 1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def encode_png(image: np.ndarray) -> bytes:
    """A uint8 (H, W) or (H, W, 3) image as PNG bytes, the same for the same pixels."""
    stored = image if image.ndim == 2 else image[:, :, ::-1]
    good, data = cv2.imencode(".png", np.ascontiguousarray(stored))
    if not good:
        raise DataError(f"an image of shape {image.shape} and type {image.dtype} cannot be written as PNG.")
    return data.tobytes()


def decode_png(data: bytes, name: str = "image") -> np.ndarray:
    """PNG bytes to uint8 (H, W) or (H, W, 3).

    Raises:
        DataError: the bytes are no PNG of 8 bits, grey or RGB.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None or image.dtype != np.uint8 or (image.ndim == 3 and image.shape[2] != 3):
        raise DataError(f"{name}: this is not a PNG of 8 bits, grey or RGB. The data set is damaged; ingest it again.")
    return image if image.ndim == 2 else np.ascontiguousarray(image[:, :, ::-1])


def mode_of(image: np.ndarray) -> Mode:
    """`L` for a (H, W) array, `RGB` for (H, W, 3).

    Raises:
        DataError: it is neither, or not uint8.
    """
    if image.dtype == np.uint8 and image.size:
        if image.ndim == 2:
            return "L"
        if image.ndim == 3 and image.shape[2] == 3:
            return "RGB"
    raise DataError(f"expected a uint8 image (H, W) or (H, W, 3); found shape {image.shape}, type {image.dtype}.")


def shrunk(images: torch.Tensor, factor: int) -> torch.Tensor:
    """Images `factor` times as small, by an antialiased bicubic kernel: (N, C, H, W) -> (N, C, H/f, W/f), float32.

    Keys' cubic with a = −½, `factor` times as wide: what Pillow, MATLAB's `imresize` and so the papers on
    super-resolution shrink by. Results may lie a little outside of the images' range.
    """
    from torch.nn import functional as F

    return F.interpolate(images.float(), scale_factor=1 / factor, mode="bicubic", antialias=True)


def convert(
    image: np.ndarray, size: tuple[int, int] | None, mode: Mode | None, resample: Resample | None = None
) -> np.ndarray:
    """Change an image's mode (ITU-R 601 luma for grey) and resize it to (height, width).

    Shrinking averages areas; enlarging is bicubic. Unchanged where it already fits. With `resample: bicubic` both are
    by Pillow's kernel, antialiased: as `shrunk` shrinks.
    """
    if mode is not None and mode_of(image) != mode:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY if mode == "L" else cv2.COLOR_GRAY2RGB)
    if size is not None and image.shape[:2] != size and resample == "bicubic":
        return hwc(np.stack([_bicubic(plane_HW, size) for plane_HW in chw(image)]))
    if size is not None and image.shape[:2] != size:
        shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        image = cv2.resize(image, (size[1], size[0]), interpolation=method)
    return image


def _bicubic(plane_HW: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A uint8 plane resized by Pillow in float, rounded once: as uint8 it would clip what lies between its passes."""
    resized = Image.fromarray(plane_HW.astype(np.float32)).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.asarray(resized).round().clip(0, 255).astype(np.uint8)


def chw(image: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) to (C, H, W)."""
    return image[None] if image.ndim == 2 else np.moveaxis(image, 2, 0)


def hwc(image_CHW: np.ndarray) -> np.ndarray:
    """(C, H, W) to (H, W) or (H, W, 3), contiguous."""
    return np.ascontiguousarray(image_CHW[0] if len(image_CHW) == 1 else np.moveaxis(image_CHW, 0, 2))
