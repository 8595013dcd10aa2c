"""Editing on a linear generator, where the best latent is a ridge regression."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adaptgan.errors import DataError
from adaptgan.latents.editing import edit, read_scribble, roughness
from tests.latents.linear import linear, matrix


def scribble() -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.zeros(4, 4)
    mask[:2, :2], mask[3, 3] = 1.0, 0.5
    return torch.full((1, 4, 4), 0.7), mask


def ridge(stay: float) -> torch.Tensor:
    """Σ m (A z + b − s)² / Σm + stay · |z − z0|² / Z, solved."""
    a, b = matrix(linear())
    wanted, mask = scribble()
    m = mask.flatten().double()
    weighted = a.T * (m / m.sum())
    z0 = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64)
    left = weighted @ a + stay / 3 * torch.eye(3)
    return torch.linalg.solve(left, weighted @ (wanted.flatten().double() - b[0]) + stay / 3 * z0)


@pytest.mark.parametrize("stay", [0.01, 1.0])
def test_an_edit_is_the_ridge_regression(stay: float) -> None:
    model, z0 = linear(), torch.tensor([0.5, -1.0, 0.2])
    done = edit(model, z0, *scribble(), stay=stay, steps=500, lr=0.3)
    assert torch.allclose(done.z_Z.double(), ridge(stay), atol=2e-3)
    assert done.missed < done.missed_before
    assert done.moved == pytest.approx(float((ridge(stay) - z0).square().mean().sqrt()), rel=0.01)


def test_the_more_it_must_stay_the_less_it_moves_and_matches() -> None:
    model, z0 = linear(), torch.tensor([0.5, -1.0, 0.2])
    done = [edit(model, z0, *scribble(), stay=stay, steps=300, lr=0.3) for stay in (0.0, 0.1, 1.0, 100.0)]
    assert [one.moved for one in done] == sorted((one.moved for one in done), reverse=True)
    assert [one.missed for one in done] == sorted(one.missed for one in done)
    assert done[-1].moved < 0.02 * done[0].moved


def test_frames_lead_from_the_start_to_the_result() -> None:
    model, z0 = linear(), torch.tensor([0.5, -1.0, 0.2])
    done = edit(model, z0, *scribble(), steps=20, frames=5)
    assert done.frames_TCHW.shape == (5, 1, 4, 4)
    assert torch.allclose(done.frames_TCHW[0], model.generate(z0[None])[0].clamp(-1, 1))
    assert torch.equal(done.frames_TCHW[-1], done.image_CHW)
    assert torch.allclose(done.image_CHW, model.generate(done.z_Z[None])[0].clamp(-1, 1), atol=1e-6)


def test_a_smooth_change_is_smoother() -> None:
    model, z0 = linear(12), torch.zeros(12)
    before = model.generate(z0[None])
    rough = [
        float(
            roughness(model.generate(edit(model, z0, *scribble(), smooth=smooth, stay=0, steps=300).z_Z[None]) - before)
        )
        for smooth in (0.0, 1.0)
    ]
    assert rough[1] < 0.7 * rough[0]
    ramp = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 1, 4, 4)
    assert float(roughness(ramp)) == 1.0


def test_a_class_stays_what_it_is() -> None:
    model = linear(conditional=True)
    done = edit(model, torch.zeros(3), *scribble(), label=2, steps=5)
    assert torch.allclose(done.frames_TCHW[0], model.generate(torch.zeros(1, 3), torch.tensor([2]))[0].clamp(-1, 1))


def test_reading_a_scribble() -> None:
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[0, 1] = (255, 0, 0, 255)
    rgba[1, 2] = (255, 255, 255, 51)
    colour, mask = read_scribble(rgba, 3)
    assert colour[:, 0, 1].tolist() == [1, -1, -1] and colour.shape == (3, 2, 3)
    assert mask.tolist() == [[0, 1, 0], [0, 0, pytest.approx(0.2)]]
    grey, _ = read_scribble(rgba, 1)
    assert grey.shape == (1, 2, 3) and float(grey[0, 0, 1]) == pytest.approx(2 * 0.299 - 1, abs=0.01)
    with pytest.raises(DataError, match="transparent"):
        edit(linear(), torch.zeros(3), torch.zeros(1, 4, 4), torch.zeros(4, 4))
