"""Batches by number: the same batch for the same number, whether from the device, this process or workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data import Sampler as TorchSampler

from adaptgan.data.batch import Side
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import chw, hwc, to_float
from adaptgan.data.records import Record
from adaptgan.data.sampler import Sampler
from adaptgan.data.sequences import Sequences
from adaptgan.data.transforms import augment_record, build_transforms
from adaptgan.datainfo import TaskName
from adaptgan.errors import DataError, ParamsError

Loading = Literal["auto", "device", "stream"]

_DEVICE_SHARE = 0.25
"""Of a GPU's free memory, what `loading: auto` lets a data set take; networks and activations need the rest."""


class Piece(NamedTuple):
    """A batch on its way from a worker: `Side`, images still as bytes."""

    images: torch.Tensor
    labels: torch.Tensor | None
    seeds: torch.Tensor
    paired: torch.Tensor | None
    conditions: torch.Tensor | None
    frames: torch.Tensor | None
    paired_frames: torch.Tensor | None


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
        conditions: what batches carry of each record's annotations, (records, …); None for nothing.
        sequences: which further frames batches carry; None for none.
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
        conditions: np.ndarray | None = None,
        sequences: Sequences | None = None,
        salt: str = "source",
    ) -> None:
        if pairs and transforms:
            raise ParamsError(
                "training.transforms: these would change an image and not its pair. Leave them out; a paired method's "
                "own `jitter` changes both alike."
            )
        if sequences is not None and transforms:
            raise ParamsError(
                "training.transforms: these would change an image and not the other frames of its sequence. Leave them "
                "out."
            )
        self.device = torch.device(device)
        build_transforms(transforms)  # wrong names and options are told now, not by a worker later
        chosen = np.arange(len(dataset)) if indices is None else np.asarray(indices, np.int64)
        if sequences is not None:
            chosen = chosen[np.isin(chosen, sequences.drawable)]
        sampler = Sampler(len(chosen), batch_size, seed, salt, rank, world_size)
        self.loading = _loading(loading, bool(transforms), dataset, self.device, pairs)
        truth = dataset.targets(task) if labels else None
        paired = dataset.paired_NCHW if pairs else None  # here, so that a worker need not say that there are none
        self._batches = _Batches(dataset, sampler, chosen, truth, transforms, pairs, conditions, sequences)
        self._workers = workers
        self._stream: Iterator[Piece | DataError] | None = None
        self._next = -1
        self._held: dict[str, torch.Tensor] = {}
        if self.loading == "device":
            kept = {"images": dataset.images_NCHW, "paired": paired, "labels": truth, "conditions": conditions}
            self._held = {
                name: torch.from_numpy(array).to(self.device) for name, array in kept.items() if array is not None
            }

    def batch(self, number: int) -> Side:
        """This rank's slice of batch `number`, from 0: images float in [-1, 1] (N, C, H, W) on the device."""
        return _side(self._gathered(number) if self._held else self._on_device(self._streamed(number)))

    def side(self, indices_N: np.ndarray, seeds_N: np.ndarray) -> Side:
        """Records of the data set by their numbers, on the device, without transforms: what is held out for scoring."""
        return _side(self._on_device(self._batches.piece(indices_N, seeds_N)))

    def _gathered(self, number: int) -> Piece:
        """A batch from what lies on the device."""
        index_N, seeds_N, frames_NT = self._batches.draw(number)
        index, seeds = self._move(torch.from_numpy(np.stack([index_N, seeds_N])))
        others = None if frames_NT is None else self._move(torch.from_numpy(frames_NT))

        def at(name: str, places: torch.Tensor | None = index) -> torch.Tensor | None:
            return None if places is None or name not in self._held else self._held[name][places]

        return Piece(
            self._held["images"][index],
            at("labels"),
            seeds,
            at("paired"),
            at("conditions"),
            at("images", others),
            at("paired", others),
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

    def _on_device(self, piece: Piece) -> Piece:
        moved = [None if part is None else self._move(part) for part in piece]
        return Piece(*moved)  # type: ignore[arg-type]

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
        conditions: np.ndarray | None,
        sequences: Sequences | None,
    ) -> None:
        self._dataset = dataset
        self._pairs = pairs
        self._conditions_N = conditions
        self._sequences = sequences
        self._sampler = sampler
        self._chosen = chosen
        self._truth_N = truth
        self._configs = list(transforms)
        self._transforms: Any = None

    def draw(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Record numbers in the data set, seeds, and the record numbers of further frames of a batch."""
        positions, seeds = self._sampler.draw(number)
        indices = self._chosen[positions]
        return indices, seeds, self._others(indices, seeds)

    def __getitem__(self, number: int) -> Piece | DataError:
        indices, seeds, _ = self.draw(number)
        piece = self.piece(indices, seeds)
        if not self._configs:
            return piece
        try:
            return piece._replace(images=torch.from_numpy(self._augmented(piece.images.numpy(), indices, seeds)))
        except DataError as error:
            return error  # raised in the main process: torch would wrap it in a worker's traceback

    def piece(self, indices: np.ndarray, seeds: np.ndarray) -> Piece:
        """These records, as they are."""
        others = self._others(indices, seeds)
        paired = self._dataset.paired_NCHW if self._pairs else None
        return Piece(
            torch.from_numpy(np.ascontiguousarray(self._dataset.images_NCHW[indices])),
            _at(self._truth_N, indices),
            torch.from_numpy(seeds),
            _at(paired, indices),
            _at(self._conditions_N, indices),
            None if others is None else _at(self._dataset.images_NCHW, others),
            None if others is None else _at(paired, others),
        )

    def _others(self, indices: np.ndarray, seeds: np.ndarray) -> np.ndarray | None:
        return None if self._sequences is None else self._sequences.companions(indices, seeds)

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


def _side(piece: Piece) -> Side:
    return Side(
        to_float(piece.images),
        piece.labels,
        piece.seeds,
        _float(piece.paired),
        piece.conditions,
        _float(piece.frames),
        _float(piece.paired_frames),
    )


def _at(array: np.ndarray | None, places: np.ndarray) -> torch.Tensor | None:
    return None if array is None else torch.from_numpy(array[places])


def _float(images: torch.Tensor | None) -> torch.Tensor | None:
    return None if images is None else to_float(images)


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
