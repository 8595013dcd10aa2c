"""The fully connected networks: shapes, what weight norm and noise do, and the start from data."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from adaptgan.datainfo import DataInfo
from adaptgan.networks.mlp import MLPClassifier, MLPGenerator, NormalizedLinear

GREY = DataInfo(1, 8, 8, ("a", "b", "c"))
COLOUR = DataInfo(3, 4, 6, ("a", "b"))


def images(info: DataInfo, n: int = 5) -> torch.Tensor:
    return torch.rand(n, info.channels, info.height, info.width) * 2 - 1


@pytest.mark.parametrize("info", [GREY, COLOUR])
def test_shapes_and_range(info: DataInfo) -> None:
    network = MLPClassifier(info, widths=(7, 6))
    logits, features = network(images(info), features=True)
    assert logits.shape == (5, info.n_classes) and features.shape == (5, 6) and network.n_features == 6
    assert features.min() >= 0
    generator = MLPGenerator(info, widths=(9,), noise=4)
    made = generator(torch.rand(5, generator.n_noise))
    assert made.shape == (5, info.channels, info.height, info.width) and made.abs().max() < 1


def test_a_regression_has_an_output_for_each_value() -> None:
    info = DataInfo(1, 8, 8, (), "regression", ("slant", "width"), ((0.0, 1.0), (0.0, 1.0)))
    assert MLPClassifier(info, widths=(7,))(images(info)).shape == (5, 2)


def test_normalized_linear_is_torchs_weight_norm_and_so_are_its_gradients() -> None:
    torch.manual_seed(0)
    layer = NormalizedLinear(6, 4).double()
    with torch.no_grad():
        layer.scale.uniform_(0.5, 2)
        layer.bias.normal_()
    other = weight_norm(nn.Linear(6, 4).double(), dim=0)
    pairs = {
        "direction": "parametrizations.weight.original1",
        "scale": "parametrizations.weight.original0",
        "bias": "bias",
    }
    with torch.no_grad():
        for mine, theirs in pairs.items():
            other.get_parameter(theirs).copy_(layer.get_parameter(mine).view_as(other.get_parameter(theirs)))
    x = torch.randn(9, 6, dtype=torch.float64)
    assert torch.allclose(layer(x), other(x), rtol=1e-12)
    layer(x).square().sum().backward()
    other(x).square().sum().backward()
    for mine, theirs in pairs.items():
        got, expected = layer.get_parameter(mine).grad, other.get_parameter(theirs).grad
        assert got is not None and expected is not None
        assert torch.allclose(got, expected.view_as(got), rtol=1e-10)
    assert torch.autograd.gradcheck(layer, (x.requires_grad_(),))


def test_the_length_of_a_row_changes_nothing_and_its_gradient_is_perpendicular() -> None:
    torch.manual_seed(0)
    network = MLPClassifier(GREY, widths=(7, 6), data_init=False).double().eval()
    x = images(GREY).double()
    before = network(x)
    before.square().sum().backward()
    direction = network.hidden[0].direction
    assert torch.allclose((direction.grad * direction).sum(1), torch.zeros(7, dtype=torch.float64), atol=1e-12)
    with torch.no_grad():
        direction *= 3
    assert torch.allclose(network(x), before, rtol=1e-12)


@pytest.mark.parametrize("learn", [False, True])
def test_the_scales_of_hidden_layers_learn_only_when_told_to(learn: bool) -> None:
    network = MLPClassifier(GREY, widths=(7, 6), learn_scales=learn)
    scales = {name for name, _ in network.named_parameters() if name.endswith("scale")}
    assert scales == ({"hidden.0.scale", "hidden.1.scale", "head.scale"} if learn else {"head.scale"})
    assert {"hidden.0.scale", "initialized"} <= set(network.state_dict())  # a buffer is saved all the same


def test_noise_comes_in_training_only_and_with_its_strength() -> None:
    """One linear path: the variance that noise adds to an output with a row of length 1 is σ²."""
    torch.manual_seed(0)
    network = MLPClassifier(GREY, widths=(5,), input_noise=0.3, hidden_noise=0.0, data_init=False)
    x = torch.zeros(4000, 1, 8, 8)
    network.eval()
    assert torch.equal(network(x), network(x))
    network.train()
    seen: list[torch.Tensor] = []
    network.hidden[0].register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    network(x)
    assert seen[0].mean().item() == pytest.approx(0.5, abs=0.01)  # black is -1, the middle 0.5 on the paper's scale
    assert seen[0].std().item() == pytest.approx(0.3, abs=0.01)
    network.input_noise, network.hidden_noise = 0.0, 0.5
    network.head.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    _, features = network(x, features=True)
    assert (seen[-1] - features).std().item() == pytest.approx(0.5, abs=0.01)


def test_pixels_have_no_order() -> None:
    torch.manual_seed(0)
    network = MLPClassifier(GREY, widths=(7, 6), data_init=False).eval()
    shuffled = copy.deepcopy(network)
    order = torch.randperm(64)
    with torch.no_grad():
        shuffled.hidden[0].direction.copy_(network.hidden[0].direction[:, order])
    x = images(GREY)
    assert torch.allclose(shuffled(x.flatten(1)[:, order].view_as(x)), network(x), atol=1e-6)


def test_the_first_training_batch_gives_each_output_mean_0_and_variance_1() -> None:
    torch.manual_seed(0)
    network = MLPClassifier(GREY, widths=(7, 6), input_noise=0.0, hidden_noise=0.0)
    network.eval()
    network(images(GREY, 64))
    assert not network.initialized  # only training starts it
    network.train()
    x = images(GREY, 64)
    outputs: list[torch.Tensor] = []
    for layer in (*network.hidden, network.head):
        layer.register_forward_hook(lambda layer, inputs, output: outputs.append(output.detach()))
    network(x)
    for output in outputs[1::2]:  # each layer is asked twice in that pass: measured, then used
        assert torch.allclose(output.mean(0), torch.zeros(output.shape[1]), atol=1e-5)
        assert torch.allclose(output.var(0, unbiased=False), torch.ones(output.shape[1]), atol=1e-4)
    assert len(outputs) == 6 and network.initialized
    scale = network.hidden[0].scale.clone()
    network(3 * x)
    assert torch.equal(network.hidden[0].scale, scale)  # once


def test_a_resumed_network_does_not_start_from_data_again() -> None:
    torch.manual_seed(0)
    first, x = MLPClassifier(GREY, widths=(7, 6)).train(), images(GREY, 16)
    first(x)
    second = MLPClassifier(GREY, widths=(7, 6)).train()
    second.load_state_dict(first.state_dict())
    second(2 * x)
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


def test_the_generator_starts_near_grey_and_normalizes_by_the_batch() -> None:
    torch.manual_seed(0)
    generator = MLPGenerator(GREY, widths=(16, 16), noise=8)
    made = generator(torch.rand(64, 8))
    assert made.abs().mean() < 0.5 and made.std(0).mean() > 0.01
    counts = [int(m.num_batches_tracked) for m in generator.modules() if isinstance(m, nn.BatchNorm1d)]
    assert counts == [1, 1]
