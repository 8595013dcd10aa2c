"""The fused optimizers take torch's plain steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptgan.methods.base import OptimizerOptions
from adaptgan.training.engine import make_optimizer


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_fused_sgd_takes_the_plain_ones_steps(momentum: float) -> None:
    """Also where a weight is given its first gradient after the others, or none for a while. Equal but for rounding."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((33, 17), (8, 3, 3, 3), (5,))
    start = [torch.randn(shape, generator=generator) for shape in shapes]
    options = OptimizerOptions("sgd", lr=0.05, momentum=momentum, weight_decay=0.01)
    sides = [[nn.Parameter(value.clone()) for value in start] for _ in range(2)]
    fused = make_optimizer(sides[0], options, torch.device("cpu"))
    plain = torch.optim.SGD(sides[1], 0.05, momentum=momentum, weight_decay=0.01, foreach=False, fused=False)
    for step in range(6):
        for number, shape in enumerate(shapes):
            gradient = torch.randn(shape, generator=generator)
            for side in sides:
                side[number].grad = None if (step, number) in ((0, 1), (3, 2)) else gradient.clone()
        fused.step()
        plain.step()
        for mine, theirs in zip(*sides, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)
    assert not torch.equal(sides[0][0], start[0])
