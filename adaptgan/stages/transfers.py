"""Copies to and from a device that it need not wait for."""

from __future__ import annotations

import numpy as np
import torch


def ready_to_send(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The values in memory that a GPU can fetch by itself, or as they are where there is none."""
    return values.pin_memory() if device.type == "cuda" else values


def sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The values on the device; the copy of pinned ones goes on while this thread does."""
    return values.to(device, non_blocking=True)


class Fetched:
    """Values on their way from a device. Any thread may ask for them; only who asks waits.

    Args:
        values: of any shape; on the CPU they are there already.
    """

    def __init__(self, values: torch.Tensor) -> None:
        self._arrived: torch.cuda.Event | None = None
        self._values = values
        if values.device.type == "cuda":
            self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            self._arrived = torch.cuda.Event(blocking=True)
            self._arrived.record(torch.cuda.current_stream(values.device))

    def numpy(self) -> np.ndarray:
        """The values."""
        if self._arrived is not None:
            self._arrived.synchronize()
        array: np.ndarray = self._values.numpy()
        return array
