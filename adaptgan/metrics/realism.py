"""Realism and domain gap of sets of images, in several feature spaces so that no single network is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from adaptgan.metrics.spaces import scale_to_unit

Metric = Callable[[np.ndarray, np.ndarray, int], dict[str, float]]
"""features (N, F), features (M, F), seed -> named numbers; a component of kind `metric`.

The first set is the one that is judged, the second the real one. A metric with an attribute `wants = "probabilities"`
is given class probabilities (N, K) and (M, K) instead of features; with `wants = "images"` the images themselves, uint8
(N, C, H, W) and (M, C, H, W), once, whatever feature spaces there are. With an attribute `numbers` (name -> what that
number says, in a few words) its numbers are explained where they are shown.
"""

FLOOR = "floor"
"""One half of the real images against the other: what no set of images can be expected to beat."""


def wants(metric: Metric) -> str:
    """What a metric is given: `features`, `probabilities` of classes, or `images`."""
    return getattr(metric, "wants", "features")


def explained(metrics: Iterable[Metric]) -> dict[str, str]:
    """What numbers say, by name: of all metrics that tell (`numbers`)."""
    return {name: text for metric in metrics for name, text in getattr(metric, "numbers", {}).items()}


def halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers below `count` in two halves, at random: what the floor compares."""
    order = np.random.default_rng(seed).permutation(count)
    return order[: count // 2], order[count // 2 :]


def measure(
    features: Mapping[str, Mapping[str, np.ndarray]],
    real: str,
    main: str,
    metrics: Mapping[str, Metric],
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Compare every set with the real one, in every space.

    Args:
        features: space → set → (N, F) features.
        real: the set that the others are compared with.
        main: the space whose numbers are the headline; the others go under `cross_check`.
        metrics: by name.
        seed: decides subsets and splits.

    Returns:
        set → {number: value, "cross_check": {space: {number: value}}}, with the floor as a set of its own. The floor
        compares halves, so its spread is wider than that of the full sets.
    """
    result: dict[str, dict[str, Any]] = {}
    for space in [main, *(name for name in features if name != main)]:
        names = [name for name in features[space] if name != real]
        reference, *others = scale_to_unit(features[space][real], *(features[space][name] for name in names))
        one_half, other_half = halves(len(reference), seed)
        pairs = {name: (other, reference) for name, other in zip(names, others, strict=True)}
        pairs[FLOOR] = (reference[one_half], reference[other_half])
        for name, (one, other) in pairs.items():
            numbers: dict[str, Any] = {}
            for metric in metrics.values():
                numbers |= metric(one, other, seed)
            if space == main:
                result[name] = numbers | {"cross_check": {}}
            else:
                result[name]["cross_check"][space] = numbers
    return result


def measure_images(
    images: Mapping[str, np.ndarray], real: str, metrics: Mapping[str, Metric], seed: int
) -> dict[str, dict[str, float]]:
    """Compare every set with the real one by metrics that want images.

    Args:
        images: set → uint8 (N, C, H, W).
        real: the set that the others are compared with.
        metrics: by name.
        seed: decides subsets and splits.

    Returns:
        set → numbers. The floor, a set of its own unless `images` has one, compares the halves that `measure` does.
    """
    pairs = {name: (one, images[real]) for name, one in images.items() if name != real}
    if FLOOR not in pairs:
        one_half, other_half = halves(len(images[real]), seed)
        pairs[FLOOR] = (images[real][one_half], images[real][other_half])
    return {
        name: {number: value for metric in metrics.values() for number, value in metric(one, other, seed).items()}
        for name, (one, other) in pairs.items()
    }
