"""What generative methods share: what the watchdogs read, by hand, and the guard that looks on."""

from __future__ import annotations

import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch, Side
from adaptgan.methods.base import Guard
from adaptgan.methods.generative import LOOK, reports_gradient, spread, watch
from adaptgan.params import load
from adaptgan.stages import train as stage
from adaptgan.testing.data import Stop
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from tests.training.players import INFO, batch, players

CPU = torch.device("cpu")


def images(count: int, seed: int, shape: tuple[int, int, int] = (2, 3, 4)) -> torch.Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def empty() -> Batch:
    return Batch(Side(images(1, 0), None, torch.arange(1)), None, 0, 0.0)


def test_ranking_and_diversity_by_hand() -> None:
    seen = empty()
    real, fake = images(5, 1), 0.3 * images(5, 2)
    real_N, fake_N = torch.tensor([1.0, -2.0, 3.0, 0.5, 0.0]), torch.tensor([0.0, 0.0, 2.0, 0.5, -1.0])
    watch(seen, real_N, fake_N, real, fake)
    assert seen.measures["ranking"].item() == pytest.approx(3 / 5)  # equal logits are no win

    def differs(x: np.ndarray) -> float:
        pairs = [(x[i] - x[i - 1]) ** 2 for i in range(len(x))]
        return float(np.mean(pairs))

    expected = differs(fake.double().numpy()) / differs(real.double().numpy())
    assert seen.measures["diversity"].item() == pytest.approx(expected, rel=1e-5)
    assert 0 < expected < 0.2


def test_ranking_of_patches_and_diversity_of_one_image() -> None:
    seen = empty()
    real, fake = images(4, 1), images(1, 2).expand(4, -1, -1, -1)
    logits = images(8, 3, (1, 3, 3))
    watch(seen, logits[:4], logits[4:], real, fake)
    assert seen.measures["ranking"].item() == pytest.approx(np.mean((logits[:4] > logits[4:]).numpy()))
    assert seen.measures["diversity"] == 0
    watch(seen, logits[:4], logits[4:], fake, real)  # real images that are all alike
    assert seen.measures["diversity"].isfinite()


def test_diversity_is_twice_the_variance_on_average() -> None:
    """E (x − x')² = 2 Var x for independent images: so 1 where G's images vary as the real ones do."""
    x = torch.randn(4000, 1, 2, 2, generator=torch.Generator().manual_seed(0)) * 0.7
    assert spread(x).item() == pytest.approx(2 * 0.49, rel=0.05)
    assert spread(x.bfloat16()).dtype == torch.float32


class Brightness(Augmentation):
    """Adds a number of its own to each image: images that are alike no longer look so."""

    def forward(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        return images_NCHW + torch.randn(len(images_NCHW), 1, 1, 1)


def test_an_augmentation_does_not_hide_a_collapse() -> None:
    method = players()
    method.augmentation = Brightness()
    with torch.no_grad():
        method.generator.last.weight.zero_()
    run = Engine(make_fabric(CPU, "32-true"), method.train(), 10)
    assert run.step([batch()])["discriminator/diversity"] < 1e-6


def test_a_batch_whose_images_report_their_gradient_is_freed() -> None:
    """The hook once held the batch that holds the image: every step's images stayed in memory."""

    def step() -> weakref.ref[Batch]:
        seen, weight = empty(), torch.ones(1, requires_grad=True)
        seen.shared["fake"] = weight * images(2, 1)
        seen.shared["fake"].register_hook(reports_gradient(seen))
        seen.shared["fake"].sum().backward()
        assert "image_gradient" in seen.measures
        return weakref.ref(seen)

    assert step()() is None


def test_image_gradient_by_hand() -> None:
    """The mean norm of dL_i/dx_i, each image for itself, at the D that G learns against."""
    method = players()
    run = Engine(make_fabric(CPU, "32-true"), method.train(), 10)
    given = batch(count=16)
    seen = run.step([given])["generator/image_gradient"].item()
    d: Any = method.discriminator.module
    x = given.shared["fake"].detach().double().requires_grad_()
    norms = []
    for image in x:  # D has not moved since
        one = image[None].detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.softplus(-d.double()(one)).sum(), one)
        norms.append(gradient.norm().item())
    assert seen == pytest.approx(np.mean(norms), rel=1e-3)


class Reader(nn.Module):
    """Takes all images whose middle is bright for class 0; counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        assert not torch.is_grad_enabled() and images_NCHW.dtype == torch.float32
        bright_N = images_NCHW[:, 0, 4, 4] > 0
        return F.one_hot(torch.where(bright_N, 0, 3), 10).float()


class Model:
    """A trained classifier as `load_model` gives one."""

    def __init__(self) -> None:
        self.network, self.info, self.card = Reader(), INFO, {"fingerprint": "f" * 64}

    def predictor(self) -> nn.Module:
        return self.network

    def predict(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return self.network(images_NCHW).softmax(1)

    def to(self, device: torch.device) -> None:
        """Nothing to move."""


def test_a_guard_looks_on_now_and_then_and_changes_nothing() -> None:
    watched, alone = players(repeats=2), players(repeats=2)
    model = Model()
    watched.guard = Guard(model)
    assert "guard" not in dict(watched.named_children())
    runs = [Engine(make_fabric(CPU, "32-true"), method.train(), 100) for method in (watched, alone)]
    for step in (0, 1, LOOK - 1, LOOK):
        seen = []
        for run in runs:
            torch.manual_seed(step)
            given = [batch(step + turn, step=step) for turn in range(2)]
            seen.append(run.step(given))
            if run is runs[0]:
                bright = (given[0].shared["fake"][:, 0, 4, 4] > 0).double().mean().item()
        assert ("generator/largest_generated_class" in seen[0]) == (step % LOOK == 0)
        assert "generator/largest_generated_class" not in seen[1]
        if step % LOOK == 0:
            share = seen[0]["generator/largest_generated_class"].item()
            assert share == pytest.approx(max(bright, 1 - bright))
    assert model.network.calls == 2
    mine, theirs = watched.state_dict(), alone.state_dict()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)


def test_images_that_have_not_grown_are_not_shown_to_the_guard() -> None:
    method = players()
    method.guard = Guard(Model())
    given = batch()
    given.shared["fake"] = images(4, 0, (1, 4, 4))
    method.follow(given)
    assert given.measures == {}


def test_the_stage_shows_the_guard_to_a_generator(
    tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []
    model = Model()
    model.info = stage.ShardDataset(tiny_source).info

    def fit(fabric: Any, run: Any, *_: Any) -> None:
        found.append(run.method.guard.model)
        raise Stop

    monkeypatch.setattr(stage, "fit", fit)
    monkeypatch.setattr(stage, "load_model", lambda _: model)
    section = {"method": "dcgan", "training": {"steps": 5}}
    (tmp_path / "params.yaml").write_text(json.dumps({"tracking": {"enabled": False}, "task": {"gan": section}}))
    for guard in (tmp_path / "guard", None):
        with pytest.raises(Stop):
            stage.train(
                load(tmp_path / "params.yaml"),
                "task.gan",
                source=tiny_source,
                guard=guard,
                out=tmp_path / "out",
                log=tmp_path / "log",
            )
    assert found == [model, None]
