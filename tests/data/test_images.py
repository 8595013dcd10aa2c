from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from adaptgan.data.images import convert, decode_png, encode_png, to_float, to_uint8
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


def test_nothing_changes_where_it_fits() -> None:
    assert convert(GREY, (9, 7), "L") is GREY
