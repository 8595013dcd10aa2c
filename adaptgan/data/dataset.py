"""A data set folder as a torch Dataset: decoded once into a memory map, labels open only to who may read them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from adaptgan.data.images import chw, to_float
from adaptgan.data.manifest import Manifest
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardReader, Unseal
from adaptgan.datainfo import DataInfo, TaskName
from adaptgan.errors import DataError, SealedLabelsError
from adaptgan.files import scratch

_SEALED = (
    "{folder}: the {what} of this data set are sealed. Only `evaluate` and `train --oracle` may read them; to train on "
    "them on purpose, ingest it with `labels: open`."
)


def load_dataset(folder: Path | str, unseal: Unseal | None = None) -> ShardDataset:
    """Open a data set that `adaptgan ingest` or `adaptgan synthesize` wrote.

    Args:
        folder: where its manifest.json lies.
        unseal: `oracle` or `evaluate` opens sealed labels.

    Raises:
        DataError: there is no data set, or it is damaged.
    """
    return ShardDataset(folder, unseal)


class ShardDataset(Dataset[tuple[torch.Tensor, int]]):
    """A data set folder; item i is `(float image (C, H, W) in [-1, 1], label)`, label -1 where there is none to see.

    Attributes:
        folder: where it lies.
        manifest: its table of contents.
        keys: the records' keys, in order.
        digest: SHA-256 over contents.
        classes: class names; a label k means `classes[k]`.
    """

    def __init__(self, folder: Path | str, unseal: Unseal | None = None) -> None:
        self.folder = Path(folder)
        self.reader = ShardReader(self.folder, unseal)
        self.manifest: Manifest = self.reader.manifest
        self.classes = self.manifest.classes
        self.keys = [entry[0] for _, entry in self.reader.entries]
        self.digest = self.manifest.digest

    def __len__(self) -> int:
        return self.manifest.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.folder}: there is no record {index}; there are {len(self)}")
        label = int(self.labels_N[index]) if self.has_labels else -1
        return to_float(torch.from_numpy(np.array(self.images_NCHW[index]))), label

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        return (self[index] for index in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        """What a worker process gets: it maps the images itself."""
        return {key: value for key, value in self.__dict__.items() if key not in ("images_NCHW", "paired_NCHW")}

    @property
    def info(self) -> DataInfo:
        """Image shape and classes, for components. Raises DataError when the data set is empty."""
        return self.manifest.info(self.folder)

    @property
    def has_labels(self) -> bool:
        """Whether `labels_N` can be read: there are labels, and they are not sealed to this reader."""
        return self.manifest.labels != "none" and not self.reader.sealed

    def info_for(self, task: TaskName) -> DataInfo:
        """`info` for a predictor of `task`: with the values' names and scales, or the classes of pixels.

        Raises:
            DataError: the records have no truth of that kind, or it is sealed.
        """
        if task == "regression":
            values_ND, names = self._values
            scales = tuple(
                (float(m), float(s) or 1.0) for m, s in zip(values_ND.mean(0), values_ND.std(0), strict=True)
            )
            return replace(self.info, task=task, values=names, scales=scales)
        if task == "segmentation":
            return replace(self.info, task=task, classes=self._masks[1])
        return self.info

    def targets(self, task: TaskName) -> np.ndarray:
        """The truth of every record: int64 labels (N,), float32 values (N, D), or int64 masks (N, H, W).

        Raises:
            SealedLabelsError: it is sealed.
            DataError: the records have none of that kind.
        """
        if task == "regression":
            return self._values[0]
        return self._masks[0] if task == "segmentation" else self.labels_N

    @cached_property
    def _values(self) -> tuple[np.ndarray, tuple[str, ...]]:
        found = self.annotations("values", "numbers to predict", "`annotate: [values]`, or a `values` column")
        names = tuple(sorted(found[0]))
        if any(tuple(sorted(entry)) != names for entry in found):
            raise DataError(f"{self.folder}: not all records have the values {', '.join(names)}. Ingest it again.")
        return np.array([[entry[name] for name in names] for entry in found], np.float32), names

    @cached_property
    def _masks(self) -> tuple[np.ndarray, tuple[str, ...]]:
        from adaptgan.data.masks import decode

        found = self.annotations("mask", "masks", "`annotate: [mask]`")
        decoded = [decode(entry) for entry in found]
        return np.stack([mask_HW for mask_HW, _ in decoded]).astype(np.int64), decoded[0][1]

    def annotations(self, name: str, what: str = "", how: str = "") -> list[Any]:
        """One annotation of every record.

        Args:
            name: of the annotation.
            what: it is, in words, for the message when it is missing.
            how: to ingest a data set that has it, likewise.

        Raises:
            SealedLabelsError: annotations are sealed to this reader.
            DataError: some records have none of that name.
        """
        if self.reader.sealed:
            raise SealedLabelsError(_SEALED.format(folder=self.folder, what="annotations"))
        found = [content.get("annotations", {}).get(name) for content in self.reader.contents()]
        if not found or any(entry is None for entry in found):
            raise DataError(
                f"{self.folder}: its records have no {what or name} (annotation `{name}`), and they are needed here. "
                f"Ingest {f'it with {how}' if how else 'a data set that has them'}."
            )
        return found

    def record(self, index: int) -> Record:
        """One record with its annotations and provenance; a sealed one comes with the image alone."""
        return self.reader.record(index)

    def unpaired(self, indices: Iterable[int]) -> Iterator[Record]:
        """The records with these rising indices, without their paired images.

        Images come from the cache where it has been made, and are decoded on the way where not: a data set that is gone
        through once needs none.
        """
        info = self.info
        shape = (len(self), info.channels, info.height, info.width)
        cached = _open(scratch() / "cache" / f"{self.digest}.npy", shape)
        return self.reader.unpaired(indices, None if cached is None else np.asarray(cached))

    @cached_property
    def labels_N(self) -> np.ndarray:  # noqa: N802 the name tells the shape
        """int64 class indices.

        Raises:
            SealedLabelsError: they are sealed and the data set was opened without `unseal`.
            DataError: there are none.
        """
        if self.reader.sealed:
            raise SealedLabelsError(_SEALED.format(folder=self.folder, what="labels"))
        if self.manifest.labels == "none":
            raise DataError(
                f"{self.folder}: this data set has no labels, and they are needed here. Ingest a labelled one: "
                "class subfolders, or metadata.jsonl with a `label` for each image."
            )
        labels = np.fromiter((content.get("label", -1) for content in self.reader.contents()), np.int64, len(self))
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise DataError(
                f"{self.folder}: some labels are not in 0..{len(self.classes) - 1}. Ingest the data set again."
            )
        return labels

    @cached_property
    def images_NCHW(self) -> np.ndarray:  # noqa: N802 the name tells the shape
        """uint8 (N, C, H, W), mapped from the cache; decoded and checked against the shards' SHA-256 on first use.

        Copy-on-write: nobody can change the cached file through it.
        """
        info = self.info
        shape = (len(self), info.channels, info.height, info.width)
        return self._cached(self.digest, shape, paired=False)

    @cached_property
    def paired_NCHW(self) -> np.ndarray:  # noqa: N802 the name tells the shape
        """uint8 (N, C', H, W): the paired images, mapped from the cache as `images_NCHW` are.

        Raises:
            DataError: there are none.
        """
        info = self.info
        if not info.paired:
            raise DataError(
                f"{self.folder}: this data set has no paired images, and they are needed here. Ingest a paired one: "
                "the dataset `image_folder` takes them from a second folder (`paired`) or from the other half of each "
                "image (`side_by_side: true`), and `edges` draws the outlines of any data set."
            )
        shape = (len(self), info.paired, info.height, info.width)
        return self._cached(f"{self.digest}-paired", shape, paired=True)

    def _cached(self, name: str, shape: tuple[int, ...], *, paired: bool) -> np.ndarray:
        path = scratch() / "cache" / f"{name}.npy"
        images = _open(path, shape)
        if images is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path.with_suffix(".lock")):
                if (images := _open(path, shape)) is None:
                    _decode(self.reader, path, shape, paired)
                    images = _open(path, shape)
        assert images is not None
        return images


def _open(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The cached array, or None when it is absent or not whole."""
    try:
        images: np.ndarray = np.load(path, mmap_mode="c")
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return images if images.shape == shape and images.dtype == np.uint8 else None


def _decode(reader: ShardReader, path: Path, shape: tuple[int, ...], paired: bool) -> None:
    """Decode all images, or all paired ones, into `path`, which appears only when whole.

    Plain writes, not stores into a memory map: on a full disk these raise, a store would kill the process (SIGBUS).
    """
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for key, pixels in reader.images(paired):
                image = chw(pixels)
                if image.shape != shape[1:]:
                    raise DataError(f"{reader.folder}: {key} has shape {image.shape}, the manifest says {shape[1:]}.")
                file.write(np.ascontiguousarray(image).data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process decode while others wait for it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
