"""Virtual adversarial training, against what a linear model gives in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.objectives.virtual_adversarial import (
    kl_divergence,
    noiseless,
    virtual_adversarial_direction,
    virtual_adversarial_loss,
)


def linear(shape: tuple[int, int, int] = (1, 3, 4), dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(3)
    layer = nn.Linear(int(np.prod(shape)), 3)
    return nn.Sequential(nn.Flatten(), layer).to(dtype)


def images(n: int = 5, shape: tuple[int, int, int] = (1, 3, 4)) -> torch.Tensor:
    torch.manual_seed(4)
    return torch.rand(n, *shape, dtype=torch.float64) * 2 - 1


def hessian(network: nn.Module, x_CHW: torch.Tensor) -> torch.Tensor:
    """∇∇_r KL(p(x)‖p(x + r)) at r = 0, by automatic differentiation twice."""
    p_K = network(x_CHW[None]).softmax(1)[0].detach()

    def divergence(r_D: torch.Tensor) -> torch.Tensor:
        q_K = network((x_CHW + r_D.view_as(x_CHW))[None]).softmax(1)[0]
        return (p_K * (p_K / q_K).log()).sum()

    return torch.autograd.functional.hessian(divergence, torch.zeros(x_CHW.numel(), dtype=x_CHW.dtype))


def test_kl_divergence() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 6, 4)) * 3
    p, q = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True) for logits in (a, b))
    expected = (p * np.log(p / q)).sum(1)
    found = kl_divergence(torch.tensor(a), torch.tensor(b))
    assert found.numpy() == pytest.approx(expected, rel=1e-10)
    assert kl_divergence(torch.tensor(a), torch.tensor(a) + 5).abs().max() < 1e-12
    sure = torch.tensor([[1000.0, 0.0, 0.0]])
    assert torch.isfinite(kl_divergence(sure, sure.roll(1, 1))).all()


def test_the_direction_is_the_top_eigenvector_of_the_hessian() -> None:
    network, x = linear(), images()
    logits = network(x)
    d = virtual_adversarial_direction(network, x, logits, xi=1e-5, iterations=500)
    for image, direction in zip(x, d, strict=True):
        h_DD = hessian(network, image)
        values, vectors = torch.linalg.eigh(h_DD)
        assert values[-1] > 1.02 * values[-2]  # else the question has no one answer
        assert abs(vectors[:, -1] @ direction.flatten()).item() == pytest.approx(1, abs=1e-5)
        assert direction.norm().item() == pytest.approx(1)


def test_one_iteration_is_the_hessian_on_the_random_start() -> None:
    network, x = linear(), images()
    torch.manual_seed(9)
    d = virtual_adversarial_direction(network, x, network(x), xi=1e-5, iterations=1)
    torch.manual_seed(9)
    start = torch.randn_like(x)
    for image, direction, random in zip(x, d, start, strict=True):
        expected = hessian(network, image) @ random.flatten()
        assert torch.allclose(direction.flatten(), expected / expected.norm(), atol=1e-5)


def test_float32_finds_what_float64_finds_and_not_at_the_papers_xi() -> None:
    shape = (1, 32, 32)
    exact, rounded = linear(shape), linear(shape, torch.float32)
    x = images(8, shape)

    torch.manual_seed(1)
    same_start = torch.randn(8, *shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn_like", lambda like: same_start.to(like))
        a = virtual_adversarial_direction(exact, x, exact(x))
        b = virtual_adversarial_direction(rounded, x.float(), rounded(x.float()))
        c = virtual_adversarial_direction(rounded, x.float(), rounded(x.float()), xi=1e-6)
    cosine = (a * b.double()).flatten(1).sum(1)
    assert cosine.min() > 0.999
    assert (a * c.double()).flatten(1).sum(1).min() < 0.9


def test_the_loss_of_a_short_step_is_half_the_top_eigenvalue() -> None:
    network, x = linear(), images()
    epsilon = 1e-3
    loss = virtual_adversarial_loss(network, x, epsilon, xi=1e-4, iterations=60)
    top = torch.stack([torch.linalg.eigvalsh(hessian(network, image))[-1] for image in x])
    assert loss.item() == pytest.approx(0.5 * epsilon**2 * top.mean().item(), rel=1e-2)


def test_the_gradient_goes_through_the_moved_prediction_alone() -> None:
    network, x, epsilon = linear(), images(), 0.7
    torch.manual_seed(2)
    loss = virtual_adversarial_loss(network, x, epsilon)
    (gradient,) = torch.autograd.grad(loss, [network[1].weight])
    torch.manual_seed(2)
    moved = x + epsilon * virtual_adversarial_direction(network, x, network(x))
    p, q = network(x).softmax(1), network(moved).softmax(1)
    expected = (q - p).T @ moved.flatten(1) / len(x)
    assert torch.allclose(gradient, expected, atol=1e-10)


def test_a_prediction_that_nothing_moves_gives_zeros() -> None:
    x = images().float()

    def constant(images_NCHW: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(images_NCHW), 3) + 0 * images_NCHW.flatten(1).sum(1, keepdim=True)

    assert virtual_adversarial_direction(constant, x, constant(x)).abs().max() == 0
    assert virtual_adversarial_loss(constant, x, 1.0) == 0


def test_mixed_precision_leaves_the_search_alone() -> None:
    network, x = linear((1, 8, 8), torch.float32), images(4, (1, 8, 8)).float()
    directions = []
    for enabled in (False, True):
        torch.manual_seed(5)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            directions.append(virtual_adversarial_direction(network, x, network(x).float() * 0 + 1))
    assert directions[1].dtype == torch.float32
    assert torch.equal(*directions)


def test_noiseless_repeats_itself_and_moves_no_statistics() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 3))
    network.train()
    x = torch.randn(6, 1, 4, 5)
    before = {key: value.clone() for key, value in network.state_dict().items() if "running" in key}
    with noiseless(network):
        once, twice = network(x), network(x)
        by_batch = F.batch_norm(network[0](x), None, None, network[1].weight, network[1].bias, training=True)
        assert torch.allclose(once, network[4](by_batch.flatten(1)), atol=1e-6)
    assert torch.equal(once, twice)
    assert all(torch.equal(network.state_dict()[key], value) for key, value in before.items())
    assert all(module.training for module in network.modules())
    assert not torch.equal(network(x), network(x))
    with pytest.raises(RuntimeError, match="stop"), noiseless(network):
        raise RuntimeError("stop")
    assert all(module.training for module in network.modules()) and network[1].momentum == 0.1
