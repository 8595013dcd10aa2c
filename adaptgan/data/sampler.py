"""Which records come when: a pure function of (seed, salt, batch number, rank), with no state to save."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from adaptgan.data.randomness import record_seeds, stream_key
from adaptgan.errors import DataError, ParamsError


class Sampler:
    """An endless stream of shuffled epochs, cut into batches and each batch into one slice per rank.

    Position p of the stream lies in epoch p // count; an epoch is a permutation, so that each record comes once in it.

    Args:
        count: how many records there are.
        batch_size: records in a batch, over all ranks.
        seed: of the run.
        salt: tells streams of one run apart: `source`, `target`.
        rank: which slice of each batch this process takes.
        world_size: how many slices there are.

    Raises:
        DataError: there are no records.
        ParamsError: the batch cannot be cut into equal slices.
    """

    def __init__(
        self, count: int, batch_size: int, seed: int, salt: str = "source", rank: int = 0, world_size: int = 1
    ) -> None:
        if count < 1:
            raise DataError(f"there are no records to draw batches of {salt} images from.")
        if batch_size < 1 or batch_size % world_size:
            raise ParamsError(
                f"training.batch_size: {batch_size} cannot be shared equally by {world_size} processes; "
                f"take a multiple of {world_size}."
            )
        self.count = count
        self.batch_size = batch_size
        self.rank, self.world_size = rank, world_size
        self._name = (seed, salt)
        self._key = stream_key("augmentation", seed, salt)
        self._permutation = lru_cache(maxsize=2)(self._shuffled)  # the same numbers again, only sooner

    def __getstate__(self) -> dict[str, object]:
        return {key: value for key, value in self.__dict__.items() if key != "_permutation"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._permutation = lru_cache(maxsize=2)(self._shuffled)

    def draw(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices and augmentation seeds of this rank's slice of batch `number`, each int64 (batch_size / world_size,).

        A seed is a hash of (seed, salt, epoch, index): the same whatever the batch size or the number of ranks.
        """
        slice_size = self.batch_size // self.world_size
        first = number * self.batch_size + self.rank * slice_size
        positions = np.arange(first, first + slice_size, dtype=np.int64)
        epochs, offsets = positions // self.count, positions % self.count
        indices = np.empty(slice_size, np.int64)
        for epoch in np.unique(epochs):
            inside = epochs == epoch
            indices[inside] = self._permutation(int(epoch))[offsets[inside]]
        return indices, record_seeds(self._key, epochs, indices)

    def _shuffled(self, epoch: int) -> np.ndarray:
        """The epoch's permutation: the order of Philox's raw output, which no numpy release may change."""
        raw = np.random.Philox(key=stream_key("permutation", *self._name, epoch)).random_raw(self.count)
        return np.argsort(raw, kind="stable")
