"""Equalized layers, pixel norm and the minibatch deviation, against computations by hand and numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from adaptgan.networks.equalized import EqualizedConv2d, EqualizedLinear, MinibatchStddev, PixelNorm


def test_a_linear_layer_is_scaled_at_run_time() -> None:
    layer = EqualizedLinear(6, 4, start=0.5, gain=math.sqrt(2), lr_multiplier=0.01)
    x_NI = torch.randn(3, 6)
    weight = layer.weight.detach().double().numpy()
    expected = x_NI.double().numpy() @ (weight * 0.01 * math.sqrt(2) / math.sqrt(6)).T + 0.5
    np.testing.assert_allclose(layer(x_NI).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_convolution_is_scaled_at_run_time() -> None:
    layer = EqualizedConv2d(6, 4, 3, stride=2, gain=2.0)
    assert layer.weight.std().item() == pytest.approx(1.0, abs=0.2)
    x_NCHW = torch.randn(2, 6, 8, 8)
    expected = F.conv2d(x_NCHW, layer.weight * 2 / math.sqrt(6 * 9), layer.bias, stride=2, padding=1)
    torch.testing.assert_close(layer(x_NCHW), expected)


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
def test_outputs_start_with_the_variance_of_inputs_whatever_the_width(multiplier: float) -> None:
    torch.manual_seed(0)
    for width in (16, 1024):
        y = EqualizedLinear(width, 512, bias=False, lr_multiplier=multiplier)(torch.randn(256, width))
        assert y.std().item() == pytest.approx(1.0, abs=0.1)


def test_a_step_of_adam_moves_every_layer_by_the_same_share() -> None:
    """Adam moves a weight by lr whatever its gradient: the effective weight moves by lr·λ·gain/√fan_in."""
    for multiplier in (1.0, 0.1):
        for width in (4, 400):
            layer = EqualizedLinear(width, 3, gain=math.sqrt(2), lr_multiplier=multiplier)
            before = layer.weight.detach().clone()
            layer(torch.rand(5, width) + 1).sum().backward()
            # dL/dw = scale · Σ x, the same for each output.
            assert layer.weight.grad is not None
            assert torch.allclose(layer.weight.grad, layer.weight.grad[:1])
            torch.optim.Adam(layer.parameters(), lr=1e-2).step()
            moved = (layer.weight.detach() - before).abs() * layer.scale
            share = moved / (math.sqrt(2) / math.sqrt(width))
            torch.testing.assert_close(share, torch.full_like(share, 1e-2 * multiplier), rtol=1e-3, atol=0)


def test_the_gradient_carries_the_scale() -> None:
    layer = EqualizedConv2d(3, 2, 1, gain=math.sqrt(2))
    x = torch.randn(2, 3, 4, 4)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    expected = x.sum((0, 2, 3)) * math.sqrt(2 / 3)
    torch.testing.assert_close(layer.weight.grad[:, :, 0, 0], expected.expand(2, 3))


def test_pixel_norm_gives_unit_mean_squares() -> None:
    x = torch.randn(2, 5, 3, 3) * torch.logspace(-2, 2, 18).view(2, 1, 3, 3)
    y = PixelNorm()(x)
    expected = x.double().numpy() / np.sqrt((x.double().numpy() ** 2).mean(1, keepdims=True) + 1e-8)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert PixelNorm()(torch.ones(2, 7).bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(("count", "groups"), [(8, 2), (4, 1), (5, 2), (6, 2), (7, 2), (9, 3), (3, 1), (2, 1), (1, 1)])
@pytest.mark.parametrize("channels", [1, 2])
def test_minibatch_stddev_against_numpy(count: int, groups: int, channels: int) -> None:
    layer = MinibatchStddev(group=4, channels=channels)
    x = torch.randn(count, 6, 3, 2)
    y = layer.train()(x)
    assert torch.equal(y[:, :6], x)
    assert y.shape == (count, 6 + channels, 3, 2)
    values = x.double().numpy()
    for i in range(count):
        members = values[i % groups :: groups]
        assert len(members) <= 4
        deviation = np.sqrt(members.var(0) + (1e-8 if count > 1 else 0))
        for c, part in enumerate(np.split(deviation, channels)):
            np.testing.assert_allclose(y[i, 6 + c].numpy(), part.mean(), atol=1e-6)


def test_minibatch_stddev_looks_at_one_image_when_evaluated() -> None:
    layer = MinibatchStddev().eval()
    x = torch.randn(8, 4, 2, 2)
    assert torch.equal(layer(x), torch.cat([layer(image[None]) for image in x]))
    assert torch.equal(layer(x)[:, 4], torch.zeros(8, 2, 2))


def test_minibatch_stddev_is_differentiable_where_images_are_equal() -> None:
    x = torch.ones(4, 2, 2, 2, dtype=torch.float32, requires_grad=True)
    (gradient,) = torch.autograd.grad(MinibatchStddev()(x).sum(), x, create_graph=True)
    assert torch.isfinite(gradient).all()
    (second,) = torch.autograd.grad(gradient.square().sum(), x)
    assert torch.isfinite(second).all()
