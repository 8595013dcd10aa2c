"""Running means of losses on the device: nothing is read back until somebody asks."""

from __future__ import annotations

import math
from typing import Any

import torch

from adaptgan.errors import TrainingError


class Statistics:
    """[n, Σ, Σ², first non-finite step] per named scalar, on the device.

    `add` never synchronizes; `read` does, once for all names. Under several ranks each keeps its own sums; the loop
    averages them when it reads.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._tables: dict[tuple[str, ...], torch.Tensor] = {}

    def add(self, losses: dict[str, torch.Tensor], step: int) -> None:
        """Count one value of each name at `step`."""
        if not losses:
            return
        names = tuple(losses)
        table_K4 = self._tables.get(names)
        if table_K4 is None:
            table_K4 = torch.zeros(len(names), 4, dtype=torch.float64, device=self.device)
            table_K4[:, 3] = -1
            self._tables[names] = table_K4
        values_K = torch.stack([loss.detach() for loss in losses.values()]).to(torch.float64)
        table_K4[:, 0] += 1
        table_K4[:, 1] += values_K
        table_K4[:, 2] += values_K.square()
        table_K4[:, 3].masked_fill_((table_K4[:, 3] < 0) & ~values_K.isfinite(), step)

    def read(self) -> dict[str, float]:
        """The mean of each name since the last call; starts anew.

        Raises:
            NonFiniteLoss: a value was NaN or infinite.
        """
        sums: dict[str, list[float]] = {}
        bad: list[tuple[int, str]] = []
        for names, table_K4 in self._tables.items():
            for name, (count, total, _, first_bad) in zip(names, table_K4.tolist(), strict=True):
                entry = sums.setdefault(name, [0.0, 0.0])
                entry[0] += count
                entry[1] += total
                if first_bad >= 0:
                    bad.append((int(first_bad), name))
            table_K4[:, :3] = 0
        means = {name: total / count for name, (count, total) in sums.items() if count}
        if bad:
            step, name = min(bad)
            raise NonFiniteLoss(step, name, means.get(name, math.nan))
        return means

    def check(self) -> None:
        """Look for non-finite values without starting anew; a checkpoint must not hold what they led to.

        Raises:
            NonFiniteLoss: a value was NaN or infinite.
        """
        for names, table_K4 in self._tables.items():
            for name, (_, total, _, first_bad) in zip(names, table_K4.tolist(), strict=True):
                if first_bad >= 0:
                    raise NonFiniteLoss(int(first_bad), name, total)

    def state_dict(self) -> dict[str, Any]:
        """Names and sums, for a checkpoint."""
        return {"tables": [[list(names), table.cpu()] for names, table in self._tables.items()]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back a state."""
        self._tables = {tuple(names): table.to(self.device) for names, table in state["tables"]}


class NonFiniteLoss(TrainingError):
    """A loss term became NaN or infinite; the loop adds where the last good checkpoint is."""

    def __init__(self, step: int, term: str, value: float) -> None:
        self.step, self.term, self.value = step, term, value
        super().__init__(f"the loss {term} became {value} at step {step}.")
