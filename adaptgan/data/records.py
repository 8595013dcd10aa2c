"""A record: one image and all that is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Record:
    """One image with its label, annotations and history.

    Attributes:
        key: unique in its data set; letters, digits, `_` and `-` only (it becomes a file name).
        image: uint8, (H, W) for grey or (H, W, 3) for colour, 0..255.
        paired: the same scene in the other domain, of the same height and width: what a paired translator (pix2pix)
            shall make of `image`. None where there is none.
        label: index into the data set's classes; None when unlabelled.
        annotations: whatever else belongs to the image (boxes, keypoints, a gaze vector, a caption), carried
            unchanged through `synthesize`.
        provenance: where it came from: file or font, source key and hash, model fingerprint, seed, gate scores.
    """

    key: str
    image: np.ndarray
    label: int | None = None
    annotations: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    paired: np.ndarray | None = None
