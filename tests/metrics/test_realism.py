"""Sets against the real one: by features in every space, by images once, and the floor."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from adaptgan.metrics.realism import FLOOR, explained, halves, measure, measure_images, wants


class Brightness:
    """How much brighter the judged images are."""

    wants: ClassVar[str] = "images"
    numbers: ClassVar[dict[str, str]] = {"brighter": "mean difference of pixels"}

    def __init__(self) -> None:
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []

    def __call__(self, images_NCHW: np.ndarray, real_NCHW: np.ndarray, seed: int) -> dict[str, float]:
        self.seen.append((images_NCHW, real_NCHW))
        return {"brighter": float(images_NCHW.mean() - real_NCHW.mean()), "seed": float(seed)}


@pytest.fixture
def images() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    real = rng.integers(0, 100, (21, 1, 4, 5), np.uint8)
    return {"target": real, "source": real + np.uint8(50), "adapted": real[:7] + np.uint8(3)}


def test_images_are_given_as_they_are(images: dict[str, np.ndarray]) -> None:
    metric = Brightness()
    assert wants(metric) == "images"
    found = measure_images(images, "target", {"brightness": metric}, seed=5)
    assert list(found) == ["source", "adapted", FLOOR]
    assert found["source"] == {"brighter": pytest.approx(50), "seed": 5}
    expected = images["target"][:7].mean() + 3 - images["target"].mean()
    assert found["adapted"]["brighter"] == pytest.approx(expected)
    assert all(one.dtype == other.dtype == np.uint8 for one, other in metric.seen)
    assert len(metric.seen) == 3


def test_the_floor_is_the_same_halves_in_every_space(images: dict[str, np.ndarray]) -> None:
    one, other = halves(21, seed=5)
    assert len(one) == 10 and sorted([*one, *other]) == list(range(21))
    metric = Brightness()
    measure_images(images, "target", {"brightness": metric}, seed=5)
    np.testing.assert_array_equal(metric.seen[-1][0], images["target"][one])
    np.testing.assert_array_equal(metric.seen[-1][1], images["target"][other])
    seen: list[np.ndarray] = []

    def keep(a_NF: np.ndarray, b_NF: np.ndarray, seed: int) -> dict[str, float]:
        seen.append(a_NF)
        return {"x": 0.0}

    numbers_N1 = {name: np.arange(1.0, len(part) + 1)[:, None] for name, part in images.items()}
    measure({"space": numbers_N1}, "target", "space", {"keep": keep}, seed=5)
    scale = np.sqrt((np.arange(1, 22) ** 2).mean())
    np.testing.assert_allclose(seen[-1][:, 0] * scale, one + 1.0)


def test_a_floor_of_its_own_is_left_as_it_is(images: dict[str, np.ndarray]) -> None:
    metric = Brightness()
    given = {"target": images["target"], FLOOR: images["target"] + np.uint8(9)}
    found = measure_images(given, "target", {"brightness": metric}, seed=0)
    assert list(found) == [FLOOR]
    assert found[FLOOR]["brighter"] == pytest.approx(9)


def test_numbers_are_explained_by_metrics_that_tell() -> None:
    assert explained([Brightness(), lambda a, b, seed: {}]) == {"brighter": "mean difference of pixels"}
