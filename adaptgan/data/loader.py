"""Batches by number: the same batch for the same number, whether from the device, this process or workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data import Sampler as TorchSampler

from adaptgan.data.batch import Side
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import chw, hwc, to_float
from adaptgan.data.records import Record
from adaptgan.data.sampler import Sampler
from adaptgan.data.transforms import augment_record, build_transforms
from adaptgan.datainfo import TaskName
from adaptgan.errors import DataError, ParamsError

Loading = Literal["auto", "device", "stream"]

_DEVICE_SHARE = 0.25
"""Of a GPU's free memory, what `loading: auto` lets a data set take; networks and activations need the rest."""

Piece = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, torch.Tensor | None]
"""Images, labels, seeds, paired images."""


class Loader:
    """Gives batch `number` of a data set, in any order of calls, with no state to save.

    Args:
        dataset: the data set.
        batch_size: records in a batch, over all ranks.
        seed: of the run.
        device: where batches go.
        rank: which equal slice of each batch this process gets.
        world_size: how many slices there are.
        loading: `device` keeps all images on the device; `stream` reads them as needed; `auto` takes `device` when
            there is room and there are no transforms.
        workers: processes that stream; with 0 this process does it itself.
        transforms: albumentations transforms for streamed images, `{name: …, option: …}` each.
        indices: the records to draw from; all when None.
        labels: whether batches carry labels.
        task: which truth the labels are: classes, values or masks.
        pairs: whether batches carry the paired images.
        salt: tells this stream's random numbers from another's in the same run.

    Raises:
        ParamsError: transforms that do not exist or cannot be used with `loading: device`.
        DataError: nothing to draw from, or labels or pairs are asked for that are missing.
        SealedLabelsError: labels are asked for that are sealed.
    """

    def __init__(
        self,
        dataset: ShardDataset,
        *,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        rank: int = 0,
        world_size: int = 1,
        loading: Loading = "auto",
        workers: int = 1,
        transforms: Sequence[Mapping[str, Any]] = (),
        indices: Sequence[int] | np.ndarray | None = None,
        labels: bool = True,
        task: TaskName = "classification",
        pairs: bool = False,
        salt: str = "source",
    ) -> None:
        if pairs and transforms:
            raise ParamsError(
                "training.transforms: these would change an image and not its pair. Leave them out; a paired method's "
                "own `jitter` changes both alike."
            )
        self.device = torch.device(device)
        build_transforms(transforms)  # wrong names and options are told now, not by a worker later
        chosen = np.arange(len(dataset)) if indices is None else np.asarray(indices, np.int64)
        sampler = Sampler(len(chosen), batch_size, seed, salt, rank, world_size)
        self.loading = _loading(loading, bool(transforms), dataset, self.device, pairs)
        truth = dataset.targets(task) if labels else None
        paired = dataset.paired_NCHW if pairs else None  # here, so that a worker need not say that there are none
        self._batches = _Batches(dataset, sampler, chosen, truth, transforms, pairs)
        self._workers = workers
        self._images: torch.Tensor | None = None
        self._labels: torch.Tensor | None = None
        self._paired: torch.Tensor | None = None
        self._stream: Iterator[Piece | DataError] | None = None
        self._next = -1
        if self.loading == "device":
            self._images = torch.from_numpy(dataset.images_NCHW).to(self.device)
            self._labels = None if truth is None else torch.from_numpy(truth).to(self.device)
            self._paired = None if paired is None else torch.from_numpy(paired).to(self.device)

    def batch(self, number: int) -> Side:
        """This rank's slice of batch `number`, from 0: images float in [-1, 1] (N, C, H, W) on the device."""
        if self._images is not None:
            index_N, seeds_N = self._move(torch.from_numpy(np.stack(self._batches.draw(number))))
            labels_N = None if self._labels is None else self._labels[index_N]
            paired = None if self._paired is None else to_float(self._paired[index_N])
            return Side(to_float(self._images[index_N]), labels_N, seeds_N, paired)
        images, labels, seeds, paired = self._streamed(number)
        return Side(
            to_float(self._move(images)),
            None if labels is None else self._move(labels),
            self._move(seeds),
            None if paired is None else to_float(self._move(paired)),
        )

    def close(self) -> None:
        """Stop the workers."""
        self._stream = None
        self._next = -1

    def _streamed(self, number: int) -> Piece:
        if self._workers == 0:
            return _opened(self._batches[number])
        if self._stream is None or number != self._next:
            self.close()
            loader: DataLoader[Any] = DataLoader(
                self._batches,
                sampler=_From(number),
                batch_size=None,
                num_workers=self._workers,
                prefetch_factor=4,
                pin_memory=self.device.type == "cuda",
                generator=torch.Generator(),  # for its workers; else it draws from the one that the step was seeded by
            )
            self._stream = iter(loader)
        self._next = number + 1
        return _opened(next(self._stream))

    def _move(self, tensor: torch.Tensor) -> torch.Tensor:
        """On the device, without waiting for it: a GPU copies from pinned memory while the host goes on."""
        pinned = tensor.pin_memory() if self.device.type == "cuda" and not tensor.is_pinned() else tensor
        return pinned.to(self.device, non_blocking=True)


