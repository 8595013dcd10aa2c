"""What the tests of two players share: tiny ones, and digits of 8×8 for them to imitate."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from adaptgan.data.augmentation import Identity
from adaptgan.data.batch import Batch, Side
from adaptgan.data.loader import Loader
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import OptimizerOptions
from adaptgan.methods.generative import TwoPlayers
from adaptgan.objectives.adversarial import Adversarial, NonSaturating
from adaptgan.objectives.penalties import Penalty, inside_forward
from adaptgan.testing.data import Stop
from adaptgan.training.loop import Feeds
from adaptgan.training.run import Run
from adaptgan.training.seeding import seed_all

INFO = DataInfo(1, 8, 8, tuple("0123456789"))
ADAM = OptimizerOptions(lr=1e-3, betas=(0.5, 0.999))


class Generator(nn.Module):
    """Noise (N, Z) -> images (N, 1, 8, 8): one hidden layer; `calls` counts its forwards."""

    conditional = False

    def __init__(self, noise: int = 8, hidden: int = 64) -> None:
        super().__init__()
        self.n_noise, self.calls = noise, 0
        self.first, self.second, self.last = nn.Linear(noise, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 64)

    def forward(self, z_NZ: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        hidden = F.leaky_relu(self.second(F.leaky_relu(self.first(z_NZ), 0.2)), 0.2)
        return self.last(hidden).tanh().view(-1, 1, 8, 8)


class Discriminator(nn.Module):
    """Images (N, 1, 8, 8) -> logits (N,): one hidden layer."""

    by_batch = False

    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.calls = 0
        self.first, self.second, self.last = nn.Linear(64, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1)

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        hidden = F.leaky_relu(self.second(F.leaky_relu(self.first(images_NCHW.flatten(1)), 0.2)), 0.2)
        return self.last(hidden)[:, 0]


class Slope(Penalty):
    """weight · E (‖∇D(x)‖ − 1)² half-way between real and generated images.

    Args:
        weight: its factor.
        every: steps between two turns.
    """

    differentiates_twice = True

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
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
        between = (real_NCHW + fake_NCHW) / 2
        return {"slope": self.weight * inside_forward(network, slope, between)}


def slope(forward: Any, images: torch.Tensor) -> torch.Tensor:
    """E (‖∇D(x)‖ − 1)²."""
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(forward(images).sum(), images, create_graph=True)
    return (gradient.float().flatten(1).norm(dim=1) - 1).square().mean()


class Critic:
    """Wasserstein: the difference of the means."""

    def real(self, logits: torch.Tensor) -> torch.Tensor:
        return -logits

    def fake(self, logits: torch.Tensor) -> torch.Tensor:
        return logits

    def generator(self, logits: torch.Tensor) -> torch.Tensor:
        return -logits


def players(
    adversarial: Adversarial | None = None,
    penalties: Sequence[Penalty] = (),
    repeats: int = 1,
    optimizer: OptimizerOptions = ADAM,
    generator_optimizer: OptimizerOptions = ADAM,
    noise: int = 8,
) -> TwoPlayers:
    """Two tiny ones, the same first weights each time."""
    seed_all(0, "weights")
    method = TwoPlayers(
        Generator(noise),
        Discriminator(),
        adversarial or NonSaturating(),
        penalties,
        Identity(),
        repeats,
        0.9,
        optimizer,
        generator_optimizer,
    )
    method.info = INFO
    return method


@functools.cache
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Handwritten digits (1797, 1, 8, 8) in [-1, 1], and their classes."""
    data = load_digits()
    images = torch.from_numpy(data.images).float()[:, None] / 8 - 1
    return images, torch.from_numpy(data.target).long()


def side(number: int, count: int = 32) -> Side:
    """Batch `number` of the digits."""
    images, classes = digits()
    generator = torch.Generator().manual_seed(number)
    chosen = torch.randint(len(images), (count,), generator=generator)
    return Side(images[chosen], classes[chosen], chosen + 10_000 * number)


def batch(number: int = 0, count: int = 32, step: int = 0) -> Batch:
    return Batch(side(number, count), None, step, 0.0)


@dataclass
class DigitFeeds(Feeds):
    """Feeds for the real loop.

    Attributes:
        size: of a batch.
        stop_at: the step whose batch is refused with `Stop`.
    """

    source: Loader = field(default=None)  # type: ignore[assignment]  # batches are made here
    size: int = 32
    stop_at: int | None = None

    def batch(self, number: int, run: Run) -> Batch:
        if run.step == self.stop_at:
            raise Stop
        return Batch(side(number, self.size), None, run.step, run.step / run.steps)
