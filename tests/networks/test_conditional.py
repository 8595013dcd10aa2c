"""Conditional batch normalization, against one class at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.errors import ParamsError
from adaptgan.networks.conditional import ClassBatchNorm, EmbeddedBatchNorm, required


def maps() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 4, 3, 5, generator=generator, dtype=torch.float64) * 3 + 1
    return x, torch.tensor([0, 2, 1, 2, 0, 2])


def test_each_class_has_its_own_gain_and_bias() -> None:
    x, y = maps()
    layer = ClassBatchNorm(4, 3).double()
    with torch.no_grad():
        layer.gain.weight.normal_()
        layer.bias.weight.normal_()
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    expected = torch.stack(
        [
            F.batch_norm(image[None], mean, variance, layer.gain.weight[k], layer.bias.weight[k])[0]
            for image, k in zip(x, y.tolist(), strict=True)
        ]
    )
    assert torch.allclose(layer(x, y), expected, rtol=1e-9)
    assert torch.allclose(layer.norm.running_mean, 0.1 * mean)
    running = layer.eval().norm
    alone = F.batch_norm(x[1:2], running.running_mean, running.running_var, layer.gain.weight[2], layer.bias.weight[2])
    assert torch.allclose(layer(x, y)[1:2], alone, rtol=1e-9)


def test_it_starts_as_plain_batch_normalization() -> None:
    x, y = maps()
    plain = nn.BatchNorm2d(4).double()
    assert torch.allclose(ClassBatchNorm(4, 3).double()(x, y), plain(x))
    gain, bias = (nn.Linear(7, 4, bias=False).double() for _ in range(2))
    layer = EmbeddedBatchNorm(4, gain, bias).double()
    assert torch.allclose(layer(x, torch.zeros(6, 7, dtype=torch.float64)), plain(x))


def test_gains_and_biases_of_a_vector() -> None:
    x, _ = maps()
    c = torch.randn(6, 7, dtype=torch.float64)
    gain, bias = (nn.Linear(7, 4, bias=False).double() for _ in range(2))
    normal = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
    expected = torch.empty_like(x)
    for n in range(6):
        for k in range(4):
            expected[n, k] = normal[n, k] * (1 + gain.weight[k] @ c[n]) + bias.weight[k] @ c[n]
    assert torch.allclose(EmbeddedBatchNorm(4, gain, bias).double()(x, c), expected, rtol=1e-9)


def test_gradients_of_a_class_come_from_its_images_only() -> None:
    x, y = maps()
    layer = ClassBatchNorm(4, 4).double()
    (layer(x, y).square().sum()).backward()
    touched = layer.gain.weight.grad.abs().sum(1) > 0
    assert touched.tolist() == [True, True, True, False]


def test_the_type_stays_under_mixed_precision() -> None:
    x, y = maps()
    assert ClassBatchNorm(4, 3)(x.bfloat16(), y).dtype == torch.bfloat16


def test_missing_labels_are_named() -> None:
    with pytest.raises(ParamsError, match="some_network: this network is conditional on classes and was given none"):
        required(None, "some_network")
