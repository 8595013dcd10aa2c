"""CDAN, MMD, Deep CORAL, ADDA, MCD and pseudo-labels on small shifts of points in the plane, beside source-only."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from adaptgan.data.augmentation import Identity
from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo
from adaptgan.methods.adda import ADDA
from adaptgan.methods.base import ClassifierMethod, OptimizerOptions
from adaptgan.methods.cdan import CDAN
from adaptgan.methods.deep_coral import DeepCORAL
from adaptgan.methods.mcd import MCD
from adaptgan.methods.mmd import MMD
from adaptgan.methods.pseudo_labels import PseudoLabels
from adaptgan.methods.supervised import Supervised
from tests.methods.alignment import engine


class Points(nn.Module):
    """An MLP on points that come as (N, 1, 1, 2) images."""

    def __init__(self, classes: int, deep_head: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
        last = nn.Linear(16, classes)
        self.head = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), last) if deep_head else last
        self.n_features = 16

    def forward(self, images: torch.Tensor, features: bool = False) -> Any:
        features_NF = self.body(images)
        return (self.head(features_NF), features_NF) if features else self.head(features_NF)


Draw = Callable[[int, int, bool], tuple[torch.Tensor, torch.Tensor]]


def rotated(degrees: float) -> tuple[int, Draw]:
    """Four clouds on a circle; the target's are turned."""

    def draw(seed: int, n: int, shifted: bool) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(4, (n,), generator=generator)
        angle = labels * math.pi / 2 + shifted * math.radians(degrees)
        points = 2 * torch.stack([angle.cos(), angle.sin()], 1) + 0.35 * torch.randn(n, 2, generator=generator)
        return points[:, None, None], labels

    return 4, draw


def misleading_cue(shift: float, noise: float) -> tuple[int, Draw]:
    """Two clouds; of two coordinates that tell them apart, the clearer one is displaced and blurred in the target."""

    def draw(seed: int, n: int, shifted: bool) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(2, (n,), generator=generator)
        sign = 2.0 * labels - 1
        steady = sign + 0.5 * torch.randn(n, generator=generator)
        cue = sign + (noise if shifted else 0.2) * torch.randn(n, generator=generator) + shift * shifted
        return torch.stack([steady, cue], 1)[:, None, None], labels

    return 2, draw


def accuracy(method: ClassifierMethod, draw: Draw, steps: int, n: int = 64) -> float:
    """On target points, after training on labelled source points and unlabelled target ones."""
    run = engine(method, steps)
    turns = max(phase.repeats for phase in run.phases)
    seeds = torch.zeros(n, dtype=torch.int64)
    for step in range(steps):
        batches = []
        for number in range(step * turns, (step + 1) * turns):
            source, labels = draw(2 * number, n, False)
            target, _ = draw(2 * number + 1, n, True)
            sides = Side(source, labels, seeds), Side(target, None, seeds)
            batches.append(Batch(*sides, step, step / steps))
        run.step(batches)
    method.eval()
    points, labels = draw(10**6, 2000, True)
    with torch.no_grad():
        return (method.predict(points).argmax(1) == labels).float().mean().item()


def adam(lr: float, first: float = 0.9) -> OptimizerOptions:
    return OptimizerOptions("adam", lr=lr, betas=(first, 0.999))


PLAIN = Identity()
# The shift, steps, by how much it must beat source-only, the method. Of 16 starts 14 of CDAN's and of Deep CORAL's do,
# and all of the others'.
ADAPTS: dict[str, tuple[tuple[int, Draw], int, float, Callable[[DataInfo, nn.Module], ClassifierMethod]]] = {
    "cdan": (
        misleading_cue(2.0, 0.2),
        120,
        0.2,
        lambda i, c: CDAN(i, c, PLAIN, domain_hidden=16, optimizer=adam(5e-3)),
    ),
    "mmd": (
        misleading_cue(2.0, 0.2),
        120,
        0.2,
        lambda i, c: MMD(i, c, PLAIN, estimator="unbiased", optimizer=adam(5e-3)),
    ),
    "deep_coral": (
        misleading_cue(1.5, 1.5),
        120,
        0.05,
        lambda i, c: DeepCORAL(i, c, PLAIN, weight=100.0, optimizer=adam(5e-3)),
    ),
    "adda": (
        misleading_cue(2.0, 0.2),
        120,
        0.2,
        lambda i, c: ADDA(i, c, PLAIN, 0.5, "features", 16, 0.0, adam(5e-3), adam(2e-3, 0.5), adam(5e-3, 0.5)),
    ),
    "mcd": (rotated(30), 300, 0.03, lambda i, c: MCD(i, c, PLAIN, warmup=0.3, optimizer=adam(3e-3))),
    "pseudo_labels": (
        rotated(30),
        200,
        0.03,
        lambda i, c: PseudoLabels(i, c, PLAIN, 1.0, warmup=0.4, ramp=0.4, ema=0.9, optimizer=adam(5e-3)),
    ),
}


@pytest.mark.parametrize("name", ADAPTS)
def test_it_adapts_where_the_source_alone_fails(name: str) -> None:
    (classes, draw), steps, margin, make = ADAPTS[name]
    info = DataInfo(1, 1, 2, tuple(f"class {k}" for k in range(classes)))
    torch.manual_seed(0)
    network = Points(classes, deep_head=name == "mcd")
    source_only = Supervised(info, copy.deepcopy(network), Identity(), label_smoothing=0.0, optimizer=adam(5e-3))
    torch.manual_seed(1)
    adapted, baseline = accuracy(make(info, network), draw, steps), accuracy(source_only, draw, steps)
    assert adapted > baseline + margin, f"{name} {adapted:.3f}, source-only {baseline:.3f}"
