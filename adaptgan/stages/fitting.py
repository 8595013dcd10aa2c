"""Bringing records into one size and mode, or telling which one differs from the first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from adaptgan.data.annotations import scaled
from adaptgan.data.images import Mode, convert, mode_of
from adaptgan.data.records import Record
from adaptgan.errors import DataError
from adaptgan.params import IngestSection


class Fitter:
    """Converts records as a section says, and checks them against the first.

    Args:
        section: its name, for messages.
        options: its `size`, for both images of a pair, `mode`, for the first, and `paired_mode`, for the other.
    """

    def __init__(self, section: str, options: IngestSection) -> None:
        self.section, self.options = section, options
        self._first: tuple[str, tuple[int, ...]] | None = None
        self._modes: dict[str, tuple[str, Mode]] = {}

    def __call__(self, record: Record) -> Record:
        """The record, converted; boxes, keypoints and masks grow and shrink with their image.

        Raises:
            DataError: it is not like the first.
        """
        before = record.image.shape[:2]
        image = convert(record.image, self.options.size, self.options.mode, self.options.resample)
        if image.shape[:2] != before:
            annotations = scaled(record.annotations, image.shape[1] / before[1], image.shape[0] / before[0])
            record = replace(record, annotations=annotations)
        name = str(record.provenance.get("file", record.key))
        first, size = self._first = self._first or (name, image.shape[:2])
        if image.shape[:2] != size:
            raise DataError(
                f"{self.section}: images of mixed sizes: {first} is {_size(size)}, {name} is {_size(image.shape)} "
                f"(height x width). Set {self.section}.size: [{size[0]}, {size[1]}] to resize all."
            )
        self._check_mode("mode", "images", image, name)
        return replace(record, image=image, paired=self._paired(record.paired, name, size))

    def _paired(self, paired: np.ndarray | None, name: str, size: tuple[int, ...]) -> np.ndarray | None:
        if paired is None:
            if self.options.paired_mode is not None:
                raise DataError(f"{self.section}.paired_mode: {name} has no paired image. Leave the option out.")
            return None
        paired = convert(paired, self.options.size, self.options.paired_mode, self.options.resample)
        if paired.shape[:2] != size:
            raise DataError(
                f"{self.section}: {name} is {_size(size)}, its paired image {_size(paired.shape)} (height x width). If "
                f"both show the same, set {self.section}.size: [{size[0]}, {size[1]}] to resize all."
            )
        self._check_mode("paired_mode", "paired images", paired, name)
        return paired

    def _check_mode(self, option: str, what: str, image: np.ndarray, name: str) -> None:
        first, mode = self._modes.setdefault(option, (name, mode_of(image)))
        if mode_of(image) != mode:
            raise DataError(
                f"{self.section}: {what} of mixed modes: {first} is {mode}, {name} is {mode_of(image)}. "
                f"Set {self.section}.{option}: L (grey) or {self.section}.{option}: RGB to convert all."
            )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]}"
