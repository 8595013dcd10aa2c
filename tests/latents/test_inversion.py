"""Inversion against closed-form least squares, and the test for memorization against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from adaptgan.errors import DataError
from adaptgan.latents.descent import descend
from adaptgan.latents.drawing import draw
from adaptgan.latents.inversion import invert, memorization
from tests.latents.linear import INFO, Linear, linear, matrix

FAST = {"steps": 400, "lr": 0.2, "restarts": 2}


def test_the_latent_of_a_made_image_is_found() -> None:
    model = linear()
    z = draw(model, 1, range(5))
    found = invert(model, model.generate(z), **FAST)  # type: ignore[arg-type]
    assert torch.allclose(found.z_NZ, z, atol=1e-3)
    assert found.error_N.max() < 1e-6 and found.psnr_N.min() > 60 and found.labels_N is None


@pytest.mark.parametrize("prior", [0.0, 0.05])
def test_other_images_are_projected_as_least_squares_does(prior: float) -> None:
    model = linear()
    x = torch.randn(4, 1, 4, 4) / 2
    found = invert(model, x, prior=prior, **FAST)  # type: ignore[arg-type]
    a, b = matrix(model)
    target = (x.flatten(1).double() - b[:1]).T
    # mean over P pixels + prior · mean over Z coordinates: (AᵀA/P + prior/Z · I) z = Aᵀ(x − b)/P
    expected = torch.linalg.solve(a.T @ a / 16 + prior / 3 * torch.eye(3), a.T @ target / 16).T
    assert torch.allclose(found.z_NZ.double(), expected, atol=2e-3)
    residual = (a @ expected.T - target).square().mean(0)
    assert torch.allclose(found.error_N.double(), residual, rtol=1e-3)
    assert torch.allclose(found.psnr_N.double(), 20 * torch.log10(2 / residual.sqrt()), atol=0.01)


def test_every_class_is_tried_unless_it_is_known() -> None:
    model = linear(conditional=True)
    z, labels = draw(model, 2, range(4)), torch.tensor([2, 0, 1, 2])
    x = model.generate(z, labels)
    found = invert(model, x, **FAST)  # type: ignore[arg-type]
    assert torch.equal(found.labels_N, labels) and torch.allclose(found.z_NZ, z, atol=1e-3)
    wrong = invert(model, x, (labels + 1) % 3, **FAST)  # type: ignore[arg-type]
    assert torch.equal(wrong.labels_N, (labels + 1) % 3) and wrong.error_N.min() > 1e-3


def test_an_image_is_inverted_the_same_in_any_company(monkeypatch: pytest.MonkeyPatch) -> None:
    model = linear()
    x = torch.randn(5, 1, 4, 4) / 2
    together = invert(model, x, steps=20, restarts=3)
    monkeypatch.setattr("adaptgan.latents.inversion.LARGEST_BATCH", 4)
    alone = invert(model, x, steps=20, restarts=3)
    assert torch.allclose(together.z_NZ, alone.z_NZ, atol=1e-5)


class Bumpy(nn.Module):
    """g(z) = cos 3z + z/10: many valleys, of which one start finds the nearest."""

    n_noise, conditional = 1, False

    def forward(self, z_NZ: torch.Tensor) -> torch.Tensor:
        return ((3 * z_NZ).cos() / 2 + z_NZ / 10).view(-1, 1, 1, 1)


def test_restarts_find_what_one_start_misses() -> None:
    model = Linear(Bumpy(), 0.9).eval()
    x = model.generate(torch.tensor([[-3.1]]))
    once = torch.cat([invert(model, x, steps=100, lr=0.05, restarts=1, seed=seed).error_N for seed in range(8)])
    assert once.max() > 1e-3  # some start ends in another valley
    assert invert(model, x, steps=100, lr=0.05, restarts=32).error_N.max() < 1e-6


def test_descend_gives_the_best_that_was_met() -> None:
    seen = []
    start = torch.tensor([[0.0], [1.0]])
    z, value = descend(lambda z: (z - 1).square().sum(1), start, 3, 5.0, lambda step, z: seen.append((step, z.clone())))
    assert [step for step, _ in seen] == [0, 1, 2, 3]
    assert float(z[1]) == 1.0 and float(value[1]) == 0.0  # a huge first step leads away from where it was already
    with torch.no_grad():  # also where gradients are off
        descend(lambda z: z.square().sum(1), start, 1, 0.1)


def test_a_generator_of_its_training_images_is_found_out() -> None:
    """Its range is the span of the training images: others are not in it."""
    torch.manual_seed(0)
    training, held_out = torch.randn(8, 1, 4, 4) / 3, torch.randn(8, 1, 4, 4) / 3
    model = linear(8)
    network = model.average.network
    network.matrix.copy_(training.flatten(1).T)
    network.offset.zero_()
    errors = [invert(model, x, **FAST).error_N.numpy() for x in (training, held_out)]  # type: ignore[arg-type]
    verdict = memorization(*errors)
    assert verdict.training < 1e-3 < verdict.held_out and verdict.auc == 1 and verdict.p < 0.001
    assert "memorized" in str(verdict)
    honest = memorization(errors[1][:4], errors[1][4:])
    assert honest.p > 0.01 and "No sign of memorization" in str(honest)


def test_the_memorization_test_is_mann_and_whitneys() -> None:
    rng = np.random.default_rng(1)
    training, held_out = rng.normal(0, 1, 30).round(1), rng.normal(0.5, 1, 25).round(1)  # with ties
    verdict = memorization(training, held_out)
    expected = stats.mannwhitneyu(training, held_out, alternative="less")
    assert verdict.auc == pytest.approx(1 - expected.statistic / (30 * 25))
    assert verdict.p == pytest.approx(expected.pvalue, abs=0.01)
    assert (verdict.training, verdict.held_out) == (np.median(training), np.median(held_out))
    with pytest.raises(DataError, match="both"):
        memorization(training, [])


def test_no_images() -> None:
    with pytest.raises(DataError, match="no images"):
        invert(linear(), torch.zeros(0, *(INFO.channels, 4, 4)))