class _Batches(Dataset[Any]):
    """Item `number` is a rank's slice of that batch, as uint8; this object travels to the workers."""

    def __init__(
        self,
        dataset: ShardDataset,
        sampler: Sampler,
        chosen: np.ndarray,
        truth: np.ndarray | None,
        transforms: Sequence[Mapping[str, Any]],
        pairs: bool,
    ) -> None:
        self._dataset = dataset
        self._pairs = pairs
        self._sampler = sampler
        self._chosen = chosen
        self._truth_N = truth
        self._configs = list(transforms)
        self._transforms: Any = None

    def draw(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Record numbers in the data set and seeds of a batch."""
        positions, seeds = self._sampler.draw(number)
        return self._chosen[positions], seeds

    def __getitem__(self, number: int) -> Piece | DataError:
        indices, seeds = self.draw(number)
        images = self._dataset.images_NCHW[indices]
        if self._configs:
            try:
                images = self._augmented(images, indices, seeds)
            except DataError as error:
                return error  # raised in the main process: torch would wrap it in a worker's traceback
        labels = None if self._truth_N is None else torch.from_numpy(self._truth_N[indices])
        paired = torch.from_numpy(self._dataset.paired_NCHW[indices]) if self._pairs else None
        return torch.from_numpy(np.ascontiguousarray(images)), labels, torch.from_numpy(seeds), paired

    def _augmented(self, images: np.ndarray, indices: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        if self._transforms is None:
            self._transforms = build_transforms(self._configs)
        changed = [
            chw(augment_record(Record(self._dataset.keys[index], hwc(image)), self._transforms, int(seed)).image)
            for index, image, seed in zip(indices, images, seeds, strict=True)
        ]
        return np.stack(changed)


class _From(TorchSampler[int]):
    """start, start + 1, … without end."""

    def __init__(self, start: int) -> None:
        self._start = start

    def __iter__(self) -> Iterator[int]:
        number = self._start
        while True:
            yield number
            number += 1


def _opened(piece: Piece | DataError) -> Piece:
    if isinstance(piece, DataError):
        raise piece
    return piece


def _loading(
    wanted: Loading, transforms: bool, dataset: ShardDataset, device: torch.device, pairs: bool
) -> Literal["device", "stream"]:
    if transforms:
        if wanted == "device":
            raise ParamsError(
                "training.transforms: these run in streaming workers; set training.loading to `stream` or `auto`, "
                "or use a method's augmentation, which runs on the device."
            )
        return "stream"
    if wanted != "auto":
        return wanted
    if device.type != "cuda":
        return "device"  # the memory map itself: pages are read as they are needed, and may be dropped again
    free, _ = torch.cuda.mem_get_info(device)
    info = dataset.info
    size = len(dataset) * (info.channels + pairs * info.paired) * info.height * info.width
    return "device" if size <= _DEVICE_SHARE * free else "stream"
