"""Realism and domain gap of sets of images, in several feature spaces so that no single network is believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from adaptgan.metrics.spaces import scale_to_unit

Metric = Callable[[np.ndarray, np.ndarray, int], dict[str, float]]
"""features (N, F), features (M, F), seed -> named numbers; a component of kind `metric`.

The first set is the one that is judged, the second the real one. A metric with an attribute `wants = "probabilities"`
is given class probabilities (N, K) and (M, K) instead of features.
"""

FLOOR = "floor"
"""One half of the real images against the other: what no set of images can be expected to beat."""


def wants(metric: Metric) -> str:
    """What a metric is given: `features`, or `probabilities` of classes."""
    return getattr(metric, "wants", "features")


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
        halves = np.random.default_rng(seed).permutation(len(reference))
        middle = len(reference) // 2
        pairs = {name: (other, reference) for name, other in zip(names, others, strict=True)}
        pairs[FLOOR] = (reference[halves[:middle]], reference[halves[middle:]])
        for name, (one, other) in pairs.items():
            numbers: dict[str, Any] = {}
            for metric in metrics.values():
                numbers |= metric(one, other, seed)
            if space == main:
                result[name] = numbers | {"cross_check": {}}
            else:
                result[name]["cross_check"][space] = numbers
    return result
