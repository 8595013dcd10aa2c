"""Instance normalization by any kernel is torch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptgan.networks.normalization import InstanceNorm, normalization


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_instance_norm_and_its_gradient_are_torchs(dtype: torch.dtype, memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = (3 * torch.randn(2, 5, 6, 4) + 1).to(dtype).to(memory_format=memory_format)
    weights = torch.randn(2, 5, 6, 4, dtype=torch.float64)
    results = []
    for norm, value in ((InstanceNorm(), x), (nn.InstanceNorm2d(5), x.double())):
        given = value.clone().requires_grad_()
        made = norm(given)
        (made.double() * weights).sum().backward()
        assert given.grad is not None
        results.append((made.detach(), given.grad))
    (mine, my_slope), (exact, slope) = results
    assert mine.dtype == dtype
    close = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 2e-2, "atol": 2e-2}
    torch.testing.assert_close(mine.double(), exact, **close)
    torch.testing.assert_close(my_slope.double(), slope, **close)


def test_the_kinds() -> None:
    assert isinstance(normalization("batch", 4), nn.BatchNorm2d)
    assert isinstance(normalization("none", 4), nn.Identity)
    assert not list(normalization("instance", 4).parameters())
