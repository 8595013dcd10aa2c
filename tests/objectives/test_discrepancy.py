"""Discrepancies against closed forms and plain numpy float64 loops."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from adaptgan.objectives.discrepancy import (
    DSN_BANDWIDTHS,
    classifier_discrepancy,
    coral,
    covariance,
    gaussian_kernels,
    mean_distance_bandwidths,
    mmd2,
    squared_distances,
)

Array = np.ndarray


def draw(seed: int, n: int, f: int, mean: float = 0.0, std: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, f, generator=generator, dtype=torch.float64) * std + mean


def kernel(x: Array, y: Array, bandwidths: Sequence[float]) -> float:
    return float(np.mean([np.exp(-((x - y) ** 2).sum() / s) for s in bandwidths]))


def loop_mmd2(a: Array, b: Array, bandwidths: Sequence[float], estimator: str) -> float:
    """Term by term, as the definitions read."""
    if estimator == "linear":
        pairs = min(len(a), len(b)) // 2
        return float(
            np.mean(
                [
                    kernel(a[2 * i], a[2 * i + 1], bandwidths)
                    + kernel(b[2 * i], b[2 * i + 1], bandwidths)
                    - kernel(a[2 * i], b[2 * i + 1], bandwidths)
                    - kernel(a[2 * i + 1], b[2 * i], bandwidths)
                    for i in range(pairs)
                ]
            )
        )
    same = estimator == "biased"

    def within(x: Array) -> float:
        pairs = [(i, j) for i, j in itertools.product(range(len(x)), repeat=2) if same or i != j]
        return float(np.mean([kernel(x[i], x[j], bandwidths) for i, j in pairs]))

    between = np.mean([kernel(x, y, bandwidths) for x in a for y in b])
    return float(within(a) + within(b) - 2 * between)


def test_squared_distances_of_far_away_points_keep_their_digits() -> None:
    a, b = draw(0, 6, 3) + 1000, draw(1, 4, 3) + 1000
    expected = ((a.numpy()[:, None] - b.numpy()[None]) ** 2).sum(2)
    assert np.allclose(squared_distances(a, b).numpy(), expected, rtol=1e-9)
    in_float32 = ((a.float().double().numpy()[:, None] - b.float().double().numpy()[None]) ** 2).sum(2)
    assert np.allclose(squared_distances(a.float(), b.float()).numpy(), in_float32, rtol=1e-4, atol=1e-4)
    assert (squared_distances(a.float(), a.float()) >= 0).all()


@pytest.mark.parametrize("estimator", ["unbiased", "biased", "linear"])
@pytest.mark.parametrize("bandwidths", [(0.5, 2.0, 8.0), DSN_BANDWIDTHS])
def test_mmd_is_its_definition(estimator: str, bandwidths: Sequence[float]) -> None:
    a, b = draw(0, 7, 3), draw(1, 6, 3, mean=0.7, std=1.5)
    expected = loop_mmd2(a.numpy(), b.numpy(), bandwidths, estimator)
    assert mmd2(a, b, bandwidths, estimator).item() == pytest.approx(expected, abs=1e-12)  # type: ignore[arg-type]
    assert mmd2(a.float(), b.float(), bandwidths, estimator).item() == pytest.approx(expected, abs=1e-5)  # type: ignore[arg-type]


def test_mean_distance_bandwidths_are_around_the_mean_over_pairs() -> None:
    z = draw(2, 9, 4, std=3.0)
    x = z.numpy()
    mean = np.mean([((x[i] - x[j]) ** 2).sum() for i in range(9) for j in range(9) if i != j])
    expected = [mean / 4, mean / 2, mean, mean * 2, mean * 4]
    assert mean_distance_bandwidths(z).tolist() == pytest.approx(expected, rel=1e-12)
    assert mean_distance_bandwidths(z, count=3, factor=10).tolist() == pytest.approx(
        [mean / 10, mean, mean * 10], rel=1e-12
    )


def test_mmd_without_bandwidths_takes_both_samples_mean_distance() -> None:
    a, b = draw(3, 8, 3), draw(4, 5, 3, mean=1.0)
    bandwidths = mean_distance_bandwidths(torch.cat([a, b])).tolist()
    assert mmd2(a, b).item() == pytest.approx(loop_mmd2(a.numpy(), b.numpy(), bandwidths, "unbiased"), abs=1e-12)
    assert mmd2(5 * a, 5 * b).item() == pytest.approx(
        mmd2(a, b).item(), abs=1e-12
    )  # the scale of features is no matter


@pytest.mark.parametrize("estimator", ["unbiased", "linear"])
def test_mmd_of_two_gaussians_has_a_closed_form(estimator: str) -> None:
    """E exp(−‖u‖²/s) = (1 + 2v/s)^(−F/2) exp(−‖δ‖²/(s + 2v)) for u ~ N(δ, v I): each pair's difference is Gaussian."""
    f, n, draws, s, mean, std = 2, 300, 60, 3.0, 1.2, 0.5

    def expected_kernel(variance: float, shift: float) -> float:
        return float((1 + 2 * variance / s) ** (-f / 2) * np.exp(-f * shift**2 / (s + 2 * variance)))

    truth = expected_kernel(2, 0) + expected_kernel(2 * std**2, 0) - 2 * expected_kernel(1 + std**2, mean)
    values = [
        mmd2(draw(10 + i, n, f), draw(1000 + i, n, f, mean, std), [s], estimator).item()  # type: ignore[arg-type]
        for i in range(draws)
    ]
    error = np.std(values) / np.sqrt(draws)
    assert abs(np.mean(values) - truth) < 3 * error and error < 0.02 * truth


