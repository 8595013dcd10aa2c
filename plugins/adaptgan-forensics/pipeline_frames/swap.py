"""Frames of which the figure alone was made, and frames of which the ground alone was: which of them is detected?

    python plugins/adaptgan-forensics/pipeline_frames/swap.py --real data/frames/dancer/test \
        --made data/frames/made/single/0/test --out data/frames/swapped/single/0

Writes the data sets `figure` and `ground` into `--out`. The figure is what lies within 6 pixels of its true bones.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from adaptgan_video.actors import Figure

from adaptgan import load_dataset
from adaptgan.data.shards import ShardWriter
from adaptgan.files import staged

REACH = 6
"""Pixels around a bone, and two more around the head: limbs, and what is blurred of them."""


def near_bones(keypoints_J2: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bool (H, W, 1)."""
    canvas_HW = np.zeros((height, width), np.uint8)
    places = [tuple(place) for place in keypoints_J2.astype(int).tolist()]
    for start, end in Figure.bones:
        cv2.line(canvas_HW, places[start], places[end], 1, 2 * REACH + 1)
    cv2.circle(canvas_HW, places[Figure.joints.index("head")], REACH + 2, 1, -1)
    return canvas_HW[:, :, None] > 0


def swap(real: Path, made: Path, out: Path) -> None:
    """Write both data sets; frames of one key belong together."""
    ours, theirs = load_dataset(real), load_dataset(made)
    if ours.keys != theirs.keys:
        raise SystemExit(f"{real} and {made} hold frames of other names; expected the same dances in both.")
    for part in ("figure", "ground"):
        with staged(out / part) as folder, ShardWriter(folder, ours.classes) as writer:
            for number in range(len(ours)):
                one, other = ours.record(number), theirs.record(number)
                figure_HW1 = near_bones(np.array(one.annotations["keypoints"]), *one.image.shape[:2])
                taken_HW1 = figure_HW1 if part == "figure" else ~figure_HW1
                writer.write(replace(one, image=np.where(taken_HW1, other.image, one.image)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("real", "made", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    swap(options.real, options.made, options.out)
