"""The global random generators, which no component may depend on beyond what the loop seeds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from adaptgan.training.seeding import seed_all


@contextmanager
def chance(number: int) -> Iterator[None]:
    """Torch's, NumPy's and Python's generators start from `number` inside the block, and are as they were after it."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        seed_all("testing", number)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002
