"""The check of a metric: numbers that say something, for whatever a generator may have made."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from adaptgan.errors import DataError
from adaptgan.metrics.realism import Metric, wants
from adaptgan.plugins import components
from adaptgan.testing.chance import chance
from adaptgan.testing.checks import check_component

N, M, WIDTH, CLASSES = 48, 40, 6, 4

Maker = Callable[[int, int, float], np.ndarray]
"""How many, a seed, and how far from the real ones -> a set to compare."""


def check_metric(config: Any) -> Metric:
    """A metric keeps its promises: see the messages of the assertions.

    It compares made-up sets of what it `wants`: features, class probabilities, or uint8 images. It gives finite plain
    numbers, always under the same names: for sets of different sizes, for single precision, and for a collapsed
    generator's set, in which all are alike. Some number tells a bad set from a good one. Equal seeds give equal
    numbers, whatever the global generators did; the sets are left alone; of too few images it gives numbers, or a
    DataError.

    Args:
        config: its name, or `{name: …, option: …}`.

    Returns:
        The metric.
    """
    name = config if isinstance(config, str) else config["name"]
    check_component("metric", name)
    metric: Metric = components().build("metric", config, "metric")
    wanted = wants(metric)
    assert wanted in MAKERS, f"{name}: it `wants` {wanted!r}, which is none of {', '.join(MAKERS)}"
    make = MAKERS[wanted]
    good, bad, real = make(N, 1, 0.0), make(N, 2, 2.0), make(M, 3, 0.0)
    numbers = _numbers(metric, good, real, f"{name}, {wanted} of {N} and {M} images")
    other = _numbers(metric, bad, real, f"{name}, a bad set")
    assert numbers != other, f"{name}: none of its numbers tells a bad set from a good one: {numbers}"
    sets = {
        "a bad set": bad,
        "a set of which all are alike": np.repeat(bad[:1], N, 0),
        "more images than there are real ones": make(2 * M, 4, 0.5),
        "the real images themselves": real,
        **({"float32": good.astype(np.float32)} if good.dtype == np.float64 else {}),
    }
    for what, one in sets.items():
        found = _numbers(metric, one, real, f"{name}, {what}")
        assert found.keys() == numbers.keys(), (
            f"{name}, {what}: its numbers are {sorted(found)}, and were {sorted(numbers)}; a table needs the same"
        )
    with chance(5):
        again = metric(good, real, 0)
    with chance(6):
        built: Metric = components().build("metric", config, "metric")
        afresh = built(good, real, 0)
    assert numbers == again == afresh, (
        f"{name}: equal sets and seeds give other numbers; draw all randomness from `np.random.default_rng(seed)`"
    )
    for few in (1, 2):
        try:
            _numbers(metric, good[:few], real[:few], f"{name}, {few} image(s)")
        except DataError:
            continue
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(
                f"{name}: of {few} image(s) it raises {type(error).__name__} ({error}); raise a DataError that says "
                "how many it needs"
            ) from error
    return metric


def features(count: int, seed: int, off: float) -> np.ndarray:
    """Float64 (N, F), normal around `off`."""
    return np.random.default_rng(seed).normal(off, 1.0, (count, WIDTH))


def probabilities(count: int, seed: int, off: float) -> np.ndarray:
    """Float64 (N, K), rows sum to 1; the larger `off`, the more of them are of the first class."""
    logits_NK = 2 * np.random.default_rng(seed).normal(size=(count, CLASSES))
    logits_NK[:, 0] += off
    exponents_NK = np.exp(logits_NK - logits_NK.max(1, keepdims=True))
    return np.asarray(exponents_NK / exponents_NK.sum(1, keepdims=True))


def images(count: int, seed: int, off: float) -> np.ndarray:
    """Uint8 (N, 3, H, W): a bright bar across a dim ground; the larger `off`, the more noise is on it."""
    draw = np.random.default_rng(seed)
    images_NCHW = np.full((count, 3, 32, 32), 60.0)
    for image, row in zip(images_NCHW, draw.integers(4, 24, count), strict=True):
        image[:, row : row + 5] = 200
    noise = draw.normal(0, 5 + 30 * off, images_NCHW.shape)
    return np.asarray((images_NCHW + noise).round().clip(0, 255), np.uint8)


MAKERS: dict[str, Maker] = {"features": features, "probabilities": probabilities, "images": images}
"""What a metric may want → made-up sets of it."""


def _numbers(metric: Metric, one: np.ndarray, real: np.ndarray, what: str) -> dict[str, float]:
    before = one.copy(), real.copy()
    with chance(4):
        found: Any = metric(one, real, 0)
    assert np.array_equal(before[0], one) and np.array_equal(before[1], real), f"{what}: it changes what it is shown"
    assert isinstance(found, dict) and found, f"{what}: expected named numbers, found {found!r:.80}"
    for number, value in found.items():
        assert isinstance(number, str) and number, f"{what}: {number!r} is no name"
        assert isinstance(value, float), f"{what}: {number} is a {type(value).__name__}, not a float"
        assert math.isfinite(value), f"{what}: {number} is {value}"
    return found
