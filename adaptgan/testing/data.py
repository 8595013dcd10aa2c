"""Made-up images: enough to run a method on, too few to learn from."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from adaptgan.data.batch import Batch, Side
from adaptgan.data.loader import Loader
from adaptgan.datainfo import DataInfo, TaskName
from adaptgan.training.loop import Feeds
from adaptgan.training.run import Run


def tiny_info(
    channels: int = 1, size: int = 32, classes: int = 3, *, paired: int = 0, task: TaskName = "classification"
) -> DataInfo:
    """Square images with classes `class 0`, `class 1`, …

    Args:
        channels: 1 or 3.
        size: of a side.
        classes: how many; of the pixels where the task is segmentation.
        paired: channels of each image's pair; 0 for none.
        task: what the labels are.
    """
    return DataInfo(channels, size, size, tuple(f"class {k}" for k in range(classes)), task, paired=paired)


def tiny_side(
    info: DataInfo,
    size: int,
    number: int,
    *,
    labels: bool = True,
    salt: int = 0,
    frames: int = 0,
    conditions: torch.Tensor | None = None,
) -> Side:
    """Images in [-1, 1]; each class has stripes of its own width, so that there is something to learn.

    Args:
        info: their shape and classes.
        size: how many.
        number: which batch; equal numbers give equal images.
        labels: whether the labels are known.
        salt: tells domains apart: 1 has the other polarity and more noise.
        frames: how many further frames each image has; in every next one it has moved a pixel to the right.
        conditions: encoded annotations to choose from, (M, …): an image of class k has row k mod M.
    """
    generator = torch.Generator().manual_seed(1000 * number + salt)
    labels_N = torch.randint(max(1, info.n_classes), (size,), generator=generator)
    rows_H = torch.arange(info.height)
    stripes_NH = torch.where((rows_H // (labels_N[:, None] + 1)) % 2 == 0, 0.7, -0.7)
    images_NCHW = stripes_NH[:, None, :, None].expand(size, info.channels, info.height, info.width)
    if salt:
        images_NCHW = -images_NCHW
    noise = torch.randn(images_NCHW.shape, generator=generator) * (0.1 + 0.1 * salt)
    seeds_N = torch.randint(2**62, (size,), generator=generator)
    paired = -images_NCHW[:, :1].expand(-1, info.paired, -1, -1).contiguous() if info.paired else None
    truth = labels_N
    if info.task == "segmentation":  # the bright stripes are of the image's class, the dark ones of the next
        truth = (labels_N[:, None, None] + (images_NCHW[:, 0] < 0)) % info.n_classes
    images_NCHW = (images_NCHW + noise).clamp(-1, 1)
    side = Side(images_NCHW, truth if labels else None, seeds_N, paired)
    if frames:
        side.frames_NTCHW = torch.stack([images_NCHW.roll(t + 1, -1) for t in range(frames)], 1)
        if paired is not None:
            side.paired_frames_NTCHW = torch.stack([paired.roll(t + 1, -1) for t in range(frames)], 1)
    if conditions is not None:
        side.conditions_N = conditions[labels_N % len(conditions)]
    return side


def tiny_batch(
    info: DataInfo | None = None, size: int = 8, *, step: int = 0, steps: int = 4, target: bool = True
) -> Batch:
    """Source and, unless told otherwise, unlabelled target images of one step."""
    info = info or tiny_info()
    real = tiny_side(info, size, step, labels=False, salt=1) if target else None
    return Batch(tiny_side(info, size, step), real, step, step / steps)


class Stop(Exception):
    """Ends a training from outside, as a kill would."""


@dataclass
class TinyFeeds(Feeds):
    """Feeds for the real loop, without a data set.

    Attributes:
        info: shape and classes of the images.
        size: batch size.
        stop_at: the step whose batch is refused with `Stop`.
        seen: numbers of the batches that were asked for.
        frames: further frames of each source image.
        conditions: encoded annotations that source images have, (M, …); None for none.
    """

    source: Loader = field(default=None)  # type: ignore[assignment]  # batches are made here
    info: DataInfo = field(default_factory=tiny_info)
    size: int = 8
    stop_at: int | None = None
    seen: list[int] = field(default_factory=list)
    frames: int = 0
    conditions: torch.Tensor | None = None

    def batch(self, number: int, run: Run) -> Batch:
        """Batch `number`, at the run's step."""
        if run.step == self.stop_at:
            raise Stop
        self.seen.append(number)
        real = tiny_side(self.info, self.size, number, labels=False, salt=1)
        source = tiny_side(self.info, self.size, number, frames=self.frames, conditions=self.conditions)
        return Batch(source, real, run.step, run.step / run.steps)
