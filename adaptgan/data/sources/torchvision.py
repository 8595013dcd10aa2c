"""Any torchvision data set class, by its name."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from adaptgan.data.images import mode_of
from adaptgan.data.records import Record
from adaptgan.data.sources.base import Corrupt
from adaptgan.errors import DataError, nearest

_FIXED = ("root", "download", "train", "split", "image_set", "transform", "target_transform", "transforms")


class Torchvision:
    """Images of a torchvision data set class, such as MNIST, SVHN or GTSRB.

    The stage's split is handed on as `train=` or `split=`, whichever the class has.

    Args:
        dataset: the class's name in `torchvision.datasets`.
        root: folder where its files are, or go to.
        download: fetch missing files from the data set's own site.
        options: further arguments of the class, such as `{split: letters}`; they win over the stage's split.
    """

    def __init__(
        self, dataset: str, root: str = "data/raw", download: bool = False, options: dict[str, Any] | None = None
    ) -> None:
        self.dataset = dataset
        self.root = Path(root)
        self.download = download
        self.options = options or {}
        self.classes: tuple[str, ...] = ()
        self.total: int | None = None

    def records(self, split: str, seed: int) -> Iterator[Record | Corrupt]:
        """All images of the split, in torchvision's order."""
        data = self._open(split)
        self.total = len(data)
        self.classes = _classes(data)
        return self._records(data, split)

    def _records(self, data: Any, split: str) -> Iterator[Record | Corrupt]:
        name = self.dataset.lower()
        for index in range(len(data)):
            try:
                image, target = data[index]
            except (OSError, SyntaxError, ValueError) as error:
                yield Corrupt(f"{self.dataset}[{index}]", str(error))
                continue
            label, annotations = _label(target)
            if label is not None and not 0 <= label < len(self.classes):
                raise DataError(
                    f"torchvision: {self.dataset}[{index}] has label {label}; there are {len(self.classes)} classes."
                )
            provenance = {"file": f"{self.dataset}[{index}]", "split": split}
            yield Record(f"{name}_{index:06d}", _pixels(image, self.dataset), label, annotations, provenance)

    def _open(self, split: str) -> Any:
        cls = self._class()
        known = inspect.signature(cls.__init__).parameters
        open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
        for option in self.options:
            if option not in known and not open_ended:
                usable = [name for name in known if name not in ("self", *_FIXED)]
                raise DataError(f"torchvision: {self.dataset} has no option {option!r}. {nearest(option, usable)}")
        arguments: dict[str, Any] = {}
        if "root" in known:
            arguments["root"] = str(self.root)
        if "download" in known:
            arguments["download"] = self.download
        if "train" in known:
            if split not in ("train", "test"):
                raise DataError(f"torchvision: {self.dataset} has the splits train and test; found {split!r}.")
            arguments["train"] = split == "train"
        elif chosen := [name for name in ("split", "image_set") if name in known]:
            arguments.update(dict.fromkeys(chosen, split))
        elif split != "train":
            raise DataError(
                f"torchvision: {self.dataset} is not divided into train and test, so it has no split {split!r}. Ingest "
                "it without --split, and keep another data set for testing."
            )
        try:
            return cls(**{**arguments, **self.options})
        except Exception as error:
            raise DataError(self._needs(cls, "download" in known, error)) from error

    def _class(self) -> Any:
        from torchvision import datasets

        known = [
            name
            for name in datasets.__all__
            if inspect.isclass(cls := getattr(datasets, name)) and issubclass(cls, datasets.VisionDataset)
        ]
        if self.dataset not in known:
            raise DataError(f"torchvision: there is no data set {self.dataset!r}. {nearest(self.dataset, known)}")
        return getattr(datasets, self.dataset)

    def _needs(self, cls: Any, can_download: bool, error: Exception) -> str:
        """What to tell when the class could not be opened: its own words, the files it looks for, what to do."""
        message = f"torchvision: {self.dataset} could not be opened from {self.root}: {' '.join(str(error).split())}"
        files = [str(item[0]).rsplit("/", 1)[-1] for item in getattr(cls, "resources", None) or []]
        if files:
            message += f" It needs {', '.join(files)} (unpacked) in {self.root / self.dataset / 'raw'}."
        if can_download and not self.download:
            message += (
                " Put the files there, set dataset.root to where they are, or fetch them with dataset.download: true."
            )
        return message


def _classes(data: Any) -> tuple[str, ...]:
    """Class names, where the data set tells them or has whole-number targets."""
    names = getattr(data, "classes", None)
    if isinstance(names, list | tuple) and names:
        return tuple("/".join(name) if isinstance(name, tuple) else str(name) for name in names)
    if count := getattr(data, "num_classes", None):
        return tuple(str(number) for number in range(int(count)))
    for attribute in ("targets", "labels", "_labels"):
        if (targets := getattr(data, attribute, None)) is not None:
            labels = np.asarray(targets)
            if labels.ndim == 1 and len(labels) and np.issubdtype(labels.dtype, np.integer) and labels.min() >= 0:
                return tuple(str(number) for number in range(int(labels.max()) + 1))
    seen = {_label(data[index][1])[0] for index in range(len(data))}
    numbers = [label for label in seen if label is not None]
    return tuple(str(number) for number in range(max(numbers) + 1)) if len(numbers) == len(seen) > 0 else ()


def _label(target: Any) -> tuple[int | None, dict[str, Any]]:
    """A whole number is the label; anything else goes into the annotations as `target`."""
    if hasattr(target, "tolist"):
        target = target.tolist()
    if isinstance(target, int) and not isinstance(target, bool):
        return target, {}
    return None, {} if target is None else {"target": _plain(target)}


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _pixels(image: Any, dataset: str) -> np.ndarray:
    if hasattr(image, "mode") and image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    pixels = np.asarray(image)
    try:
        mode_of(pixels)
    except DataError as error:
        raise DataError(f"torchvision: the images of {dataset} cannot be used: {error}") from None
    return pixels
