"""Paths between latents, against the formulas in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from adaptgan.latents.interpolation import linear, path, spherical


def textbook_slerp(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """Shoemake 1985, for vectors of one length."""
    omega = math.acos(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    return (math.sin((1 - t) * omega) * a + math.sin(t * omega) * b) / math.sin(omega)


def of_length(count: int, length: float, seed: int) -> torch.Tensor:
    z = torch.randn(count, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return length * z / z.norm(dim=1, keepdim=True)


def test_slerp_is_the_textbooks_between_latents_of_one_length() -> None:
    a, b = of_length(5, 4.0, 0), of_length(5, 4.0, 1)
    t = torch.linspace(0, 1, 7, dtype=torch.float64)
    found = spherical(a, b, t)
    for n in range(5):
        for i, moment in enumerate(t.tolist()):
            np.testing.assert_allclose(found[n, i], textbook_slerp(a[n].numpy(), b[n].numpy(), moment), atol=1e-12)
    assert torch.allclose(found.norm(dim=2), torch.full((5, 7), 4.0, dtype=torch.float64), atol=1e-12)


def test_slerp_turns_evenly_and_its_length_goes_linearly() -> None:
    a, b = of_length(1, 2.0, 2), of_length(1, 6.0, 3)
    found = spherical(a, b, torch.linspace(0, 1, 5, dtype=torch.float64))[0]
    assert found.norm(dim=1).tolist() == pytest.approx([2, 3, 4, 5, 6])
    unit = found / found.norm(dim=1, keepdim=True)
    angles = [math.acos(float(x @ y)) for x, y in zip(unit, unit[1:], strict=False)]
    assert angles == pytest.approx([angles[0]] * 4)
    assert sum(angles) == pytest.approx(math.acos(float(a[0] @ b[0]) / 12))


@pytest.mark.parametrize("mode", ["linear", "spherical"])
def test_the_ends_are_exact(mode: str) -> None:
    a, b = torch.randn(3, 8), torch.randn(3, 8)
    found = path(a, b, 6, mode)  # type: ignore[arg-type]
    assert found.shape == (3, 6, 8)
    assert torch.equal(found[:, 0], a) and torch.equal(found[:, -1], b)


def test_linear_is_the_mean_half_way_and_shorter_than_its_ends() -> None:
    a, b = torch.randn(1, 512), torch.randn(1, 512)
    middle = linear(a, b, torch.tensor([0.5]))[0, 0]
    assert torch.allclose(middle, (a[0] + b[0]) / 2)
    assert middle.norm() / a.norm() == pytest.approx(1 / math.sqrt(2), abs=0.1)
    assert spherical(a, b, torch.tensor([0.5])).norm() == pytest.approx(float((a.norm() + b.norm()) / 2), rel=1e-5)


def test_nearly_parallel_equal_and_opposite_latents_stay_finite() -> None:
    a = torch.randn(1, 8)
    t = torch.linspace(0, 1, 5)
    for other in (a.clone(), a + 1e-7 * torch.randn(1, 8), 3 * a):
        assert torch.allclose(spherical(a, other, t), linear(a, other, t), atol=1e-5)
    opposite = spherical(a, -a, t)[0]
    assert torch.equal(opposite[0], a[0]) and torch.equal(opposite[-1], -a[0])
    assert opposite.norm(dim=1).tolist() == pytest.approx([float(a.norm())] * 5, rel=1e-4)
    assert abs(float(opposite[2] @ a[0])) < 1e-4 * float(a.norm()) ** 2
    assert torch.isfinite(spherical(torch.zeros(1, 8), a, t)).all()
    barely = a + 3e-4 * torch.nn.functional.normalize(torch.randn(1, 8))  # just beside the straight case
    assert torch.allclose(spherical(a, barely, t), linear(a, barely, t), atol=1e-5)
