"""What the commands do: models and data sets of videos in, data sets, numbers and GIFs out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adaptgan import load_model
from adaptgan.data.annotations import PLACES
from adaptgan.data.images import hwc, to_uint8
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter
from adaptgan.errors import DataError, ParamsError
from adaptgan.files import staged, write_json
from adaptgan.training.devices import pick_device
from adaptgan_video import scores
from adaptgan_video.fomm import FOMM
from adaptgan_video.pictures import write_gif
from adaptgan_video.pose_to_frame import PoseToFrame
from adaptgan_video.videos import Video, Videos


def animate_videos(
    model: Path,
    source: Path,
    driving: Path,
    out: Path,
    *,
    relative: bool = False,
    gif: Path | None = None,
    rows: int = 4,
) -> int:
    """Write a data set of sources that follow videos; gives how many frames it has.

    A record has the source's label; `sequence` and `frame` are the driving video's. Annotations of places are the
    driving video's, too, where the source takes its poses as they are, and left out with `relative`.

    Args:
        model: a trained `fomm`.
        source: data set of videos; the first frame of each is used. Where it has fewer, they take turns.
        driving: data set of videos.
        out: data set to write.
        relative: move as the driving video does since its first frame (eq. 14).
        gif: file to show some in: source, driving, made.
        rows: videos in it.

    Raises:
        AdaptganError: see the message.
    """
    network, stills, videos = _load(model, FOMM, "animate"), Videos(source), Videos(driving)
    _same_shape(network, stills)
    _same_shape(network, videos)
    strips: list[torch.Tensor] = []

    def records() -> Iterator[Record]:
        for number, video in enumerate(videos.all):
            start = int(stills.all[number % len(stills.all)].records[0])
            still, frames = stills.data.record(start), videos.images(video.records, scores.device_of(network))
            source_TCHW = stills.images(np.array([start]), frames.device).expand_as(frames)
            first = frames[:1].expand_as(frames) if relative else None
            made_TCHW = network.animate(source_TCHW, frames, first)
            if len(strips) < rows:
                strips.append(torch.stack([source_TCHW, frames, made_TCHW], 1).cpu())
            origin = {"source_key": still.key, "model": network.card["fingerprint"], "relative": relative}
            for record, image in _told(videos, video, made_TCHW):
                places = {} if relative else {k: v for k, v in record.annotations.items() if k in PLACES}
                kept = {key: record.annotations[key] for key in ("sequence", "frame")}
                provenance = {**origin, "driving_key": record.key}
                yield Record(record.key, image, still.label, {**kept, **places}, provenance)

    origin = {"model": network.card["fingerprint"], "source": stills.data.digest, "driving": videos.data.digest}
    return _written(records(), out, stills.data.classes, origin, strips, gif)


def transfer_videos(model: Path, poses: Path, out: Path, *, gif: Path | None = None, rows: int = 4) -> int:
    """Write a data set of the frames made of poses; gives how many frames it has.

    Args:
        model: a trained `pose_to_frame`.
        poses: data set of videos of poses; labels and annotations are kept.
        out: data set to write.
        gif: file to show some in: poses, made frames, true frames where there are any.
        rows: videos in it.

    Raises:
        AdaptganError: see the message.
    """
    network, videos = _load(model, PoseToFrame, "pose-transfer"), Videos(poses)
    _same_shape(network, videos)
    strips: list[torch.Tensor] = []

    def records() -> Iterator[Record]:
        for video in videos.all:
            poses_TCHW = videos.images(video.records, scores.device_of(network))
            made_TCHW = scores.rendered(network, poses_TCHW)
            if len(strips) < rows:
                truth = [videos.paired(video.records)] if videos.data.info.paired else []
                strips.append(torch.stack([poses_TCHW.cpu(), made_TCHW.cpu(), *truth], 1))
            for record, image in _told(videos, video, made_TCHW):
                provenance = {**record.provenance, "source_key": record.key, "model": network.card["fingerprint"]}
                yield Record(record.key, image, record.label, record.annotations, provenance)

    origin = {"model": network.card["fingerprint"], "source": videos.data.digest}
    return _written(records(), out, videos.data.classes, origin, strips, gif)


def score_videos(
    model: Path, test: Path, out: Path, *, train: Path | None = None, gif: Path | None = None, rows: int = 4
) -> dict[str, Any]:
    """Write and give the numbers of `scores.scored`.

    Args:
        model: a trained `fomm` or `pose_to_frame`.
        test: data set of videos to measure on.
        out: JSON to write.
        train: videos that the regression from keypoints to joints is fitted on; without, nothing is tracked.
        gif: file to show some videos in (see `scores.strips`).
        rows: videos in it.

    Raises:
        AdaptganError: see the message.
    """
    network, videos = load_model(model, pick_device("auto")), Videos(test)
    _same_shape(network, videos)
    with torch.inference_mode():
        result = scores.scored(network, videos, Videos(train) if train else None)
        if gif is not None:
            write_gif(gif, scores.strips(network, videos, videos.all[:rows]))
    write_json(out, result)
    return result


def _load(model: Path, kind: type, command: str) -> Any:
    """A trained method of a kind.

    Raises:
        ParamsError: it is another.
    """
    network = load_model(model, pick_device("auto"))
    if not isinstance(network, kind):
        wanted = "fomm" if kind is FOMM else "pose_to_frame"
        raise ParamsError(
            f"--model {model}: `adaptgan {command}` takes a trained {wanted!r}; this is "
            f"{network.card['method']['name']!r}."
        )
    return network


def _same_shape(model: Any, videos: Videos) -> None:
    mine, theirs = model.info, videos.data.info
    if (mine.channels, mine.height, mine.width) != (theirs.channels, theirs.height, theirs.width):
        raise DataError(
            f"{videos.data.folder} has images of {theirs.channels}×{theirs.height}×{theirs.width} (channels, height, "
            f"width), the model was trained on {mine.channels}×{mine.height}×{mine.width}. Ingest it with the same "
            "`size` and `mode`."
        )


def _told(videos: Videos, video: Video, made_TCHW: torch.Tensor) -> Iterator[tuple[Record, Any]]:
    """Each record of a video with its new image, uint8."""
    for index, image_CHW in zip(video.records, to_uint8(made_TCHW).cpu().numpy(), strict=True):
        yield videos.data.record(int(index)), hwc(image_CHW)


def _written(
    records: Iterator[Record],
    out: Path,
    classes: Sequence[str],
    origin: dict[str, Any],
    strips: list[torch.Tensor],
    gif: Path | None,
) -> int:
    with torch.inference_mode(), staged(out) as folder, ShardWriter(folder, classes, origin=origin) as writer:
        for record in records:
            writer.write(record)
    if gif is not None:
        write_gif(gif, strips)
    return writer.count
