"""Clip, spectral normalization, orthogonality and drift against numpy, torch's own and finite differences."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import parametrizations

from adaptgan.errors import ParamsError
from adaptgan.networks.layers import to_channels_last
from adaptgan.objectives.drift import Drift
from adaptgan.objectives.weight_penalties import Orthogonal, SpectralNorm, WeightClip, skewness
from adaptgan.training.ema import EMA
from tests.singular import halving

IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


class Critic(nn.Module):
    """Two convolutions, an embedding and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.Tanh(), nn.Conv2d(6, 5, 3, 2, 1), nn.Tanh())
        self.head, self.classes = nn.Linear(20, 1), nn.Embedding(3, 20)

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        features = self.layers(images).flatten(1)
        logits: torch.Tensor = self.head(features)[:, 0]
        return logits if labels is None else logits + (features * self.classes(labels)).sum(1)


def weights(critic: Critic) -> list[torch.Tensor]:
    return [critic.layers[0].weight, critic.layers[2].weight, critic.head.weight, critic.classes.weight]


def test_weight_clip_bounds_all_weights_and_moves_only_what_is_outside() -> None:
    critic = Critic()
    critic.extra = nn.BatchNorm2d(2)
    with torch.no_grad():
        critic.head.bias.fill_(-3)
        critic.head.weight[0, 0] = 0.004
    before = {name: value.detach().clone() for name, value in critic.named_parameters()}
    buffers = {name: value.clone() for name, value in critic.named_buffers()}
    WeightClip(0.01).constrain(critic)
    for name, value in critic.named_parameters():
        assert np.array_equal(value.detach().numpy(), before[name].numpy().clip(-np.float32(0.01), np.float32(0.01)))
    assert critic.head.bias.item() == pytest.approx(-0.01) and critic.head.weight[0, 0].item() == pytest.approx(0.004)
    assert all(torch.equal(value, buffers[name]) for name, value in critic.named_buffers())


def test_spectral_norm_divides_by_the_largest_singular_value() -> None:
    plain, critic = Critic(), Critic()
    SpectralNorm().prepare(critic)
    for _ in range(200):
        critic(IMAGES, torch.arange(4) % 3)
    for before, after in zip(weights(plain), weights(critic.eval()), strict=True):
        matrix = before.detach().flatten(1).double().numpy()
        singular = np.linalg.svd(matrix, compute_uv=False)
        assert np.allclose(after.detach().flatten(1).numpy(), matrix / singular[0], atol=1e-5)


def test_spectral_norm_agrees_with_torchs() -> None:
    """Values and gradients, through σ too, once power iteration has arrived; it follows when weights move."""
    ours, theirs = nn.Linear(6, 4), nn.Linear(6, 4)
    theirs.load_state_dict(ours.state_dict())
    SpectralNorm().prepare(ours)
    parametrizations.spectral_norm(theirs)
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(2))
    one, other = (layer.parametrizations.weight.original for layer in (ours, theirs))
    for scale in (1, 3):
        weight = scale * halving(4, 6)
        for layer, original in ((ours, one), (theirs, other)):
            with torch.no_grad():
                original.copy_(weight)
            for _ in range(50):
                layer.zero_grad()
                layer(x).square().sum().backward()
        assert one.grad is not None and other.grad is not None and one.grad.abs().max() > 0.1
        assert torch.allclose(one.grad, other.grad, atol=1e-5)
        assert torch.allclose(ours.weight, theirs.weight, atol=1e-5)


def test_evaluating_moves_nothing() -> None:
    critic = Critic()
    SpectralNorm().prepare(critic)
    with torch.no_grad():
        critic.head.parametrizations.weight.original.mul_(torch.linspace(1, 3, 20))  # σ must be followed from here
    before = copy.deepcopy(critic.state_dict())
    critic.eval()
    one, other = critic(IMAGES), critic(IMAGES)
    assert torch.equal(one, other)
    assert all(torch.equal(value, before[name]) for name, value in critic.state_dict().items())
    critic.train()(IMAGES)
    assert not all(torch.equal(value, before[name]) for name, value in critic.state_dict().items())


def test_a_prepared_network_is_saved_loaded_copied_and_averaged(tmp_path: Path) -> None:
    critic = Critic()
    SpectralNorm().prepare(critic)
    to_channels_last(critic)
    for _ in range(3):
        critic(IMAGES)
    save_file({name: value.contiguous() for name, value in critic.state_dict().items()}, tmp_path / "d.safetensors")
    loaded = Critic()
    SpectralNorm().prepare(loaded)
    loaded.load_state_dict(load_file(tmp_path / "d.safetensors"))
    average = EMA(critic, 0.0)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.add_(0.1)
    critic(IMAGES)
    assert not torch.equal(average.eval()(IMAGES), critic.eval()(IMAGES))
    assert torch.allclose(average(IMAGES), loaded.eval()(IMAGES), atol=1e-6)
    average.decay = -1.0  # all of the new
    average.update(critic)
    assert torch.equal(copy.deepcopy(critic)(IMAGES), critic(IMAGES))
    assert all(torch.isfinite(value).all() for value in average.state_dict().values())


