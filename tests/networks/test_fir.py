"""Resampling through the filter, against scipy's upfirdn and against filters and convolutions one after the other."""

from __future__ import annotations

import pytest
import torch
from scipy.signal import upfirdn
from torch.nn import functional as F

from adaptgan.networks.fir import FIR, DownConv, UpConv, convolved_up

TAPS = [(1, 3, 3, 1), (1, 5, 10, 10, 5, 1), (1, 1)]


def features(height: int = 6, width: int = 8) -> torch.Tensor:
    return torch.randn(2, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def reference(x: torch.Tensor, taps: tuple[float, ...], up: int, down: int) -> torch.Tensor:
    """Full convolutions along both axes, then the part that lies over the image."""
    y = x.numpy()
    for axis in (2, 3):
        line = up * torch.tensor(taps, dtype=torch.float64).numpy() / sum(taps)
        whole = upfirdn(line, y, up=up, axis=axis)
        first = len(taps) // 2 - 1 if up == 2 else len(taps) // 2
        side = y.shape[axis] * up // down
        y = whole.take([first + down * i for i in range(side)], axis=axis)
    return torch.from_numpy(y)


@pytest.mark.parametrize("taps", TAPS)
def test_up_and_down_are_upfirdn(taps: tuple[float, ...]) -> None:
    fir, x = FIR(taps).double(), features()
    assert fir.up(x).shape == (2, 3, 12, 16) and fir.down(x).shape == (2, 3, 3, 4)
    assert torch.allclose(fir.up(x), reference(x, taps, 2, 1), atol=1e-6)
    assert torch.allclose(fir.down(x), reference(x, taps, 1, 2), atol=1e-6)


def test_the_usual_filter_is_bilinear_inside() -> None:
    x = features()
    bilinear = F.interpolate(x, scale_factor=2, mode="bilinear")
    assert torch.allclose(FIR().double().up(x)[:, :, 1:-1, 1:-1], bilinear[:, :, 1:-1, 1:-1])


def test_brightness_stays() -> None:
    fir, flat = FIR(), torch.full((1, 2, 8, 8), 3.0)
    for y in (fir.up(flat), fir.down(flat), fir.blur(flat, 0), fir.blur(flat, 1, gain=2.0) / 2):
        assert torch.allclose(y[:, :, 1:-1, 1:-1], torch.tensor(3.0))


@pytest.mark.parametrize("taps", TAPS)
def test_convolving_up_is_the_filter_then_a_mirrored_convolution(taps: tuple[float, ...]) -> None:
    fir, x, weight = FIR(taps).double(), features(), torch.randn(5, 3, 3, 3, dtype=torch.float64)
    expected = F.conv2d(fir.up(x), weight.flip(2, 3), padding=1)
    found = convolved_up(x, weight, fir)
    assert found.shape == expected.shape == (2, 5, 12, 16)
    assert torch.allclose(found[:, :, 3:-3, 3:-3], expected[:, :, 3:-3, 3:-3], atol=1e-10)


def test_layers_have_the_equalized_scale_and_size() -> None:
    torch.manual_seed(0)
    x = features().float()
    up, down = UpConv(3, 4, gain=2.0), DownConv(3, 4, gain=2.0)
    he = 2.0 / (3 * 9) ** 0.5
    assert torch.allclose(up(x), convolved_up(x, he * up.weight, FIR()), atol=1e-5)
    blurred = FIR().blur(x, 2)
    assert torch.allclose(down(x), F.conv2d(blurred, he * down.weight, down.bias, stride=2), atol=1e-5)
    assert up(x).shape == (2, 4, 12, 16) and down(x).shape == (2, 4, 3, 4)
    assert list(up.state_dict()) == ["weight"]  # the filter is no state


def test_bfloat16_resamples_in_float32_on_a_cpu() -> None:
    x = features().bfloat16()
    for name in ("up", "down"):
        y = getattr(FIR(), name)(x)
        assert y.dtype == torch.bfloat16
        assert torch.equal(y, getattr(FIR(), name)(x.float()).bfloat16())
