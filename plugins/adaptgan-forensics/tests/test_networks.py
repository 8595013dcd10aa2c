"""The detectors: their constraint, what they are blind to, and that they keep the promises of networks."""

from __future__ import annotations

import pytest
import torch
from adaptgan_forensics.networks import CReLU, ForensicCNN, SpectralDetector
from adaptgan_forensics.residual import ConstrainedConv
from adaptgan_forensics.spectrum import log_spectrum

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError

INFO = DataInfo(3, 16, 20, ("real", "generated"))


def images(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, 16, 20, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_kernels_predict_the_pixel_from_its_neighbours() -> None:
    conv = ConstrainedConv(3, 4, 5)
    torch.nn.init.normal_(conv.free, 3.0, 2.0)  # wherever training goes
    w = conv.weights()
    assert w.shape == (4, 3, 5, 5)
    torch.testing.assert_close(w[:, :, 2, 2], torch.full((4, 3), -1.0))
    torch.testing.assert_close(w.sum((2, 3)), torch.zeros(4, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(conv(torch.full((1, 3, 8, 8), 0.7)), torch.zeros(1, 4, 8, 8), atol=1e-4, rtol=0)


def test_the_projection_is_the_nearest_kernel() -> None:
    """What keeps the constraint stays; else the change is along (1, …, 1), at right angles to the constraint."""
    conv = ConstrainedConv(1, 2, 3)
    w = conv.weights().flatten(2)
    others = torch.cat([w[..., :4], w[..., 5:]], 2)
    change = others - conv.free
    torch.testing.assert_close(change, change.mean(2, keepdim=True).expand_as(change))
    with torch.no_grad():
        conv.free.copy_(others)
    torch.testing.assert_close(conv.weights().flatten(2), w)


def test_small_traces_survive_mixed_precision() -> None:
    """Rounded to bfloat16, a step of one grey level among bright pixels would be gone."""
    conv = ConstrainedConv(1, 2, 3)
    x = torch.full((1, 1, 8, 8), 0.9)
    x[..., 4, 4] += 2 / 255
    with torch.autocast("cpu", torch.bfloat16):
        found = conv(x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, conv(x))
    assert found.abs().max() > 1 / 255


def test_even_kernels_have_no_centre() -> None:
    with pytest.raises(ParamsError, match=r"found 4"):
        ForensicCNN(INFO, kernel=4)


def test_crelu() -> None:
    assert CReLU()(torch.tensor([[1.0, -2.0]])).tolist() == [[1.0, 0.0, 0.0, 2.0]]


def test_the_spectral_detector_sees_the_spectrum_alone() -> None:
    network = SpectralDetector(INFO, window=False).eval()
    x = images(3)
    moved = x.roll((3, 5), (2, 3))  # a shift changes phases, no powers
    torch.testing.assert_close(network(moved), network(x), atol=1e-4, rtol=1e-4)
    logits, features = network(x, features=True)
    assert features.shape == (3, network.n_features) and logits.shape == (3, 2)
    expected = log_spectrum(x, window=False) / (1 + network.standardize.eps) ** 0.5
    torch.testing.assert_close(features, expected)


@pytest.mark.parametrize("spectral", [0, 8])
def test_shapes_of_the_cnn(spectral: int) -> None:
    network = ForensicCNN(INFO, filters=4, widths=(8, 8, 12), spectral=spectral).eval()
    logits, features = network(images(2), features=True)
    assert features.shape == (2, 12 + spectral) == (2, network.n_features) and logits.shape == (2, 2)
    brighter = network(images(2) * 0.5 + 0.1)
    torch.testing.assert_close(network(images(2) * 0.5), brighter, atol=2e-4, rtol=0)  # brightness is no trace
