"""Opening a user's image file: any format Pillow reads, to uint8 grey or RGB, or the reason why not."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from adaptgan.data.sources.base import Corrupt
from adaptgan.errors import DataError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm")


def open_image(content: Path | bytes, name: str) -> np.ndarray | Corrupt:
    """Decode an image to uint8 (H, W) or (H, W, 3).

    Lossless changes only: palettes become RGB, 1-bit becomes grey, an alpha channel that is opaque everywhere is
    dropped, and the camera's orientation tag is obeyed.

    Args:
        content: the file, or its bytes.
        name: how to call it in messages.

    Raises:
        DataError: it is readable, but of a kind that could only be converted with loss (16 bits, transparency, CMYK).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # odd metadata; the pixels count
            with Image.open(io.BytesIO(content) if isinstance(content, bytes) else content) as opened:
                opened.load()
                image = ImageOps.exif_transpose(opened)
    except FileNotFoundError:
        return Corrupt(name, "there is no such file")
    except PermissionError:
        raise
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        Image.DecompressionBombWarning,
        Image.DecompressionBombError,
    ) as error:
        return Corrupt(name, _reason(error))
    return np.asarray(_plain(image, name))


def _plain(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("LA", "RGBA"):
        low, _ = image.getchannel("A").getextrema()
        if low < 255:  # type: ignore[operator]
            raise DataError(
                f"{name}: this image is transparent in places, and what is behind it is not known. "
                "Flatten it on a background first, in all images alike."
            )
        return image.convert(image.mode[:-1])
    if image.mode not in ("L", "RGB"):
        raise DataError(
            f"{name}: images must be of 8 bits, grey or RGB; this one has the mode {image.mode} of Pillow. "
            "Convert it first, in all images alike."
        )
    return image


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if "cannot identify image file" in text:
        return "not an image that Pillow can identify"
    return text[:200] or type(error).__name__
