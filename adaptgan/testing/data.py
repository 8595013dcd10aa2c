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


def tiny_side(info: DataInfo, size: int, number: int, *, labels: bool = True, salt: int = 0) -> Side:
    """Images in [-1, 1]; each class has stripes of its own width, so that there is something to learn.

    Args:
        info: their shape and classes.
        size: how many.
        number: which batch; equal numbers give equal images.
        labels: whether the labels are known.
        salt: tells domains apart: 1 has the other polarity and more noise.
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
    return Side((images_NCHW + noise).clamp(-1, 1), truth if labels else None, seeds_N, paired)


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
    """

    source: Loader = field(default=None)  # type: ignore[assignment]  # batches are made here
    info: DataInfo = field(default_factory=tiny_info)
    size: int = 8
    stop_at: int | None = None
    seen: list[int] = field(default_factory=list)

    def batch(self, number: int, run: Run) -> Batch:
        """Batch `number`, at the run's step."""
        if run.step == self.stop_at:
            raise Stop
        self.seen.append(number)
        real = tiny_side(self.info, self.size, number, labels=False, salt=1)
        return Batch(tiny_side(self.info, self.size, number), real, run.step, run.step / run.steps)
