"""The same records before and after refinement, found by provenance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptgan.data.dataset import ShardDataset
from adaptgan.errors import DataError


@dataclass(frozen=True)
class Pairs:
    """Records in two data sets, one made from the other.

    Attributes:
        before_NCHW: uint8 images as they were drawn.
        after_NCHW: the same records, refined.
        labels: their class names.
        keys: their keys in the refined set.
        details: what provenance says of each.
    """

    before_NCHW: np.ndarray
    after_NCHW: np.ndarray
    labels: list[str]
    keys: list[str]
    details: list[dict[str, object]]


def find_pairs(
    source: ShardDataset, refined: ShardDataset, count: int, seed: int, among: np.ndarray | None = None
) -> Pairs:
    """Up to `count` records, spread evenly over the classes and cycling through them: 0 1 2 … 0 1 2 ….

    Args:
        source: what was translated.
        refined: the translations.
        count: how many at most.
        seed: decides which.
        among: numbers of the refined records to choose from; None for all.

    Raises:
        DataError: a refined record does not say which source record it was made from, or names one that is not there.
    """
    numbers = np.arange(len(refined)) if among is None else among
    picked = [int(numbers[i]) for i in spread(refined.labels_N[numbers], count, seed)]
    places = {key: i for i, key in enumerate(source.keys)}
    before, labels, keys, details = [], [], [], []
    for i in picked:
        record = refined.record(i)
        origin = record.provenance.get("source_key")
        if "latent" in record.provenance:
            raise DataError(
                f"{refined.folder}: its images were made from noise, so there is nothing before to show them beside. "
                "Leave it out here; a row that was trained on it is evaluated as any other."
            )
        if origin not in places:
            raise DataError(
                f"{refined.folder}: record {record.key!r} was made from {origin!r}, which {source.folder} does not "
                "have. It was refined from another data set: run `adaptgan synthesize` again."
            )
        before.append(places[origin])
        labels.append(refined.classes[int(refined.labels_N[i])])
        keys.append(record.key)
        details.append(record.provenance)
    return Pairs(source.images_NCHW[before], refined.images_NCHW[picked], labels, keys, details)


def spread(labels_N: np.ndarray, count: int, seed: int) -> list[int]:
    """Indices of up to `count` records, drawn at random within classes, the classes taking turns."""
    rng = np.random.default_rng(seed)
    queues = [list(rng.permutation(np.flatnonzero(labels_N == k))) for k in np.unique(labels_N)]
    picked: list[int] = []
    while len(picked) < count and any(queues):
        for queue in queues:
            if queue and len(picked) < count:
                picked.append(int(queue.pop()))
    return picked


def random_images(data: ShardDataset, count: int, seed: int) -> np.ndarray:
    """Up to `count` images at random, uint8 NCHW: no label is asked for, so none can steer the choice."""
    picked = np.random.default_rng(seed).choice(len(data), min(count, len(data)), replace=False)
    return np.asarray(data.images_NCHW[np.sort(picked)])
