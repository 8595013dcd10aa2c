from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from adaptgan.errors import DataError
from adaptgan.reporting.images import data_uri, enlarge, png_uri, sheet, stack
from adaptgan.reporting.pairs import spread


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_holds_every_image_in_its_place(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, channels, 4, 6), dtype=np.uint8)
    page = sheet(images, 3, background=9)
    assert page.shape[:2] == (2 * 4 + 1, 3 * 6 + 2)
    for i, image in enumerate(images):
        top, left = i // 3 * 5, i % 3 * 7
        part = page[top : top + 4, left : left + 6]
        np.testing.assert_array_equal(part, image[0] if channels == 1 else np.moveaxis(image, 0, 2))
    assert (page[4] == 9).all()
    assert (page[5:, 14:] == 9).all()  # the last row is short


def test_a_data_uri_is_the_same_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    head, _, body = data_uri(image).partition(",")
    assert head == "data:image/png;base64"
    read = cv2.imdecode(np.frombuffer(base64.b64decode(body), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(read[:, :, ::-1], image)
    with pytest.raises(DataError):
        png_uri(b"<svg onload=alert(1)>")


def test_stack_and_enlarge() -> None:
    stacked = stack([np.zeros((2, 3), np.uint8), np.zeros((1, 2), np.uint8)], gap=1)
    assert stacked.tolist() == [[0, 0, 0], [0, 0, 0], [255, 255, 255], [0, 0, 255]]
    assert enlarge(np.array([[1, 2]], np.uint8), 2).tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]


def test_spread_takes_turns_over_the_classes() -> None:
    labels = np.array([0] * 50 + [1] * 2 + [2] * 50)
    picked = spread(labels, 8, seed=0)
    assert labels[picked].tolist() == [0, 1, 2, 0, 1, 2, 0, 2]  # class 1 has run out
    assert len(set(picked)) == 8
    assert picked == spread(labels, 8, seed=0) != spread(labels, 8, seed=1)
    assert len(spread(labels, 500, seed=0)) == 102