def test_mmd_of_equal_distributions_is_zero_on_average_and_of_equal_samples_exactly() -> None:
    values = [mmd2(draw(i, 40, 3), draw(500 + i, 40, 3)).item() for i in range(60)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(60) and min(values) < 0
    x = draw(0, 12, 3)
    assert mmd2(x, x, [2.0], "biased").item() == pytest.approx(0, abs=1e-12)
    within = np.sum([kernel(u, v, [2.0]) for u in x.numpy() for v in x.numpy()])
    expected = 2 * ((within - 12) / (12 * 11) - within / 144)  # the diagonal is left out within, not between
    assert mmd2(x, x, [2.0]).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("estimator", ["unbiased", "biased", "linear"])
def test_mmd_gradients_by_finite_differences(estimator: str) -> None:
    a, b = draw(0, 4, 3).requires_grad_(), draw(1, 4, 3, mean=0.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: mmd2(x, y, (1.0, 4.0), estimator), (a, b))  # type: ignore[arg-type]


def test_no_gradient_goes_through_the_bandwidths() -> None:
    a, b = draw(0, 5, 3).requires_grad_(), draw(1, 5, 3, mean=0.5)
    fixed = mean_distance_bandwidths(torch.cat([a.detach(), b])).tolist()
    (free,) = torch.autograd.grad(mmd2(a, b), a)
    (bound,) = torch.autograd.grad(mmd2(a, b, fixed), a)
    assert torch.allclose(free, bound, rtol=1e-12) and free.abs().max() > 0


def test_coral_of_known_covariances() -> None:
    """Points made to have a given covariance exactly: C = L Lᵀ from whitened ones."""
    raw = draw(5, 50, 3).numpy()
    white = (raw - raw.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T
    first, second = np.diag([1.0, 4.0, 9.0]), np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    a = torch.from_numpy(white @ np.linalg.cholesky(first).T + 7)
    b = torch.from_numpy(white[:, ::-1].copy() @ np.linalg.cholesky(second).T - 3)
    assert np.allclose(covariance(a).numpy(), first) and np.allclose(covariance(b).numpy(), second)
    # The difference: diag(−1, 2, 8) and two entries −1, so squares add to 1 + 4 + 64 + 2.
    assert coral(a, b).item() == pytest.approx(71 / 36, rel=1e-9)
    assert coral(a, a + 5).item() == pytest.approx(0, abs=1e-20)  # a shift of the mean is not seen


def test_covariance_is_numpys_and_coral_differentiates() -> None:
    a, b = draw(6, 9, 4), draw(7, 6, 4, std=2.0)
    assert np.allclose(covariance(a).numpy(), np.cov(a.numpy().T))
    expected = ((np.cov(a.numpy().T) - np.cov(b.numpy().T)) ** 2).sum() / 64
    assert coral(a, b).item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(coral, (a.requires_grad_(), b.requires_grad_()))


def test_classifier_discrepancy_at_its_extremes_and_by_hand() -> None:
    k = 4
    p = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]])
    q = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25]])
    assert classifier_discrepancy(p, q).item() == pytest.approx((0.3 + 0.1 + 0.1 + 0.3) / 8)
    assert classifier_discrepancy(torch.eye(k), torch.eye(k).roll(1, 0)).item() == pytest.approx(2 / k)
    assert classifier_discrepancy(p, p).item() == 0


def test_autocast_does_not_coarsen_them() -> None:
    a, b = draw(0, 32, 8).float(), draw(1, 32, 8, mean=0.2).float()
    plain = [mmd2(a, b).item(), mmd2(a, b, [1.0], "linear").item(), coral(a, b).item()]
    with torch.autocast("cpu", torch.bfloat16):
        cast = [mmd2(a, b), mmd2(a, b, [1.0], "linear"), coral(a, b)]
        halves = mmd2(a.bfloat16(), b.bfloat16())
    assert [value.item() for value in cast] == plain
    assert halves.dtype == torch.float32
    assert halves.item() == pytest.approx(mmd2(a.bfloat16().double(), b.bfloat16().double()).item(), abs=1e-5)


def test_kernels_are_averaged() -> None:
    d = torch.tensor([0.0, 1.0, 4.0], dtype=torch.float64)
    expected = (np.exp(-d.numpy() / 2) + np.exp(-d.numpy() / 8)) / 2
    assert np.allclose(gaussian_kernels(d, (2.0, 8.0)).numpy(), expected)
    assert len(DSN_BANDWIDTHS) == 19 and DSN_BANDWIDTHS[6] == 2
