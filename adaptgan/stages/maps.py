"""The feature map: where source and target lie in a network's features, before and after adaptation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from adaptgan.data.dataset import ShardDataset
from adaptgan.metrics.feature_map import embed
from adaptgan.stages.candidates import parts_of, some
from adaptgan.stages.rows import Row

POINTS = 400
"""Images of each domain: more could not be told apart on the page."""


def feature_map(
    candidates: Mapping[str, Row], names: tuple[str, str], sets: Mapping[str, ShardDataset], seed: int
) -> dict[str, Any]:
    """Coordinates of source and target images in the features of source-only and of the selected row.

    Source points carry their true class. Target points carry the class that the network predicts: their labels are
    sealed, and this picture opens none.

    Args:
        candidates: rows and snapshots.
        names: source-only's and the selected one's; when they are the same there is one panel.
        sets: all sets by role.
        seed: decides which images.

    Returns:
        `classes`, and `panels`: each with `row`, `training_set`, and under `source` and `target` the `points` (x and y
        in [0, 1]) and `classes` (indices). No panel for a network that has no features.
    """
    panels = []
    target = sets["target"].images_NCHW[some(np.arange(len(sets["target"])), POINTS, seed)]
    for name in dict.fromkeys(names):
        row = candidates[name]
        if not row.reader.has_features:
            continue
        parts = parts_of(row, sets, seed)
        # Whoever never saw a source, or one that is not at hand, is shown on ours.
        data, indices = (parts.data, parts.learned) if parts else (sets["source"], np.arange(len(sets["source"])))
        picked = some(indices, POINTS, seed)
        probabilities_NK, target_NF = row.reader.both(target)
        source_NF = row.reader.features(data.images_NCHW[picked])
        if target_NF is None or len(source_NF) + len(target_NF) < 4:
            continue
        source_N2, target_N2 = embed([source_NF, target_NF])
        panels.append(
            {
                "row": name,
                "training_set": row.training_set if parts else "source",
                "source": _points(source_N2, data.labels_N[picked]),
                "target": _points(target_N2, probabilities_NK.argmax(1)),
            }
        )
    return {"classes": list(sets["source"].classes), "panels": panels}


def _points(plane_N2: np.ndarray, classes_N: np.ndarray) -> dict[str, Any]:
    return {"points": plane_N2.round(4).tolist(), "classes": classes_N.tolist()}
