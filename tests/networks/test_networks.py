"""Networks: shapes, receptive fields, and the reversal of gradients on a real network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.networks.classifier import ConvClassifier
from adaptgan.networks.discriminator import PatchDiscriminator
from adaptgan.networks.domain import DomainHead
from adaptgan.networks.layers import frozen_statistics, reverse_gradient
from adaptgan.networks.refiner import SimGANRefiner

GREY = DataInfo(1, 32, 32, ("a", "b", "c"))
COLOUR = DataInfo(3, 48, 64, ("a", "b"))


@pytest.mark.parametrize("info", [GREY, COLOUR])
@pytest.mark.parametrize("fold", [1, 2])
def test_refiner_keeps_shape_and_range(info: DataInfo, fold: int) -> None:
    x = torch.rand(2, info.channels, info.height, info.width) * 2 - 1
    y = SimGANRefiner(info, channels=8, blocks=1, fold=fold)(x)
    assert y.shape == x.shape and y.abs().max() < 1


def test_residual_refiner_starts_near_a_monotone_map_of_its_input() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 1, 32, 32) * 2 - 1
    y = SimGANRefiner(GREY, residual=2.0, fold=2)(x)
    assert (y - torch.tanh(2 * x)).abs().max() < 0.3


def test_paper_discriminator_is_local() -> None:
    """One logit must see a patch only: perturb a pixel, count the logits that move."""
    torch.manual_seed(0)
    network = PatchDiscriminator(DataInfo(1, 64, 64))
    x = torch.zeros(1, 1, 64, 64)
    moved = x.clone()
    moved[0, 0, 32, 32] = 1
    changed = (network(x) - network(moved)).abs() > 1e-7
    assert network(x).shape == (1, 16, 16)
    assert 0 < int(changed.sum()) < 40


def test_spectral_normalization_bounds_each_layer_and_rests_in_eval() -> None:
    torch.manual_seed(0)
    network = PatchDiscriminator(GREY, layers="strided", channels=8, spectral_normalization=True)
    x = torch.randn(4, 1, 32, 32)
    for _ in range(60):
        network(x)
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(x)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("info", [GREY, COLOUR])
def test_classifier_shapes(info: DataInfo) -> None:
    network = ConvClassifier(info, widths=(4, 8), hidden=16)
    logits, features = network(torch.zeros(3, info.channels, info.height, info.width), features=True)
    assert logits.shape == (3, info.n_classes) and features.shape == (3, 16)


def test_gradient_reversal_reaches_the_encoder_only_and_exactly() -> None:
    """Domain gradient on the encoder: −λ times the unreversed one; on the head: unchanged."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 8)).double()
    head = DomainHead(8, hidden=6).double()
    x = torch.randn(5, 1, 8, 8, dtype=torch.float64)
    truth = torch.tensor([1.0, 0, 1, 0, 1], dtype=torch.float64)

    def gradients(strength: float | None) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        features = encoder(x)
        if strength is not None:
            features = reverse_gradient(features, strength)
        loss = nn.functional.binary_cross_entropy_with_logits(head(features), truth)
        all_ = torch.autograd.grad(loss, [*encoder.parameters(), *head.parameters()])
        return list(all_[:4]), list(all_[4:])

    plain_encoder, plain_head = gradients(None)
    reversed_encoder, reversed_head = gradients(0.7)
    assert all(g.abs().max() > 0 for g in plain_encoder)
    for plain, turned in zip(plain_encoder, reversed_encoder, strict=True):
        assert torch.allclose(turned, -0.7 * plain, rtol=1e-12)
    for plain, same in zip(plain_head, reversed_head, strict=True):
        assert torch.equal(plain, same)


def test_domain_head_learns_to_tell_two_clouds_apart() -> None:
    """The well-known bug, a softmax over one logit, would leave the loss at log 2 for ever."""
    torch.manual_seed(0)
    head = DomainHead(2, hidden=16)
    x = torch.cat([torch.randn(64, 2) + 2, torch.randn(64, 2) - 2])
    truth = torch.cat([torch.ones(64), torch.zeros(64)])
    optimizer = torch.optim.Adam(head.parameters(), 0.01)
    for _ in range(60):
        loss = nn.functional.binary_cross_entropy_with_logits(head(x), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_frozen_statistics_leave_running_means_alone() -> None:
    network = ConvClassifier(GREY, widths=(4,), hidden=8).train()
    before = [b.clone() for name, b in network.named_buffers() if "running" in name]
    with frozen_statistics(network):
        network(torch.randn(8, 1, 32, 32))
    inside = [b.clone() for name, b in network.named_buffers() if "running" in name]
    network(torch.randn(8, 1, 32, 32))
    after = [b for name, b in network.named_buffers() if "running" in name]
    assert all(torch.equal(a, b) for a, b in zip(before, inside, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(inside, after, strict=True))
