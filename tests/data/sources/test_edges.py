from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy import ndimage

from adaptgan import load_dataset
from adaptgan.data.records import Record
from adaptgan.data.sources.base import Corrupt
from adaptgan.data.sources.edges import Edges
from adaptgan.data.sources.mnist_m import MnistM
from adaptgan.data.sources.uci_digits import UCIDigits
from adaptgan.errors import DataError, ParamsError


class Few:
    """A source of given records."""

    classes: tuple[str, ...] = ()

    def __init__(self, *records: Record | Corrupt) -> None:
        self.given = records

    def records(self, split: str, seed: int) -> Any:
        self.classes = ("a", "b")  # known only now, as of a folder
        return iter(self.given)


def step(rise: int = 255, size: int = 12) -> np.ndarray:
    image = np.zeros((size, size), np.uint8)
    image[:, size // 2 :] = rise
    return image


def test_everything_but_the_image_stays() -> None:
    record = Record("k", step(), 1, {"boxes": [[1, 2, 3, 4]]}, {"file": "k.png"})
    edges = Edges(Few(record, Corrupt("broken.png", "why")))
    drawn, corrupt = edges.records("train", 0)
    assert edges.classes == ("a", "b")
    assert isinstance(drawn, Record) and drawn.paired is record.image
    assert (drawn.key, drawn.label) == ("k", 1)
    assert (drawn.annotations, drawn.provenance) == (record.annotations, record.provenance)
    assert corrupt == Corrupt("broken.png", "why")


def test_canny_draws_one_line_where_a_step_is_high_enough() -> None:
    """A step of 80 has a slope of 80: above the threshold of 79 and below that of 81."""
    columns = Edges(Few(), low=79, high=79).drawing(step(80)).any(axis=0)
    assert columns.sum() == 1 and (columns[5] or columns[6])
    assert not Edges(Few(), low=81, high=81).drawing(step(80)).any()


def test_canny_follows_a_line_that_fades() -> None:
    """Above `low` and joined to what is above `high`: the weak half is drawn, but not when it stands alone."""
    image = step(200, 24)
    image[12:, 12:] = 60
    joined = Edges(Few(), low=50, high=150).drawing(image)
    assert joined[2:22, 10:14].any(axis=1).all()
    assert not Edges(Few(), low=50, high=150).drawing(step(60, 24)).any()


def test_the_gradient_is_scipys() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 14), dtype=np.uint8)
    across, down = (ndimage.sobel(image.astype(float), axis, mode="nearest") / 4 for axis in (1, 0))
    expected = np.clip(np.hypot(across, down), 0, 255)
    assert np.abs(Edges(Few(), "gradient").drawing(image) - expected).max() <= 0.5001


def test_of_a_colour_image_the_steepest_channel_counts() -> None:
    channels = [step(rise) for rise in (20, 90, 40)]
    colour = np.stack(channels, axis=2)
    drawing = Edges(Few(), "gradient").drawing(colour)
    np.testing.assert_array_equal(drawing, Edges(Few(), "gradient").drawing(channels[1]))
    assert drawing.max() == 90
    assert Edges(Few(), low=80, high=80).drawing(colour).any()
    assert not Edges(Few(), low=95, high=95).drawing(colour).any()


def test_blur_lowers_the_slope() -> None:
    image = step(200, 24)
    steepest = 2 * 200 / (2 * np.pi) ** 0.5 / 2  # over two pixels, of a step smoothed by a Gaussian of 2 pixels
    assert Edges(Few(), "gradient", blur=2).drawing(image).max() == pytest.approx(steepest, rel=0.1)


def test_inverted_drawings_are_dark_on_white() -> None:
    plain, inverted = (Edges(Few(), invert=invert).drawing(step()) for invert in (False, True))
    np.testing.assert_array_equal(inverted, 255 - plain)
    assert inverted[0, 0] == 255


def test_drawings_of_real_digits_outline_them() -> None:
    digits = list(UCIDigits(image_size=16).records("test", 0))
    drawn = list(Edges(UCIDigits(image_size=16)).records("test", 0))
    assert [one.key for one in drawn] == [one.key for one in digits]
    for one, other in zip(drawn, digits, strict=True):
        assert isinstance(one, Record)
        np.testing.assert_array_equal(one.paired, other.image)
        assert one.image.shape == (16, 16) and set(np.unique(one.image)) == {0, 255}
        near = cv2.dilate(other.image, np.ones((3, 3), np.uint8)) > 0
        assert not one.image[~near].any()


def test_ingested_by_name(ingested: Callable[..., Path]) -> None:
    section = {"dataset": {"name": "edges", "of": {"name": "mnist_m", "annotate": ["mask"]}}, "limit": 5}
    data = load_dataset(ingested(section))
    originals = [record for record, _ in zip(MnistM().records("train", 0), range(5), strict=False)]
    assert (data.info.channels, data.info.paired, data.info.classes) == (1, 3, MnistM.classes)
    np.testing.assert_array_equal(data.paired_NCHW, np.stack([np.moveaxis(one.image, 2, 0) for one in originals]))
    assert [int(label) for label in data.labels_N] == [one.label for one in originals]
    assert "mask" in data.record(0).annotations


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 60, "high": 50}, "`low` .60. must not be above `high` .50."),
        ({"low": -1}, "low"),
        ({"detector": "sobel"}, "canny"),
        ({"of": None}, "needs a dataset"),
        ({"of": "edgez"}, "unknown dataset"),
    ],
)
def test_wrong_options(ingested: Callable[..., Path], options: dict[str, Any], message: str) -> None:
    with pytest.raises((ParamsError, DataError), match=message):
        ingested({"dataset": {"name": "edges", "of": "uci_digits", **options}})


def test_a_pair_is_not_drawn_over() -> None:
    records = Edges(Few(Record("k", step(), paired=step()))).records("train", 0)
    with pytest.raises(DataError, match="k has a paired image already"):
        next(records)
