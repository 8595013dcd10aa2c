"""The conformance check of methods: each kind of mistake is caught by its own message."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from adaptgan.components import ComponentSpec
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import Losses, Method, OptimizerOptions, Phase
from adaptgan.plugins import plugins
from adaptgan.testing import check_method
from adaptgan.training.statistics import NonFiniteLoss


class Good(Method):
    """Learns a scale and, in a second phase, a shift.

    Args:
        data: the images' shape.
    """

    def __init__(self, data: DataInfo) -> None:
        super().__init__()
        self.scale = nn.Linear(1, 1)
        self.shift = nn.Linear(1, 1)
        self.register_buffer("count", torch.zeros(()))
        self.loose = 0.0

    def phases(self) -> list[Phase]:
        options = OptimizerOptions(lr=0.1)
        return [Phase("a", ("scale",), self.first, options), Phase("b", ("shift",), self.second, options)]

    def first(self, batch: Batch) -> Losses:
        return {"fit": (self.scale(batch.source.images_NCHW.mean((1, 2, 3))[:, None]) - 1).square().mean()}

    def second(self, batch: Batch) -> Losses:
        return {"fit": (self.shift(batch.real.images_NCHW.mean((1, 2, 3))[:, None]) - 1).square().mean()}


class TouchesOthers(Good):
    """Changes a module that the phase does not train."""

    def second(self, batch: Batch) -> Losses:
        with torch.no_grad():
            self.scale.weight.add_(1)
        return super().second(batch)


class Idle(Good):
    """Says it trains what its loss does not depend on."""

    def phases(self) -> list[Phase]:
        return [Phase("a", ("scale", "shift"), self.first, OptimizerOptions(lr=0.1))]


class Vector(Good):
    """A loss that is no scalar."""

    def first(self, batch: Batch) -> Losses:
        return {"fit": super().first(batch)["fit"][None]}


class Forgetful(Good):
    """Keeps state in a plain attribute."""

    def first(self, batch: Batch) -> Losses:
        self.loose += 1.0
        return {"fit": super().first(batch)["fit"] * self.loose**3 + self.scale.bias.square().sum() * self.loose}


class Random(Good):
    """Draws from a generator that nobody seeds."""

    def first(self, batch: Batch) -> Losses:
        generator = torch.Generator()
        generator.seed()
        return {"fit": super().first(batch)["fit"] + torch.rand(1, generator=generator)[0] * self.scale.bias.sum()}


class Late(Good):
    """A phase that does not start within the steps."""

    def phases(self) -> list[Phase]:
        first, second = super().phases()
        return [first, Phase("b", ("shift",), self.second, second.optimizer, start=1000)]


class Diverges(Good):
    """A loss that is not finite."""

    def first(self, batch: Batch) -> Losses:
        return {"fit": super().first(batch)["fit"] / 0.0}


class WrongPredictions(Good):
    """Rows that do not sum to one."""

    def predict(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(images_NCHW), 3)

    def features(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return images_NCHW.flatten(1)


class Samples(Good):
    """Images from noise: the scale and the shift as brightness."""

    conditional = True

    def noise(self, generator: torch.Generator, count: int) -> torch.Tensor:
        return torch.randn(count, 1, generator=generator).to(self.scale.weight.device)

    def sample(
        self, labels_N: torch.Tensor, generator: torch.Generator, truncation: float | None = None
    ) -> torch.Tensor:
        level_N1 = self.scale(self.noise(generator, len(labels_N))).sigmoid() / (1 + labels_N[:, None])
        return level_N1.view(-1, 1, 1, 1).expand(-1, 1, 32, 32)


class SamplesAlike(Samples):
    """Noise that the seed does not decide."""

    def noise(self, generator: torch.Generator, count: int) -> torch.Tensor:
        return torch.linspace(-1, 1, count, device=self.scale.weight.device)[:, None]


class SaysConditional(Samples):
    """Its classes decide nothing."""

    def sample(
        self, labels_N: torch.Tensor, generator: torch.Generator, truncation: float | None = None
    ) -> torch.Tensor:
        return super().sample(torch.zeros_like(labels_N), generator, truncation)


class SamplesOutside(Samples):
    """Images beyond white."""

    def sample(
        self, labels_N: torch.Tensor, generator: torch.Generator, truncation: float | None = None
    ) -> torch.Tensor:
        return 10 * super().sample(labels_N, generator, truncation)


class Leaks(Good):
    """A loss that reaches another player."""

    def second(self, batch: Batch) -> Losses:
        for parameter in self.scale.parameters():
            parameter.requires_grad_(True)
        return {"fit": super().second(batch)["fit"] + self.scale.weight.square().sum()}


class Keeps(Good):
    """Keeps a graph for a later phase, and learns through it now."""

    def phases(self) -> list[Phase]:
        first, second = super().phases()
        return [first, Phase("b", ("shift",), self.both, second.optimizer, keeps=("scale",))]

    def both(self, batch: Batch) -> Losses:
        return {"fit": (self.second(batch)["fit"] + self.scale.weight).square().sum()}


class HalfIdle(Good):
    """A part of a module that nothing reaches."""

    def __init__(self, data: DataInfo) -> None:
        super().__init__(data)
        self.scale.spare = nn.Linear(1, 1)


class Own(Good):
    """A weight that is of no module."""

    def __init__(self, data: DataInfo) -> None:
        super().__init__(data)
        self.loose_weight = nn.Parameter(torch.ones(1))


class Extra(Good):
    """State that is no tensor."""

    def get_extra_state(self) -> object:
        return {"seen": 1}

    def set_extra_state(self, state: object) -> None: ...


class FullOnly(Good):
    """Wants another type than autocast gives."""

    def first(self, batch: Batch) -> Losses:
        level_N1 = self.scale(batch.source.images_NCHW.mean((1, 2, 3))[:, None])
        rows = torch.arange(len(level_N1), device=level_N1.device)
        total_N1 = torch.zeros_like(level_N1).index_add(0, rows, level_N1 @ level_N1.new_ones(1, 1))
        return {"fit": (total_N1 - 1).square().mean()}


class Here(Good):
    """A constant that is not where the batch is."""

    def second(self, batch: Batch) -> Losses:
        return {"fit": super().second(batch)["fit"] + (self.shift.weight * torch.ones(1, 2)).mean()}


class PredictsHere(Good):
    """Answers from the CPU."""

    def predict(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images_NCHW), 3), 1 / 3)

    def features(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return images_NCHW.flatten(1)


class Undocumented(Good):
    """No help for its option."""

    def __init__(self, data: DataInfo, secret: int = 3) -> None:
        super().__init__(data)


MISTAKES = {
    "TouchesOthers": "changed ['scale'], which it does not train",
    "Idle": "trains ['shift'], but no weight of it ever moved",
    "Vector": "is no scalar",
    "Forgetful": "resuming a checkpoint differs",
    "Random": "two trainings with the same seed differ",
    "Late": "the phase 'b' never had its turn",
    "Diverges": "a/fit",
    "WrongPredictions": "rows must sum to 1",
    "SamplesAlike": "another seed gives the same images",
    "SaysConditional": "asking for other classes changed nothing",
    "SamplesOutside": "images must stay in [-1, 1]",
    "Undocumented": "no help for ['secret']",
    "Leaks": "gradients of the phase 'b' reach ['scale'], which it does not train",
    "Keeps": "gradients of the phase 'b' reach ['scale'], which it does not train",
    "HalfIdle": "no gradient of any phase reaches ['scale.spare.bias', 'scale.spare.weight']",
    "Own": "no phase can train ['loose_weight']",
    "Extra": "holds ['_extra_state'], which are no tensors",
    "FullOnly": "it fails in mixed precision (bf16)",
    "Here": "Here, phase 'b': torch.Tensor.mul is given tensors on c",
    "PredictsHere": "PredictsHere.predict came out on cpu; its input lay on",
}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = types.ModuleType("conformance_examples")
    specs = []
    for name in ("Good", "Samples", *MISTAKES):
        setattr(module, name, globals()[name])
        specs.append(ComponentSpec("method", name, f"conformance_examples:{name}", "an example"))
    monkeypatch.setitem(sys.modules, "conformance_examples", module)
    registry = plugins().components
    for spec in specs:
        registry._specs[(spec.kind, spec.name)] = spec
    yield
    for spec in specs:
        del registry._specs[(spec.kind, spec.name)]


@pytest.mark.parametrize("name", ["Good", "Samples"])
def test_a_good_method_passes(name: str) -> None:
    check_method(name)


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_named(name: str) -> None:
    with pytest.raises((AssertionError, NonFiniteLoss), match=re.escape(MISTAKES[name])):
        check_method(name)
