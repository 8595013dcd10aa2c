from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from adaptgan_video import scores
from adaptgan_video.fomm import FOMM
from adaptgan_video.pose_to_frame import PoseToFrame
from adaptgan_video.videos import Videos
from sklearn.linear_model import LinearRegression

from adaptgan.errors import DataError

Ingest = Callable[..., Path]


class Still(FOMM):
    """Animates nothing; its keypoints are a linear map of the mean colour."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def keypoints(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return images_NCHW.mean((2, 3)).repeat(1, 2)[:, None, :]

    def animate(self, source_NCHW: torch.Tensor, driving_NCHW: torch.Tensor, first_NCHW: object = None) -> torch.Tensor:
        return source_NCHW + 0.5


class Knows(PoseToFrame):
    """Renders frames that are too bright, ever more so; single ones by 0.2."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.truth: dict[float, torch.Tensor] = {}

    def translate(self, images_NCHW: torch.Tensor, seeds_N: object = None) -> torch.Tensor:
        return torch.stack([self.truth[float(image.sum())] for image in images_NCHW]) + 0.2

    def render(self, poses_NTCHW: torch.Tensor) -> torch.Tensor:
        grows = 0.1 * torch.arange(poses_NTCHW.shape[1]).view(-1, 1, 1, 1)
        return torch.stack([self.translate(poses) + grows for poses in poses_NTCHW])


def test_reconstruction_counts_all_frames_but_the_first(ingested: Ingest) -> None:
    videos = Videos(ingested("test"))
    images = videos.data.images_NCHW.astype(np.float64).reshape(3, 4, 3, 16, 16) / 255
    rows = scores.reconstruction(Still(), videos)
    assert rows["copied"]["l1"] == pytest.approx(np.abs(images[:, :1] - images[:, 1:]).mean(), abs=1e-6)
    assert rows["made"]["l1"] == pytest.approx(np.abs(images[:, :1] + 0.25 - images[:, 1:]).mean(), abs=1e-6)


def test_tracking_is_a_linear_regressions(ingested: Ingest) -> None:
    train, test = Videos(ingested("train", sequences=10)), Videos(ingested("test"))

    def data(videos: Videos) -> tuple[np.ndarray, np.ndarray]:
        images = videos.data.images_NCHW.astype(np.float64) / 127.5 - 1
        return images.mean((2, 3))[:, :2], videos.joints().reshape(len(images), -1)

    (x, y), (x_test, y_test) = data(train), data(test)
    expected = LinearRegression().fit(x, y).predict(x_test)
    rows = scores.tracking(Still(), train, test)

    def error(guess: np.ndarray) -> float:
        return float(np.linalg.norm((guess - y_test).reshape(-1, 2), axis=1).mean())

    assert rows["made"]["tracking"] == pytest.approx(error(expected), rel=1e-4)
    assert rows["mean"]["tracking"] == pytest.approx(error(y.mean(0)))
    assert rows["copied"]["tracking"] == pytest.approx(error(np.repeat(y_test[::4], 4, 0)))


def test_flicker_is_of_changes_only(ingested: Ingest) -> None:
    videos, model = Videos(ingested("test", pose=True)), Knows()
    for poses, frames in ((videos.images(v.records), videos.paired(v.records)) for v in videos.all):
        model.truth |= {float(pose.sum()): frame for pose, frame in zip(poses, frames, strict=True)}
    rows = scores.transfer(model, videos)
    assert rows["first"]["l1"] == pytest.approx(0.1, abs=1e-5)
    assert rows["first"]["flicker"] == pytest.approx(0.0, abs=1e-5)
    assert rows["made"]["l1"] == pytest.approx((0.2 + 0.1 * 1.5) / 2, abs=1e-5)
    assert rows["made"]["flicker"] == pytest.approx(0.05, abs=1e-5)


def test_videos_are_in_order_of_their_frames(ingested: Ingest) -> None:
    videos = Videos(ingested("train"))
    assert [video.name for video in videos.all] == ["train_000000", "train_000001", "train_000002"]
    assert [list(video.records) for video in videos.all] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_joints_of_two_kinds_cannot_be_compared(ingested: Ingest) -> None:
    with pytest.raises(DataError, match=r"\[5, 11\] keypoints"):
        Videos(ingested(kind="both")).joints()


def test_videos_of_one_frame_leave_nothing_to_measure(ingested: Ingest) -> None:
    with pytest.raises(DataError, match="two frames or more"):
        scores.reconstruction(Still(), Videos(ingested(frames=1)))
