"""Records that are frames of sequences: which belong together, and which go with a frame that is drawn."""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

import numpy as np

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.randomness import mix64
from adaptgan.errors import DataError

FrameOrder = Literal["random", "following"]


class Sequences:
    """The sequences of a data set: its records' annotations `sequence` (a name) and `frame` (0, 1, 2, …).

    Args:
        dataset: the data set.
        count: how many further frames go with each one.
        order: `random`: others of the sequence, none twice, drawn by the record's seed; `following`: those after it.

    Attributes:
        drawable: int64, the records that enough others can go with, rising.
        of_N: int64 (N,), the number of each record's sequence.

    Raises:
        DataError: records say of no sequence, frames are missing, or no sequence is long enough.
        SealedLabelsError: the annotations are sealed.
    """

    def __init__(self, dataset: ShardDataset, count: int, order: FrameOrder = "random") -> None:
        self.count, self.order = count, order
        names = dataset.annotations("sequence", "names of sequences")
        numbers = dataset.annotations("frame", "numbers of frames")
        members: dict[str, list[int]] = defaultdict(list)
        for index, name in enumerate(names):
            members[str(name)].append(index)
        self._place_N = np.zeros(len(names), np.int64)
        self._length_N = np.zeros(len(names), np.int64)
        self._start_N = np.zeros(len(names), np.int64)
        self.of_N = np.zeros(len(names), np.int64)
        ordered: list[int] = []
        for number, (name, indices) in enumerate(members.items()):
            indices.sort(key=lambda index: numbers[index])
            found = [numbers[index] for index in indices]
            if found != list(range(len(found))):
                raise DataError(
                    f"{dataset.folder}: the sequence {name!r} has the frames {_short(found)}; expected 0, 1, 2, … "
                    "without gaps. Ingest it again, in one piece: `limit` may have cut it."
                )
            self._place_N[indices] = np.arange(len(indices))
            self._length_N[indices] = len(indices)
            self._start_N[indices] = len(ordered)
            self.of_N[indices] = number
            ordered += indices
        self._ordered = np.array(ordered, np.int64)
        room_N = self._length_N if order == "random" else self._length_N - self._place_N
        self.drawable = np.flatnonzero(room_N > count)
        if not len(self.drawable):
            raise DataError(
                f"{dataset.folder}: its longest sequence has {max(self._length_N, default=0)} frame(s), and "
                f"{count + 1} are needed."
            )

    def companions(self, indices_N: np.ndarray, seeds_N: np.ndarray) -> np.ndarray:
        """The records that go with some that are drawable: int64 (N, count)."""
        start_N1, length_N1 = self._start_N[indices_N, None], self._length_N[indices_N, None]
        place_N1 = self._place_N[indices_N, None]
        if self.order == "following":
            after: np.ndarray = self._ordered[start_N1 + place_N1 + np.arange(1, self.count + 1)]
            return after
        steps_NT = _distinct(seeds_N, self._length_N[indices_N] - 1, self.count)
        chosen: np.ndarray = self._ordered[start_N1 + (place_N1 + 1 + steps_NT) % length_N1]
        return chosen


def _distinct(seeds_N: np.ndarray, below_N: np.ndarray, count: int) -> np.ndarray:
    """`count` different numbers in [0, below) for each seed, all choices alike (Floyd): int64 (N, count)."""
    bits_NT = mix64(seeds_N.astype(np.uint64)[:, None] ^ mix64(np.arange(7, 7 + count, dtype=np.uint64)))
    chosen_NT = np.zeros((len(seeds_N), count), np.int64)
    for turn in range(count):
        top_N = below_N - count + turn
        drawn_N = (bits_NT[:, turn] % (top_N + 1).astype(np.uint64)).astype(np.int64)
        taken_N = (chosen_NT[:, :turn] == drawn_N[:, None]).any(1)
        chosen_NT[:, turn] = np.where(taken_N, top_N, drawn_N)
    return chosen_NT


def _short(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:6]))
    return f"{shown}, …" if len(numbers) > 6 else shown
