"""The conformance check of penalties: the built-ins pass it, and each kind of mistake is caught by its own message."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from adaptgan.components import ComponentSpec
from adaptgan.objectives.penalties import Penalty
from adaptgan.plugins import plugins
from adaptgan.testing import check_penalty

CONFIGS: dict[str, list[dict[str, Any]]] = {
    "weight_clip": [{}],
    "gradient_penalty": [{}, {"two_sided": False, "every": 4}],
    "r1": [{"every": 16}],
    "r2": [{}],
    "spectral_norm": [{}],
    "orthogonal": [{}],
    "drift": [{}],
    "path_length": [{}],
}
NETWORKS = {
    "path_length": {
        "name": "stylegan2_generator",
        "noise": 8,
        "styles": 8,
        "mapping_layers": 2,
        "channels": 8,
        "capacity": 128,
    }
}
"""What penalties of generators are tried on."""


def test_all_built_in_penalties_are_checked() -> None:
    names = {spec.name for spec in plugins().components.specs("penalty") if spec.distribution == "adaptgan"}
    assert names == set(CONFIGS)


@pytest.mark.parametrize(("name", "options"), [(name, options) for name in CONFIGS for options in CONFIGS[name]])
def test_built_in_penalties_conform(name: str, options: dict[str, Any]) -> None:
    penalty = check_penalty({"name": name, **options}, NETWORKS.get(name))
    assert penalty.name == name


class Good(Penalty):
    """E D(x)², and a count."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def logits(self, network: nn.Module, images: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        return network(images) if labels is None else network(images, labels)

    def terms(
        self,
        network: nn.Module,
        real_NCHW: torch.Tensor,
        fake_NCHW: torch.Tensor,
        labels_N: torch.Tensor | None = None,
        real_logits_N: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        self.count += 1
        return {"size": self.count * self.logits(network, real_NCHW, labels_N).float().square().mean()}


class NoPenalty(nn.Module):
    """Of another family."""


class Rarely(Good):
    """Never takes a turn."""

    every = 0


class DoesNothing(Penalty):
    """Neither adds nor changes anything."""


class Unlabelled(Good):
    """Forgets the classes."""

    def logits(self, network: nn.Module, images: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        return network(images)


class Vector(Good):
    """A term for each image."""

    def terms(self, network: nn.Module, *given: Any) -> dict[str, torch.Tensor]:
        return {"size": super().terms(network, *given)["size"][None]}


class Diverges(Good):
    """A term that is not finite."""

    def terms(self, network: nn.Module, *given: Any) -> dict[str, torch.Tensor]:
        return {"size": super().terms(network, *given)["size"] / 0.0}


class Number(Good):
    """A bare tensor."""

    def terms(self, network: nn.Module, *given: Any) -> Any:
        return super().terms(network, *given)["size"]


class Detached(Good):
    """No graph."""

    def terms(self, network: nn.Module, *given: Any) -> dict[str, torch.Tensor]:
        parameter = nn.Parameter(torch.zeros(()))
        return {"size": super().terms(network, *given)["size"].detach() + parameter}


class Kinked(Good):
    """A root's infinite slope at 0."""

    def terms(self, network: nn.Module, *given: Any) -> dict[str, torch.Tensor]:
        return {"size": (0 * super().terms(network, *given)["size"]).sqrt()}


class OnlyPairs(Good):
    """Compares images, so that one alone has no value."""

    def terms(self, network: nn.Module, real: torch.Tensor, fake: torch.Tensor, *given: Any) -> dict[str, torch.Tensor]:
        variance = real[:, 0, 0, 0].var(correction=1) if len(real) > 1 else torch.tensor(torch.nan)
        return {name: term * variance for name, term in super().terms(network, real, fake, *given).items()}


class ChangesWeights(Good):
    """Clips where it should only judge."""

    def terms(self, network: nn.Module, *given: Any) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            next(network.parameters()).mul_(0.5)
        return super().terms(network, *given)


class ChangesImages(Good):
    """Writes into the images."""

    def terms(self, network: nn.Module, real: torch.Tensor, *given: Any) -> dict[str, torch.Tensor]:
        return super().terms(network, real.mul_(0.5), *given)


class LeavesTraces(Good):
    """Turns the images into leaves of a graph."""

    def terms(self, network: nn.Module, real: torch.Tensor, *given: Any) -> dict[str, torch.Tensor]:
        return super().terms(network, real[:].requires_grad_(), *given) if len(real) < 8 else self.whole(network, real)

    def whole(self, network: nn.Module, real: torch.Tensor) -> dict[str, torch.Tensor]:
        network.eval()
        return {"size": self.logits(network, real, None).square().mean()}


class Outside(Good):
    """Differentiates the output of a wrapped network."""

    differentiates_twice = True

    def terms(
        self, network: nn.Module, real: torch.Tensor, fake: torch.Tensor, labels: Any = None, known: Any = None
    ) -> dict[str, torch.Tensor]:
        images = real.clone().requires_grad_()
        logits = self.logits(network, images, labels)
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        return {"size": gradient.square().sum()}


class Unannounced(Outside):
    """Would be compiled."""

    differentiates_twice = False


class Forgetful(Good):
    """Keeps its count in a plain attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.loose = 0.0

    def terms(self, network: nn.Module, *given: Any) -> dict[str, torch.Tensor]:
        self.loose += 1.0
        return {"size": super().terms(network, *given)["size"] * (1 + self.loose)}


class Random(Good):
    """Draws from a generator that nobody seeds."""

    def terms(self, network: nn.Module, *given: Any) -> dict[str, torch.Tensor]:
        generator = torch.Generator()
        generator.seed()
        return {"size": super().terms(network, *given)["size"] * (1 + 0.01 * torch.rand(1, generator=generator)[0])}


class Blunt(Good):
    """Divides the weights by zero."""

    def constrain(self, network: nn.Module) -> None:
        for parameter in network.parameters():
            parameter.div_(0.0)


class Rebuilds(Good):
    """Replaces a weight after a step."""

    def constrain(self, network: nn.Module) -> None:
        network.head.weight = nn.Parameter(torch.zeros(1, 9))


class Rescales(nn.Module):
    """Twice what comes in, a little more each time."""

    def __init__(self, state: bool, rests: bool) -> None:
        super().__init__()
        self.rests = rests
        if state:
            self.register_buffer("factor", 1 + torch.rand(()))
        else:
            self.factor = 1 + torch.rand(())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.rests:
            self.factor += 0.01
        return x * self.factor


class Restless(Good):
    """Goes on when evaluated."""

    def prepare(self, network: nn.Module) -> None:
        network.head = nn.Sequential(network.head, Rescales(state=True, rests=False))


class Hidden(Good):
    """Prepares with what no state_dict holds."""

    drawn = 0

    def prepare(self, network: nn.Module) -> None:
        type(self).drawn += 1
        torch.manual_seed(self.drawn)
        network.head = nn.Sequential(network.head, Rescales(state=False, rests=True))


class Left(Good):
    """A constant that is not where the images are."""

    def terms(self, network: nn.Module, real_NCHW: torch.Tensor, *given: Any) -> dict[str, torch.Tensor]:
        return super().terms(network, real_NCHW * torch.full((1, 1, 1, 1), 0.9), *given)


class Undocumented(Good):
    """No help for its option."""

    def __init__(self, secret: int = 3) -> None:
        super().__init__()


MISTAKES = {
    "NoPenalty": "a penalty is a Penalty, this is a NoPenalty",
    "Rarely": "expected a whole number above 0",
    "DoesNothing": "adds no term",
    "Unlabelled": "called a conditional network without labels_N",
    "Vector": "is no scalar",
    "Diverges": "the term 'size' is not finite",
    "Number": "expected a dict of scalars",
    "Detached": "no gradient of its terms reaches the network",
    "Kinked": "a gradient of its terms is not finite",
    "OnlyPairs": "fails for 1 image(s)",
    "ChangesWeights": "it changed the weights ['first.weight']",
    "ChangesImages": "it changed the images",
    "LeavesTraces": "the network's mode",
    "Outside": "must run through `inside_forward`",
    "Unannounced": "set `differentiates_twice = True`",
    "Forgetful": "its terms differ",
    "Random": "its terms differ",
    "Blunt": "values that are not finite",
    "Rebuilds": "head.weight has another shape",
    "Restless": "evaluating the network changes it",
    "Hidden": "state_dict() does not hold all of its state",
    "Left": "torch.Tensor.mul is given tensors on c",
    "Undocumented": "no help for ['secret']",
}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = types.ModuleType("conformance_penalties")
    registry = plugins().components
    added = [("penalty", name) for name in ("Good", *MISTAKES)]
    for kind, name in added:
        setattr(module, name, globals()[name])
        registry._specs[(kind, name)] = ComponentSpec(kind, name, f"conformance_penalties:{name}", "an example")
    monkeypatch.setitem(sys.modules, "conformance_penalties", module)
    yield
    for key in added:
        registry._specs.pop(key, None)


def test_a_good_penalty_passes() -> None:
    check_penalty("Good")


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_named(name: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(MISTAKES[name])):
        check_penalty(name)
