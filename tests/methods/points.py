"""Toy domains in the plane and networks for them: small enough to train to the end in a test."""

from __future__ import annotations

from collections.abc import Callable

import torch
from sklearn.datasets import make_moons
from torch import nn

from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import ClassifierMethod, OptimizerOptions
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

INFO = DataInfo(1, 1, 2, ("a", "b"))
ADAM = OptimizerOptions("adam", lr=3e-3)

Labelled = tuple[torch.Tensor, torch.Tensor]
Domains = Callable[[bool, int, int], Labelled]
"""(target?, how many, seed) -> points as images of 1 × 2 pixels, labels."""


class Points(nn.Module):
    """A classifier of points with two classes."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.head = nn.Linear(width, 2)
        self.n_features = width

    def forward(self, x: torch.Tensor, features: bool = False) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        f = self.body(x)
        return (self.head(f), f) if features else self.head(f)


class Sized(nn.Sequential):
    """Any network that tells how many features it takes or gives."""

    def __init__(self, n_features: int, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.n_features = n_features


def private_encoder(width: int = 32) -> nn.Module:
    return Sized(width, nn.Flatten(), nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width))


def decoder(width: int = 32) -> nn.Module:
    return Sized(width, nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2), nn.Unflatten(1, (1, 1, 2)))


def moons(target: bool, n: int, seed: int) -> Labelled:
    """Two moons; the target's are turned by 30°."""
    points, labels = make_moons(n, noise=0.08, random_state=seed)
    x = torch.tensor(points).float() - torch.tensor([0.5, 0.25])
    angle = torch.deg2rad(torch.tensor(30.0 * target))
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    return (x @ turn.T).view(n, 1, 1, 2), torch.tensor(labels)


def blobs(target: bool, n: int, seed: int) -> Labelled:
    """A blob for each class; the target's have moved together."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    x = torch.stack([2.0 * labels - 1, torch.zeros(n)], 1) + 0.3 * torch.randn(n, 2, generator=generator)
    return (x + torch.tensor([0.9, 0.5]) * target).view(n, 1, 1, 2), labels


def tell_tale(target: bool, n: int, seed: int) -> Labelled:
    """The first number tells the class, roughly; the second exactly, but in the source only."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    sign = 2.0 * labels - 1
    rough = sign + 0.5 * torch.randn(n, generator=generator)
    exact = (torch.ones(n) if target else sign) + 0.1 * torch.randn(n, generator=generator)
    return torch.stack([rough, exact], 1).view(n, 1, 1, 2), labels


def accuracy_after(method: ClassifierMethod, domains: Domains, steps: int = 200, size: int = 64) -> float:
    """Accuracy on target points never seen, after training on labelled source and unlabelled target points."""
    engine = Engine(make_fabric(torch.device("cpu"), "32-true"), method.train(), steps)
    (x_s, y_s), (x_t, _) = domains(False, 512, 0), domains(True, 512, 1)
    for step in range(steps):
        seed_all(step)
        i, j = torch.randint(512, (size,)), torch.randint(512, (size,))
        engine.step([Batch(Side(x_s[i], y_s[i], i), Side(x_t[j], None, j), step, step / steps)])
    x, y = domains(True, 1000, 2)
    return (method.eval().predict(x).argmax(1) == y).float().mean().item()