def test_layers_that_are_normalized_already_are_left_alone() -> None:
    critic = Critic()
    SpectralNorm().prepare(critic)
    names = critic.state_dict().keys()
    SpectralNorm().prepare(critic)
    assert critic.state_dict().keys() == names and "head.parametrizations.weight.original" in names


def test_what_spectral_norm_cannot_normalize_is_named() -> None:
    with pytest.raises(ParamsError, match="this Tanh has none"):
        SpectralNorm().prepare(nn.Tanh())
    with pytest.raises(ParamsError, match="has transposed convolutions"):
        SpectralNorm().prepare(nn.Sequential(nn.Conv2d(1, 1, 1), nn.ConvTranspose2d(1, 1, 1)))


def test_orthogonal_by_numpy() -> None:
    """Σ over i ≠ j of ⟨w_i, w_j⟩², of all weights but the embedding's and the biases."""
    critic = Critic()
    expected = 0.0
    for weight in weights(critic)[:3]:
        matrix = weight.detach().numpy().reshape(len(weight), -1).astype(np.float64)
        expected += sum(
            matrix[i] @ matrix[j] * (matrix[i] @ matrix[j])
            for i in range(len(matrix))
            for j in range(len(matrix))
            if i != j
        )
    (term,) = Orthogonal(0.5).terms(critic, IMAGES, IMAGES).values()
    assert expected > 0.01 and term.item() == pytest.approx(0.5 * expected, rel=1e-5)
    term.backward()
    w = critic.layers[0].weight.detach().flatten(1).double()
    gram = w @ w.T
    gram.fill_diagonal_(0)
    assert critic.layers[0].weight.grad is not None  # ∇‖WᵀW ⊙ (1 − I)‖² = 4 (WᵀW ⊙ (1 − I)) W
    assert torch.allclose(critic.layers[0].weight.grad.flatten(1).double(), 0.5 * 4 * gram @ w, atol=1e-5)
    assert critic.classes.weight.grad is None


def test_orthogonal_filters_of_any_length_cost_nothing() -> None:
    layer = nn.Conv2d(3, 8, 2)
    nn.init.orthogonal_(layer.weight)
    with torch.no_grad():
        layer.weight.mul_(torch.linspace(0.1, 5, 8).view(-1, 1, 1, 1))
    assert skewness(layer).item() == pytest.approx(0, abs=1e-8)
    with torch.no_grad():
        layer.weight[0] = layer.weight[1]
    assert skewness(layer).item() > 0.1
    memory = copy.deepcopy(layer).to(memory_format=torch.channels_last)
    assert skewness(memory).item() == pytest.approx(skewness(layer).item(), rel=1e-6)


def test_orthogonal_takes_transposed_kernels_by_their_outputs_and_what_parametrized_ones_are_made_from() -> None:
    layer = nn.ConvTranspose2d(5, 2, 3, dtype=torch.float64)
    w = layer.weight.detach().transpose(0, 1).flatten(1)
    assert skewness(layer).item() == pytest.approx(2 * (w[0] @ w[1]).item() ** 2)
    critic = Critic()
    expected = skewness(critic).item()
    SpectralNorm().prepare(critic)
    before = copy.deepcopy(critic.state_dict())
    assert skewness(critic).item() == pytest.approx(expected, rel=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in critic.state_dict().items())
    with pytest.raises(ParamsError, match="this Tanh"):
        skewness(nn.Tanh())


def test_orthogonal_stays_in_single_precision_under_autocast() -> None:
    critic = Critic()
    expected = skewness(critic).item()
    with torch.autocast("cpu", torch.bfloat16):
        assert skewness(critic).item() == expected


def test_drift_by_hand() -> None:
    critic, labels = Critic(), torch.arange(4) % 3
    for given, logits in (((), critic(IMAGES)), ((labels,), critic(IMAGES, labels))):
        expected = 0.25 * float(np.mean(logits.detach().numpy().astype(np.float64) ** 2))
        asked = Drift(0.25).terms(critic, IMAGES, IMAGES * 0, *given)["drift"]
        known = Drift(0.25).terms(critic, IMAGES * 0, IMAGES * 0, *(given or (None,)), logits)["drift"]
        assert asked.item() == pytest.approx(expected, rel=1e-5) and known.item() == pytest.approx(expected, rel=1e-5)
        known.backward()
        assert critic.head.weight.grad is not None and critic.head.weight.grad.any()
        critic.zero_grad()
