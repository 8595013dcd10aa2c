"""L1, PSNR and SSIM against formulas written out with scipy's filters, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from kornia.metrics import psnr as kornia_psnr
from scipy.ndimage import gaussian_filter

from adaptgan.metrics.fidelity import compared, l1, luma, psnr, ssim


def images(count: int = 3, channels: int = 3, height: int = 20, width: int = 17) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = gaussian_filter(rng.random((count, channels, height, width)), (0, 0, 1.5, 1.5))
    truth = (truth - truth.min()) / (truth.max() - truth.min())
    made = np.clip(truth + rng.normal(0, 0.05, truth.shape) + 0.03, 0, 1)
    return made, truth


def ssim_by_scipy(made: np.ndarray, truth: np.ndarray) -> float:
    """Wang 2004, eq. 13, of one plane, the way its authors' code has it."""

    def blurred(x: np.ndarray) -> np.ndarray:
        # truncate: 5 pixels either way of a Gaussian with σ = 1.5; what the window does not fit into is cut off.
        return gaussian_filter(x, 1.5, truncate=5 / 1.5, mode="reflect")[5:-5, 5:-5]

    mean_x, mean_y = blurred(made), blurred(truth)
    var_x, var_y = blurred(made**2) - mean_x**2, blurred(truth**2) - mean_y**2
    both = blurred(made * truth) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    found = (2 * mean_x * mean_y + c1) * (2 * both + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return float(found.mean())


def test_ssim_is_the_papers() -> None:
    made, truth = images()
    found = ssim(torch.from_numpy(made), torch.from_numpy(truth)).numpy()
    for n in range(len(made)):
        expected = np.mean([ssim_by_scipy(made[n, c], truth[n, c]) for c in range(3)])
        assert found[n] == pytest.approx(expected, abs=1e-9)
    assert 0.2 < found.min() <= found.max() < 0.99
    same = torch.zeros(1, 1, 12, 12, dtype=torch.float64)
    assert ssim(same, same).item() == 1.0


def test_psnr_and_l1() -> None:
    made, truth = images()
    x, y = torch.from_numpy(made), torch.from_numpy(truth)
    for n in range(len(made)):
        assert psnr(x, y)[n].item() == pytest.approx(kornia_psnr(x[n], y[n], 1.0).item(), abs=1e-9)
        assert psnr(x, y)[n].item() == pytest.approx(-10 * math.log10(np.mean((made[n] - truth[n]) ** 2)))
        assert l1(x, y)[n].item() == pytest.approx(np.mean(np.abs(made[n] - truth[n])))
    tenth = torch.full((1, 1, 4, 4), 0.1)
    assert psnr(tenth, torch.zeros(1, 1, 4, 4)).item() == pytest.approx(20.0, abs=1e-5)


def test_equal_images_have_a_psnr() -> None:
    x = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    assert psnr(x, x).tolist() == pytest.approx([20 * math.log10(255) + 10 * math.log10(12)] * 2)  # 58.9 dB


def test_luma() -> None:
    corners = torch.tensor([[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    found = 255 * luma(corners[:, :, None, None])[:, 0, 0, 0]
    assert found.tolist() == pytest.approx([16, 235, 81.481, 144.553, 40.966])
    assert 255 * luma(torch.ones(1, 1, 2, 2, dtype=torch.float64)).max().item() == pytest.approx(235)


@pytest.mark.parametrize(("border", "on_luma"), [(0, False), (3, False), (2, True)])
def test_compared_takes_stored_images(border: int, on_luma: bool) -> None:
    made, truth = ((255 * part).round().astype(np.uint8) for part in images(5))
    found = compared(made, truth, border=border, on_luma=on_luma, batch_size=2)
    x, y = made / 255, truth / 255
    if border:
        x, y = (part[:, :, border:-border, border:-border] for part in (x, y))
    if on_luma:
        x, y = ((16 + 65.481 * p[:, 0] + 128.553 * p[:, 1] + 24.966 * p[:, 2])[:, None] / 255 for p in (x, y))
    for n in range(5):
        assert found["l1"][n] == pytest.approx(np.mean(np.abs(x[n] - y[n])), abs=1e-6)
        assert found["psnr"][n] == pytest.approx(-10 * math.log10(np.mean((x[n] - y[n]) ** 2)), abs=1e-4)
        expected = np.mean([ssim_by_scipy(x[n, c], y[n, c]) for c in range(x.shape[1])])
        assert found["ssim"][n] == pytest.approx(expected, abs=1e-6)


def test_small_images_have_no_ssim() -> None:
    made, truth = ((255 * part).astype(np.uint8) for part in images(2, 1, 12, 12))
    assert compared(made, truth)["ssim"] is not None
    found = compared(made, truth, border=1)
    assert found["ssim"] is None and found["psnr"] is not None
