"""The spectrum by hand, of images whose spectrum is known, and against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from adaptgan_forensics.spectrum import FAINT, azimuthal_spectrum, hann, log_spectrum, n_rings, rings


def by_hand(image_HW: np.ndarray, window: bool) -> np.ndarray:
    """Frequency by frequency, in loops."""
    height, width = image_HW.shape
    x = image_HW - image_HW.mean()
    w = np.ones_like(x)
    if window:
        for i in range(height):
            for j in range(width):
                w[i, j] = math.sin(math.pi * (i + 0.5) / height) ** 2 * math.sin(math.pi * (j + 0.5) / width) ** 2
    power = np.abs(np.fft.fft2(w * x)) ** 2 / (height * width * (w**2).mean())
    found: dict[int, list[float]] = {}
    for i in range(height):
        for j in range(width):
            u = (i if i < (height + 1) // 2 else i - height) / height
            v = (j if j < (width + 1) // 2 else j - width) / width
            found.setdefault(round(min(height, width) * math.hypot(u, v)), []).append(power[i, j])
    return np.array([np.mean(found[k]) for k in range(max(found) + 1)])


@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("shape", [(16, 16), (12, 18), (9, 7)])
def test_equals_loops_over_numpys_fft(shape: tuple[int, int], window: bool) -> None:
    images = np.random.default_rng(0).normal(size=(2, 3, *shape))
    found = azimuthal_spectrum(torch.from_numpy(images), window)
    assert found.shape == (2, 3, n_rings(*shape)) and found.dtype == torch.float64
    for n in range(2):
        for c in range(3):
            np.testing.assert_allclose(found[n, c], by_hand(images[n, c], window), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("window", [False, True])
def test_parseval(window: bool) -> None:
    """Power over all frequencies is the energy of the windowed image."""
    x = torch.randn(1, 1, 24, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    counts = rings(24, 24).flatten().bincount()
    w = hann(24, x)[:, None] * hann(24, x) if window else torch.ones(24, 24, dtype=torch.float64)
    energy = (w * (x - x.mean())).square().sum() / w.square().mean()
    torch.testing.assert_close((azimuthal_spectrum(x, window) * counts).sum(), energy)


@pytest.mark.parametrize(("across", "down"), [(5, 0), (0, 9), (3, 4), (-6, 8)])
def test_a_wave_is_at_its_frequency(across: int, down: int) -> None:
    """cos of amplitude a has all its power, a²/4 · HW in each of two places, on the ring of its frequency."""
    i = torch.arange(32, dtype=torch.float64)
    wave = 0.5 * (2 * torch.pi * (down * i[:, None] + across * i) / 32).cos()
    k = round(math.hypot(across, down))
    (spectrum,) = azimuthal_spectrum(wave[None, None], window=False)[0]
    count = int((rings(32, 32) == k).sum())
    assert spectrum[k] == pytest.approx(2 * 0.25 / 4 * 32 * 32 / count)
    others = torch.arange(len(spectrum)) != k
    assert spectrum[others].abs().max() < 1e-20
    windowed = azimuthal_spectrum(wave[None, None])[0, 0]  # Hann spreads it to the next rings, no further
    assert windowed.argmax() in (k - 1, k, k + 1)
    assert windowed[(torch.arange(len(spectrum)) - k).abs() > 3].max() < 1e-3 * windowed.max()


@pytest.mark.parametrize("window", [False, True])
def test_white_noise_is_flat_at_its_variance(window: bool) -> None:
    x = 0.3 * torch.randn(3000, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    spectrum = azimuthal_spectrum(x, window).mean((0, 1))
    np.testing.assert_allclose(spectrum[2:], 0.09, rtol=0.08)  # x̄ is taken from the first, and Hann's neighbours


def test_a_blank_image_is_finite_and_pixels_may_be_of_any_precision() -> None:
    assert log_spectrum(torch.full((2, 3, 8, 8), -1.0)).tolist() == [[pytest.approx(math.log(FAINT))] * 3 * 7] * 2
    x = torch.rand(1, 1, 8, 8)
    assert azimuthal_spectrum(x.bfloat16()).dtype == torch.float32
    assert n_rings(32, 32) == 24
