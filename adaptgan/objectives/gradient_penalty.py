"""Penalties on the gradient of a discriminator at its inputs: WGAN-GP's, R1 and R2."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from adaptgan.errors import ParamsError
from adaptgan.objectives.adversarial import precise
from adaptgan.objectives.penalties import Penalty, inside_forward

Weight = Annotated[float, Field(ge=0)]
Interval = Annotated[int, Field(ge=1)]


class GradientPenalty(Penalty):
    """λ E[ (‖∇D(x̂)‖₂ − 1)² ], x̂ = ε x + (1 − ε) G(z), ε ~ U(0, 1) (Gulrajani 2017, eq. 3 and Algorithm 1).

    Each image has an ε of its own, and one norm over all its pixels and channels. Of a map of logits D(x) is the mean,
    as in the loss.

    The critic must have no BatchNorm: its output would not be a function of one image (§4). A minibatch standard
    deviation is let through, as Karras 2018 has it.

    Args:
        weight: λ.
        two_sided: bring the norm to 1; else only keep it from going above: max(0, ‖∇D(x̂)‖₂ − 1)² (appendix B).
        every: steps between two of its turns, each of which counts as many times.
    """

    differentiates_twice = True

    def __init__(self, weight: Weight = 10.0, two_sided: bool = True, every: Interval = 1) -> None:
        super().__init__()
        self.weight, self.two_sided, self.every = weight, two_sided, every

    def prepare(self, network: nn.Module) -> None:
        """Nothing is changed.

        Raises:
            ParamsError: the network has BatchNorm.
        """
        if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules()):
            raise ParamsError(
                f"penalties: gradient_penalty asks for the critic's gradient at each image, but this "
                f"{type(network).__name__} has BatchNorm, by which an image's value depends on its neighbours "
                "(Gulrajani 2017, §4). Give it a `norm` of `none` or `instance`, or leave the penalty out."
            )

    def terms(
        self,
        network: nn.Module,
        real_NCHW: torch.Tensor,
        fake_NCHW: torch.Tensor,
        labels_N: torch.Tensor | None = None,
        real_logits_N: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """λ E[ (‖∇D(x̂)‖₂ − 1)² ]."""
        ε = torch.rand(len(real_NCHW), 1, 1, 1, device=real_NCHW.device)
        between_NCHW = ε * real_NCHW + (1 - ε) * fake_NCHW
        excess_N = image_gradients(network, between_NCHW, labels_N).norm(dim=1) - 1
        if not self.two_sided:
            excess_N = excess_N.relu()
        return {self.name: self.weight * excess_N.square().mean()}


class R1(Penalty):
    """γ/2 E[ ‖∇D(x)‖² ] over the real images (Mescheder 2018, eq. 9).

    Args:
        weight: γ.
        every: steps between two of its turns, each of which counts as many times: 1 in the paper, 16 in StyleGAN2.
    """

    differentiates_twice = True

    def __init__(self, weight: Weight = 10.0, every: Interval = 1) -> None:
        super().__init__()
        self.weight, self.every = weight, every

    def terms(
        self,
        network: nn.Module,
        real_NCHW: torch.Tensor,
        fake_NCHW: torch.Tensor,
        labels_N: torch.Tensor | None = None,
        real_logits_N: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """γ/2 E[ ‖∇D(x)‖² ]."""
        return {self.name: self.weight / 2 * squared_norms(network, self.where(real_NCHW, fake_NCHW), labels_N).mean()}

    def where(self, real_NCHW: torch.Tensor, fake_NCHW: torch.Tensor) -> torch.Tensor:
        """The images at which D's gradient is penalized: the real ones."""
        return real_NCHW


class R2(R1):
    """γ/2 E[ ‖∇D(G(z))‖² ] over the generated images (Mescheder 2018, eq. 10).

    Args:
        weight: γ.
        every: steps between two of its turns, each of which counts as many times.
    """

    def where(self, real_NCHW: torch.Tensor, fake_NCHW: torch.Tensor) -> torch.Tensor:
        """The images at which D's gradient is penalized: the generated ones."""
        return fake_NCHW


def squared_norms(network: nn.Module, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None = None) -> torch.Tensor:
    """‖∇D(x)‖² of each image, over all its dimensions: float32 (N,), with a graph."""
    return image_gradients(network, images_NCHW, labels_N).square().sum(1)


def image_gradients(
    network: nn.Module, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None = None
) -> torch.Tensor:
    """∇D(x) of each image, (N, C·H·W), at least float32, with a graph to D's weights.

    Args:
        network: D, plain or as wrapped for training; of a map of logits, D(x) is the mean.
        images_NCHW: x; no gradient goes back to what made them.
        labels_N: classes, for a conditional D.
    """
    labels = () if labels_N is None else (labels_N,)
    gradient_NCHW = inside_forward(network, _gradient, images_NCHW, *labels)
    return precise(gradient_NCHW.flatten(1))


def _gradient(forward: Any, images_NCHW: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
    images_NCHW = images_NCHW.detach().requires_grad_()
    with torch.enable_grad():
        logits = forward(images_NCHW, *labels)
        # Images do not know of each other, so the gradient of the sum holds each one's own.
        total = precise(logits).reshape(len(logits), -1).mean(1).sum()
        (gradient_NCHW,) = torch.autograd.grad(total, images_NCHW, create_graph=True)
    return gradient_NCHW
