"""The instrument against bars, rings and italics whose slant and width are known from how they are drawn."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from adaptgan.data.masks import decode
from adaptgan.data.measures import ink, measured, slant, thickness
from adaptgan.errors import DataError

FINE = 16


def plane(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates from the centre, y upwards, on a grid FINE times as fine as the image."""
    ticks = (np.arange(size * FINE) + 0.5) / FINE - size / 2
    return ticks[None, :], -ticks[:, None]


def drawn(shape: np.ndarray, level: float = 255.0) -> np.ndarray:
    """A fine boolean picture averaged down: an image with smooth edges."""
    size = len(shape) // FINE
    return (shape.reshape(size, FINE, size, FINE).mean((1, 3)) * level).round().astype(np.uint8)


def bar(
    width: float, angle: float, length: float = 18, size: int = 32, shift: tuple[float, float] = (0, 0)
) -> np.ndarray:
    """A bar `angle` degrees clockwise from upright."""
    x, y = plane(size)
    x, y, turn = x - shift[0], y - shift[1], math.radians(angle)
    along, across = x * math.sin(turn) + y * math.cos(turn), x * math.cos(turn) - y * math.sin(turn)
    return drawn((abs(along) < length / 2) & (abs(across) < width / 2))


@pytest.mark.parametrize("width", [1.5, 2.0, 3.0, 4.5, 6.0])
@pytest.mark.parametrize("angle", [0, 17, 45, 71, 90])
def test_a_bar_is_as_thick_as_it_was_drawn(width: float, angle: float) -> None:
    assert thickness(bar(width, angle, shift=(0.3, -0.4))) == pytest.approx(width, abs=0.2)


def test_a_ring_is_as_thick_as_it_was_drawn() -> None:
    x, y = plane(32)
    assert thickness(drawn(abs(np.hypot(x, y) - 8) < 1.5)) == pytest.approx(3, abs=0.15)


def test_thickness_is_in_pixels_of_the_image() -> None:
    small, large = bar(3, 30), bar(6, 30, length=36, size=64)
    assert thickness(large) == pytest.approx(2 * thickness(small), abs=0.15)


def test_thickness_ignores_brightness_and_place() -> None:
    assert thickness((bar(3, 20) * 0.5).astype(np.uint8)) == pytest.approx(thickness(bar(3, 20)), abs=0.05)
    assert thickness(np.roll(bar(3, 20), 5, 1)) == thickness(bar(3, 20))
    assert thickness(bar(3, 0)[7:25, 14:18]) == pytest.approx(3, abs=0.15)  # ink up to the border


@pytest.mark.parametrize("lean", [-40, -10, 0, 5, 25])
def test_slant_of_a_sheared_letter_is_the_shear(lean: float) -> None:
    """An H is symmetric, so that all its slant is the shear that italics are made with."""
    x, y = plane(32)
    x = x - math.tan(math.radians(lean)) * y
    stems, beam = (abs(abs(x) - 5) < 1) & (abs(y) < 8), (abs(y) < 1) & (abs(x) < 6)
    image = drawn(stems | beam)
    assert slant(image) == pytest.approx(lean, abs=0.3)
    assert slant(image[:, ::-1]) == pytest.approx(-slant(image))
    assert slant(np.pad(image, ((0, 9), (5, 0))) // 2) == pytest.approx(slant(image), abs=0.3)


def test_slant_is_opencvs_moments() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 31), np.uint8)
    moments = cv2.moments(image.astype(np.float64))
    assert slant(image) == pytest.approx(math.degrees(math.atan(-moments["mu11"] / moments["mu02"])), abs=1e-9)


def test_deskewing_by_the_slant_leaves_none() -> None:
    image = bar(3, 24)
    shift = math.tan(math.radians(slant(image)))
    matrix = np.array([[1, -shift, shift * 15.5], [0, 1, 0]])  # read to the left of where it leans
    upright = cv2.warpAffine(image, matrix, (32, 32), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    assert abs(slant(upright)) < 0.5


def test_ink_is_what_is_above_half_of_the_brightest() -> None:
    image = np.array([[0, 50, 51], [100, 49, 0]], np.uint8)
    np.testing.assert_array_equal(ink(image), [[False, False, True], [True, False, False]])


def test_a_row_of_ink_has_no_slant_and_a_black_image_no_measure() -> None:
    row = np.zeros((9, 9), np.uint8)
    row[4, 2:7] = 255
    assert slant(row) == 0
    for measure in (ink, slant, thickness):
        with pytest.raises(DataError, match="black all over"):
            measure(np.zeros((9, 9), np.uint8))


def test_only_what_is_asked_is_measured() -> None:
    image = bar(3, 10)
    assert measured(image, []) == {}
    assert measured(np.zeros((9, 9), np.uint8), []) == {}  # and a black image is fine as long as nobody asks
    both = measured(image, ["mask", "values"])
    assert both["values"] == {"slant": round(slant(image), 3), "thickness": round(thickness(image), 3)}
    mask, classes = decode(both["mask"])
    np.testing.assert_array_equal(mask == 1, ink(image))
    assert classes == ("background", "digit")
