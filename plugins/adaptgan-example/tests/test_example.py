from __future__ import annotations

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from adaptgan.plugins import components
from adaptgan.testing import check_objective, check_plugin


def test_the_plugin_conforms() -> None:
    (spec,) = check_plugin("adaptgan-example")
    assert spec.name == "smoothed"
    check_objective("smoothed")


def test_it_is_cross_entropy_with_a_soft_target() -> None:
    objective = components().build("objective", {"name": "smoothed", "smoothing": 0.2})
    logits = torch.linspace(-4, 4, 9)
    expected = binary_cross_entropy_with_logits(logits, torch.full((9,), 0.8), reduction="none")
    assert torch.allclose(objective.real(logits), expected, atol=1e-6)
