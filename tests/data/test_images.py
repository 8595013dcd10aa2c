from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from adaptgan.data.images import chw, convert, decode_png, encode_png, shrunk, to_float, to_uint8
from adaptgan.errors import DataError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (9, 7), np.uint8)
COLOUR = RNG.integers(0, 256, (9, 7, 3), np.uint8)


def test_all_bytes_survive_the_way_to_float_and_back() -> None:
    bytes_ = torch.arange(256, dtype=torch.uint8)
    floats = to_float(bytes_)
    assert floats[0] == -1 and floats[255] == 1
    assert torch.equal(to_uint8(floats), bytes_)
    assert to_uint8(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


@pytest.mark.parametrize("image", [GREY, COLOUR])
def test_png_is_lossless_and_pillow_reads_the_same(image: np.ndarray) -> None:
    data = encode_png(image)
    np.testing.assert_array_equal(decode_png(data), image)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), image)


@pytest.mark.parametrize("data", [b"", b"no image", encode_png(GREY)[:40]])
def test_damaged_png_is_named(data: bytes) -> None:
    with pytest.raises(DataError, match="record 7"):
        decode_png(data, "record 7")


def test_grey_conversion_is_pillows() -> None:
    expected = np.asarray(Image.fromarray(COLOUR).convert("L"), int)
    assert np.abs(convert(COLOUR, None, "L").astype(int) - expected).max() <= 1
    np.testing.assert_array_equal(convert(GREY, None, "RGB"), np.stack([GREY] * 3, 2))


def test_shrinking_by_whole_factors_averages_areas() -> None:
    image = RNG.integers(0, 256, (8, 12), np.uint8)
    expected = image.reshape(4, 2, 6, 2).mean((1, 3))
    assert np.abs(convert(image, (4, 6), None) - expected).max() <= 0.5


@pytest.mark.parametrize(
    "image", [RNG.integers(0, 256, (12, 16), np.uint8), RNG.integers(0, 256, (12, 16, 3), np.uint8)]
)
def test_bicubic_is_the_same_cubic_everywhere(image: np.ndarray) -> None:
    """Keys' kernel with a = −½, widened by the factor, as weights of one line: for `resample` and for training."""

    def cubic(x: np.ndarray) -> np.ndarray:
        x = np.abs(x)
        near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        return np.where(x < 1, near, np.where(x < 2, far, 0))

    def weights(size: int, factor: int) -> np.ndarray:
        centres, places = (np.arange(size // factor) + 0.5) * factor, np.arange(size) + 0.5
        found = cubic((places[None] - centres[:, None]) / factor)
        return found / found.sum(1, keepdims=True)

    for factor in (2, 4):
        rows, columns = weights(12, factor), weights(16, factor)
        expected = np.einsum("ah,bw,hw...->ab...", rows, columns, image.astype(float))
        small = convert(image, (12 // factor, 16 // factor), None, "bicubic")
        assert np.abs(small - expected.clip(0, 255)).max() <= 0.501
        learned = shrunk(torch.from_numpy(chw(image).copy())[None], factor)[0].numpy()
        np.testing.assert_allclose(learned, chw(expected), atol=1e-3)
        assert np.abs(convert(image, small.shape[:2], None).astype(float) - small).max() > 5


def test_nothing_changes_where_it_fits() -> None:
    assert convert(GREY, (9, 7), "L") is GREY
