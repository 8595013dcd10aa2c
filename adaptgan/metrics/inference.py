"""A network over many uint8 images: in batches, without gradients, one batch per core at a time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

Forward = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
"""uint8 images (B, C, H, W) on the device -> tensors of B rows each."""


def in_batches(forward: Forward, images_NCHW: np.ndarray, device: torch.device, batch_size: int) -> list[np.ndarray]:
    """What `forward` gives for all images, float64 (N, …), flattened behind the first dimension.

    Args:
        forward: runs one batch; called from several threads on a CPU.
        images_NCHW: uint8.
        device: where batches are put.
        batch_size: most images in one.
    """

    def run(start: int) -> tuple[torch.Tensor, ...]:
        batch = torch.from_numpy(np.ascontiguousarray(images_NCHW[start : start + batch_size]))
        with torch.inference_mode():  # a mode belongs to its thread
            return tuple(value.float().flatten(1).cpu() for value in forward(batch.to(device)))

    starts = range(0, len(images_NCHW), batch_size)
    parts = _on_all_cores(run, starts) if device.type == "cpu" else [run(start) for start in starts]
    return [torch.cat(values).double().numpy() for values in zip(*parts, strict=True)]


def _on_all_cores(run: Callable[[int], tuple[torch.Tensor, ...]], starts: range) -> list[tuple[torch.Tensor, ...]]:
    """One batch per core at a time, in order.

    Splitting each small operation over the cores instead makes them wait for each other at every layer: on two busy
    cores that took three times as long as using one.
    """
    cores = torch.get_num_threads()
    if cores == 1 or len(starts) < 2:
        return [run(start) for start in starts]
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(run, starts))
    finally:
        torch.set_num_threads(cores)
