"""How good animations and transferred frames are, and how well keypoints that nobody named track the true joints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from adaptgan.errors import DataError, ParamsError
from adaptgan_video import affine
from adaptgan_video.fomm import FOMM
from adaptgan_video.pose_to_frame import PoseToFrame
from adaptgan_video.videos import Video, Videos

_AT_ONCE = 64
"""Frames that go through a network together."""

SCALES = {
    "l1": "mean absolute difference from the true frames, of images from 0 to 1",
    "flicker": "the same of the differences between neighbouring frames, made and true",
    "tracking": "mean distance from the true joints, in pixels, of what a linear regression makes of the keypoints",
}
"""What the numbers are."""

Rows = dict[str, dict[str, float]]


def reconstruction(model: FOMM, videos: Videos) -> Rows:
    """Every video from its own first frame: `made`, and `copied`, where that frame stands still (Siarohin 2019, §4).

    The first frame itself does not count.
    """
    made, copied, device = Mean(), Mean(), device_of(model)
    for video in videos.all:
        frames_TCHW = videos.images(video.records, device)
        if len(frames_TCHW) < 2:
            continue
        made.see((reconstructed(model, frames_TCHW) - frames_TCHW)[1:] / 2)
        copied.see((frames_TCHW[:1] - frames_TCHW)[1:] / 2)
    return {"made": {"l1": made.value}, "copied": {"l1": copied.value}}


def reconstructed(model: FOMM, frames_TCHW: torch.Tensor) -> torch.Tensor:
    """A video made of its own first frame, (T, C, H, W)."""
    first_1CHW = frames_TCHW[:1]
    return torch.cat([model.animate(first_1CHW.expand_as(part), part) for part in frames_TCHW.split(_AT_ONCE)])


def tracking(model: FOMM, train: Videos, test: Videos) -> Rows:
    """How far the keypoints are from telling where the joints are (the protocol of Thewlis 2017, §4).

    A linear regression from the K keypoints' places to the J joints is fitted on `train`'s frames, and its mean error
    in pixels is measured on `test`'s. Beside it: `mean`, every joint's mean place in `train`, and `copied`, the true
    places in the video's first frame, which counts itself.
    """
    true_NJ2 = test.joints()
    mean_J2 = train.joints().mean(0)
    weights = regression(found_keypoints(model, train), train.joints().reshape(len(train.data), -1))
    guessed_NJ2 = predicted(found_keypoints(model, test), weights).reshape(true_NJ2.shape)
    copied_NJ2 = np.empty_like(true_NJ2)
    for video in test.all:
        copied_NJ2[video.records] = true_NJ2[video.records[0]]
    guesses = {"made": guessed_NJ2, "mean": np.broadcast_to(mean_J2, true_NJ2.shape), "copied": copied_NJ2}
    return {name: {"tracking": distance(guess_NJ2, true_NJ2)} for name, guess_NJ2 in guesses.items()}


def found_keypoints(model: FOMM, videos: Videos) -> np.ndarray:
    """Places of the keypoints in all records, in [-1, 1], float64 (N, 2 K)."""
    device, parts = device_of(model), np.array_split(np.arange(len(videos.data)), -(-len(videos.data) // _AT_ONCE))
    found = [affine.places(model.keypoints(videos.images(part, device))).cpu() for part in parts]
    return torch.cat(found).flatten(1).double().numpy()


def regression(inputs_NF: np.ndarray, outputs_ND: np.ndarray) -> np.ndarray:
    """Least squares with a constant, (F + 1, D)."""
    weights: np.ndarray = np.linalg.lstsq(_with_one(inputs_NF), outputs_ND, rcond=None)[0]
    return weights


def predicted(inputs_NF: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What a regression says, (N, D)."""
    outputs_ND: np.ndarray = _with_one(inputs_NF) @ weights
    return outputs_ND


def distance(guessed_NJ2: np.ndarray, true_NJ2: np.ndarray) -> float:
    """Mean Euclidean distance."""
    return float(np.linalg.norm(guessed_NJ2 - true_NJ2, axis=-1).mean())


def transfer(model: PoseToFrame, videos: Videos) -> Rows:
    """Every video from its poses: `made`, and `first`, each frame made as if it were the first.

    `flicker` asks whether what changes from frame to frame is what should: ‖(ŷ_t − ŷ_{t−1}) − (y_t − y_{t−1})‖₁.
    """
    device = device_of(model)
    sums = {name: (Mean(), Mean()) for name in ("made", "first")}
    for video in videos.all:
        poses_TCHW, true_TCHW = videos.images(video.records, device), videos.paired(video.records, device)
        for name, made_TCHW in (("made", rendered(model, poses_TCHW)), ("first", model.translate(poses_TCHW))):
            l1, flicker = sums[name]
            l1.see((made_TCHW - true_TCHW) / 2)
            flicker.see((made_TCHW - true_TCHW).diff(dim=0) / 2)
    return {name: {"l1": l1.value, "flicker": flicker.value} for name, (l1, flicker) in sums.items()}


def rendered(model: PoseToFrame, poses_TCHW: torch.Tensor) -> torch.Tensor:
    """One video of its poses, (T, C', H, W)."""
    return model.render(poses_TCHW[None])[0]


class Mean:
    """The mean absolute value of all that it sees."""

    def __init__(self) -> None:
        self.sum, self.count = 0.0, 0

    def see(self, difference: torch.Tensor) -> None:
        """Count more."""
        self.sum += difference.abs().double().sum().item()
        self.count += difference.numel()

    @property
    def value(self) -> float:
        """Raises DataError when nothing was seen."""
        if not self.count:
            raise DataError("There is no video of two frames or more, so there is nothing to measure.")
        return self.sum / self.count


def scored(model: Any, test: Videos, train: Videos | None) -> dict[str, Any]:
    """All that can be measured of a model: `rows` of numbers, how many `videos` and `frames`, and the `scales`.

    Raises:
        ParamsError: it is no model of this plugin's.
    """
    if isinstance(model, FOMM):
        rows = reconstruction(model, test)
        for name, row in (tracking(model, train, test) if train else {}).items():
            rows[name] = rows.get(name, {}) | row
    elif isinstance(model, PoseToFrame):
        rows = transfer(model, test)
    else:
        raise ParamsError(
            f"video-scores: {model.card['method']['name']!r} makes no videos; `fomm` and `pose_to_frame` do."
        )
    measured = {name for row in rows.values() for name in row}
    return {
        "rows": rows,
        "videos": len(test.all),
        "frames": len(test.data),
        "scales": {name: text for name, text in SCALES.items() if name in measured},
    }


def strips(model: Any, videos: Videos, chosen: Iterable[Video]) -> list[torch.Tensor]:
    """What to show of a model's videos, for each a tensor (T, V, C, H, W) with V pictures side by side.

    `fomm`: first frame, driving frame, made frame. `pose_to_frame`: pose, made frame, true frame.
    """
    device, found = device_of(model), []
    for video in chosen:
        images_TCHW = videos.images(video.records, device)
        if isinstance(model, FOMM):
            shown = [images_TCHW[:1].expand_as(images_TCHW), images_TCHW, reconstructed(model, images_TCHW)]
        else:
            shown = [images_TCHW, rendered(model, images_TCHW), videos.paired(video.records, device)]
        found.append(torch.stack([one.cpu() for one in shown], 1))
    return found


def _with_one(inputs_NF: np.ndarray) -> np.ndarray:
    return np.concatenate([inputs_NF, np.ones((len(inputs_NF), 1))], 1)


def device_of(model: torch.nn.Module) -> torch.device:
    """Where its weights are."""
    return next(model.parameters()).device
