"""The UCI optical digits that come with scikit-learn: 8×8 images of real handwriting."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from adaptgan.data.records import Record
from adaptgan.data.sources.base import check_split, stratified
from adaptgan.errors import DataError

_TEST_SHARE = 0.278  # about 500 of 1,797
_SIDE = 8


class UCIDigits:
    """1,797 digits of 13 writers, 8×8, grey, white on black: `train` has 1,297, `test` the other 500.

    The split is stratified and always the same, whatever the seed. The digits fill their frame; those of `handwriting`
    take 20 of 28 pixels, a margin that `image_size: 11` gives these.

    Args:
        image_size: height and width; the 8×8 originals are centred in it, on black, and not enlarged. To enlarge, use
            the section's `size`.
    """

    classes: tuple[str, ...] = tuple("0123456789")

    def __init__(self, image_size: int = 8) -> None:
        if image_size < _SIDE:
            raise DataError(f"uci_digits: image_size must be at least 8, found {image_size}.")
        self.image_size = image_size
        self.total: int | None = None

    def records(self, split: str, seed: int) -> Iterator[Record]:
        """The split's records, classes mixed."""
        check_split(split, ("train", "test"), "uci_digits")
        from sklearn.datasets import load_digits

        bunch = load_digits()
        # 17 levels, 0..16: counts of black pixels in the scan's 4×4 blocks.
        images_NHW = np.round(bunch.images * (255 / 16)).astype(np.uint8)
        labels_N = np.asarray(bunch.target, np.int64)
        rows = stratified("uci_digits", labels_N, split, _TEST_SHARE)
        self.total = len(rows)
        first = 0 if split == "train" else len(labels_N) - len(rows)
        return self._records(images_NHW, labels_N, rows, first)

    def _records(self, images_NHW: np.ndarray, labels_N: np.ndarray, rows: np.ndarray, first: int) -> Iterator[Record]:
        before = (self.image_size - _SIDE) // 2
        after = self.image_size - _SIDE - before
        for number, row in enumerate(rows, first):
            image = np.pad(images_NHW[row], (before, after))
            provenance = {"file": "sklearn/datasets/data/digits.csv.gz", "row": int(row)}
            # Numbered in shuffled order: the file often counts 0, 1, 2, …, so its row numbers tell of labels.
            yield Record(f"uci_{number:04d}", image, int(labels_N[row]), provenance=provenance)
