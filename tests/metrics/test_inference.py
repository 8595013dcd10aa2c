from __future__ import annotations

import numpy as np
import pytest
import torch

from adaptgan.metrics.inference import in_batches


@pytest.mark.parametrize("threads", [1, 2])
def test_batches_come_back_in_order_and_flat(threads: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (45, 2, 3, 3), dtype=np.uint8)
    sizes = []

    def forward(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        assert torch.is_inference_mode_enabled() and batch.dtype == torch.uint8
        sizes.append(len(batch))
        return batch.float(), batch.float().mean((1, 2, 3))[:, None]

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        whole, means = in_batches(forward, images, torch.device("cpu"), 10)
        assert torch.get_num_threads() == threads  # left as it was
    finally:
        torch.set_num_threads(before)
    assert sorted(sizes) == [5, 10, 10, 10, 10]
    np.testing.assert_array_equal(whole, images.reshape(45, -1))
    assert means.dtype == np.float64
    np.testing.assert_allclose(means[:, 0], images.mean((1, 2, 3)), rtol=1e-6)
