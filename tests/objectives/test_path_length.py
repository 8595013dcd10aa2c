"""Path length regularization against a generator whose Jacobian is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from adaptgan.objectives.path_length import PathLength
from adaptgan.training.devices import make_fabric

LAYERS, WIDTH, SIDE = 3, 4, 6


class Linear(nn.Module):
    """x = Σ_l M_l w_l, w_l = z for all layers: the Jacobian at layer l is M_l."""

    n_noise, n_styles = WIDTH, LAYERS

    def __init__(self) -> None:
        super().__init__()
        self.matrices = nn.Parameter(torch.randn(LAYERS, SIDE * SIDE, WIDTH))

    def forward(
        self, z: torch.Tensor, labels: Any = None, mixing: float = 0.0, return_styles: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        assert return_styles
        styles = z[:, None].expand(-1, LAYERS, -1) * self.matrices.new_ones(1).requires_grad_()
        pixels = torch.einsum("lpw,nlw->np", self.matrices, styles)
        return pixels.view(-1, 1, SIDE, SIDE), styles


def real(count: int = 8) -> torch.Tensor:
    return torch.zeros(count, 1, SIDE, SIDE)


def lengths_by_hand(network: Linear, noise: torch.Tensor) -> torch.Tensor:
    """‖J_wᵀ y‖ of each image: the root of the mean over layers of ‖M_lᵀ y‖², y of variance 1 / pixels."""
    y = noise.flatten(1).double() / SIDE
    products = torch.stack([y @ matrix.double() for matrix in network.matrices], 1)
    return products.square().sum(2).mean(1).sqrt()


def test_lengths_of_a_linear_synthesis() -> None:
    torch.manual_seed(0)
    network = Linear()
    torch.manual_seed(1)
    found = PathLength().lengths(network, torch.randn(5, WIDTH), None)
    torch.manual_seed(1)
    torch.randn(5, WIDTH)
    expected = lengths_by_hand(network, torch.randn(5, 1, SIDE, SIDE))
    assert torch.allclose(found.double(), expected, rtol=1e-5)
    # In expectation the squared length is the squared Frobenius norm over the number of pixels.
    many = PathLength().lengths(network, torch.zeros(4000, WIDTH), None).square().mean().item()
    frobenius = network.matrices.square().sum().item() / LAYERS / SIDE**2
    assert many == pytest.approx(frobenius, rel=0.05)


def test_the_penalty_and_its_running_mean() -> None:
    torch.manual_seed(0)
    network, penalty = Linear(), PathLength(weight=3.0, decay=0.25, share=0.5)
    mean = 0.0
    for turn in range(3):
        torch.manual_seed(turn)
        term = penalty.terms(network, real(), real())["path_length"]
        torch.manual_seed(turn)
        torch.randn(4, WIDTH)
        lengths = lengths_by_hand(network, torch.randn(4, 1, SIDE, SIDE))
        mean += 0.25 * (lengths.mean().item() - mean)
        assert penalty.mean.item() == pytest.approx(mean, rel=1e-5)
        assert term.item() == pytest.approx(3.0 * (lengths - mean).square().mean().item(), rel=1e-4)
    assert "mean" in penalty.state_dict()


def test_its_gradient_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    network, penalty = Linear().double(), PathLength()
    z = torch.randn(4, WIDTH, dtype=torch.float64)

    def loss() -> torch.Tensor:
        torch.manual_seed(2)
        with torch.enable_grad():
            return (penalty.lengths(network, z, None) - 0.3).square().mean()

    (gradient,) = torch.autograd.grad(loss(), network.matrices)
    for place in ((0, 0, 0), (1, 7, 2), (2, 35, 3)):
        with torch.no_grad():
            network.matrices[place] += 1e-6
            above = loss().item()
            network.matrices[place] -= 2e-6
            below = loss().item()
            network.matrices[place] += 1e-6
        assert gradient[place].item() == pytest.approx((above - below) / 2e-6, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("conditional", [False, True])
def test_stylegan2_as_wrapped_for_training(precision: str, conditional: bool) -> None:
    torch.manual_seed(0)
    info = DataInfo(1, 16, 16, ("a", "b"))
    network = StyleGAN2Generator(info, 8, 12, 2, channels=6, conditional=conditional)
    fabric = make_fabric(torch.device("cpu"), precision)
    wrapped = fabric.setup_module(network)
    labels = torch.arange(8) % 2 if conditional else None
    penalty = PathLength()
    blank = torch.zeros(8, 1, 16, 16)
    fabric.backward(penalty.terms(wrapped, blank, blank, labels)["path_length"])
    assert network.mapping.layers[0].weight.grad is not None
    steering = [layer.conv.style.weight.grad for layer in network.layers]
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in steering)
    assert torch.isfinite(penalty.mean) and penalty.mean > 0


def test_a_compiled_generator_is_differentiated_twice_all_the_same() -> None:
    torch.manual_seed(0)
    network = Linear()
    compiled: Any = torch.compile(network, backend="aot_eager")
    losses = []
    for one in (network, make_fabric(torch.device("cpu"), "32-true").setup_module(compiled)):
        torch.manual_seed(1)
        losses.append(PathLength().terms(one, real(), real())["path_length"])
    assert torch.equal(losses[0], losses[1])
    gradients = [torch.autograd.grad(loss, network.matrices)[0] for loss in losses]
    assert torch.equal(*gradients) and gradients[0].abs().max() > 0


def test_a_network_without_styles_is_named() -> None:
    with pytest.raises(ParamsError, match="StyleGAN2Discriminator has none.*generator_penalties"):
        PathLength().prepare(StyleGAN2Discriminator(DataInfo(1, 16, 16), channels=4))
