"""Points as images: the papers' layouts, their spread, and what rounding to a pixel's values does."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from adaptgan.data.records import Record
from adaptgan.data.sources.gaussians import Gaussians, Layout, modes
from adaptgan.errors import DataError


def draw(layout: Layout, split: str = "train", seed: int = 0, **options: float) -> list[Record]:
    return list(Gaussians(layout, **options).records(split, seed))  # type: ignore[arg-type]


def points(records: list[Record]) -> np.ndarray:
    return np.stack([record.image for record in records]).reshape(-1, 2) / 127.5 - 1


def test_the_ring_is_eight_on_a_circle() -> None:
    expected = [[0.8 * math.cos(k * math.pi / 4), 0.8 * math.sin(k * math.pi / 4)] for k in range(8)]
    np.testing.assert_allclose(modes("ring"), expected, atol=1e-12)


def test_the_grid_is_five_by_five() -> None:
    expected = [[x, y] for x in (-0.8, -0.4, 0, 0.4, 0.8) for y in (-0.8, -0.4, 0, 0.4, 0.8)]
    np.testing.assert_allclose(modes("grid"), expected, atol=1e-12)


@pytest.mark.parametrize("layout", ["ring", "grid"])
def test_points_lie_around_the_mode_that_is_their_label(layout: Layout) -> None:
    records = draw(layout, count=8000)
    centres = modes(layout)
    assert {(record.image.shape, record.image.dtype) for record in records} == {((1, 2), np.dtype(np.uint8))}
    assert len({record.key for record in records}) == 8000
    labels = np.array([record.label for record in records])
    assert chisquare(np.bincount(labels, minlength=len(centres))).pvalue > 1e-3
    away = points(records) - centres[labels]
    # The deviation, and that of a uniform rounding by up to half of 1/127.5.
    expected = math.hypot(0.016, 1 / 127.5 / math.sqrt(12))
    assert expected == pytest.approx(0.0162, abs=5e-5)  # as the docstring says
    assert away.std() == pytest.approx(expected, rel=0.02)
    assert abs(np.corrcoef(away.T)[0, 1]) < 0.04
    smooth = (away + np.random.default_rng(0).uniform(-0.5, 0.5, away.shape) / 127.5) / math.hypot(expected, 0.00226)
    assert kstest(smooth.ravel(), "norm").pvalue > 1e-3


def test_seeds_and_splits_are_different_draws_and_each_the_same_again() -> None:
    first = points(draw("ring", count=50))
    np.testing.assert_array_equal(first, points(draw("ring", count=50)))
    assert not np.array_equal(first, points(draw("ring", count=50, seed=1)))
    assert not np.array_equal(first, points(draw("ring", "test", count=50)))


def test_deviation_and_names() -> None:
    source = Gaussians("grid", count=4000, std=0.04)
    records = list(source.records("train", 0))
    labels = np.array([record.label for record in records])
    assert (points(records) - modes("grid")[labels]).std() == pytest.approx(0.04, rel=0.03)
    assert source.classes[0] == "mode 00" and len(source.classes) == 25 and source.total == 4000
    assert Counter(record.provenance["layout"] for record in records) == {"grid": 4000}


def test_what_cannot_be_is_named() -> None:
    for std in (0.0, 0.06):
        with pytest.raises(DataError, match="std must lie above 0"):
            Gaussians("ring", std=std)
    with pytest.raises(DataError, match="no split 'val'"):
        draw("ring", "val")
