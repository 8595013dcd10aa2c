"""The check of a penalty: what it adds, what it changes, and what it must leave alone."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import nn

from adaptgan.objectives.penalties import Penalty
from adaptgan.plugins import components
from adaptgan.testing.checks import check_component
from adaptgan.testing.data import tiny_info, tiny_side
from adaptgan.testing.devices import check_place, elsewhere, moved, other_device
from adaptgan.testing.pickles import check_state
from adaptgan.training.devices import make_fabric

INFO = tiny_info(channels=3, size=16)
N = 8


def check_penalty(config: Any, network: Any = None) -> Penalty:
    """A penalty keeps its promises: see the messages of the assertions.

    It is tried on small discriminators: with a logit for each image, with a map of logits, and one that takes the
    classes too. Its terms are finite scalars whose gradient reaches the network, in full and in mixed precision, for
    any number of images; asking for them changes neither weights nor images; `constrain` leaves finite weights; a
    prepared network can be copied, saved and loaded; what the penalty remembers is in its state_dict, which is tensors
    only. Moved to another device, terms are computed there.

    Args:
        config: its name, or `{name: …, option: …}`.
        network: what to try it on instead, as the configuration of a network: a generator, for a penalty of
            generators. It is built for colour images of 16×16 pixels.

    Returns:
        The penalty.
    """
    name = config if isinstance(config, str) else config["name"]
    check_component("penalty", name)
    penalty = _build(config)
    assert isinstance(penalty, Penalty), f"{name}: a penalty is a Penalty, this is a {type(penalty).__name__}"
    every: Any = penalty.every
    assert isinstance(every, int) and every > 0, f"{name}.every: expected a whole number above 0, found {every!r}"
    if network is None:
        makers: list[Callable[[], nn.Module]] = [lambda: Judge(), lambda: Judge(per_patch=True), lambda: Judge(True)]
    else:
        makers = [lambda: components().build("network", network, "network", [INFO])]
    for make in makers:
        trial = Trial(config, name, make)
        acts = [_check_prepare(trial), _check_terms(trial), _check_constrain(trial)]
        assert any(acts), f"{name}: it adds no term, changes no weight and does not rebuild the network"
        _check_mixed_precision(trial)
        _check_memory(trial)
        _check_device(trial)
    return penalty


class Judge(nn.Module):
    """A small discriminator. (N, C, H, W), and classes (N,) if it is conditional -> logits (N,), or (N, h, w).

    Args:
        conditional: the classes decide too (a projection).
        per_patch: give a map of logits.
    """

    by_batch = False

    def __init__(self, conditional: bool = False, per_patch: bool = False) -> None:
        super().__init__()
        self.conditional, self.per_patch = conditional, per_patch
        self.first = nn.Conv2d(INFO.channels, 6, 3, stride=2, padding=1)
        self.second = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8, 1)
        self.classes = nn.Embedding(INFO.n_classes, 8) if conditional else None
        with torch.no_grad():  # steep: some penalties only act on what is
            self.head.weight *= 40

    def forward(self, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        """Logits of the images, or of their patches."""
        assert (labels_N is not None) == self.conditional, (
            "the penalty called a conditional network without labels_N"
            if self.conditional
            else "the penalty passed labels_N on where it was given none"
        )
        features_N8hw = self.second(self.first(images_NCHW).tanh()).tanh()
        features_NhwF = features_N8hw.movedim(1, 3)
        if not self.per_patch:
            features_NhwF = features_NhwF.mean((1, 2))
        logits: torch.Tensor = self.head(features_NhwF)[..., 0]
        if self.classes is not None and labels_N is not None:
            logits = logits + (features_NhwF * self.classes(labels_N)).sum(-1)
        return logits


@dataclass
class Trial:
    """A penalty and a network for it.

    Attributes:
        config: the penalty's configuration.
        name: what messages call it.
        make: gives the network.
    """

    config: Any
    name: str
    make: Callable[[], nn.Module]

    def __post_init__(self) -> None:
        self.plain = self.network()
        self.labels = tiny_side(INFO, N, 0).labels if getattr(self.plain, "conditional", False) else None
        self.real, self.fake = (tiny_side(INFO, N, 0, salt=salt).images_NCHW for salt in (0, 1))
        latents = getattr(self.plain, "n_noise", None)
        self.judges = latents is None
        """Whether the network is a discriminator."""
        self.inputs = self.real if latents is None else torch.randn(N, latents, generator=torch.Generator())

    def network(self) -> nn.Module:
        """The same one each time, in training mode."""
        with _seed(0):
            return self.make().train()

    def output(self, network: nn.Module, count: int = N) -> torch.Tensor:
        """Logits of the first images, or images of the first latents."""
        labels = () if self.labels is None else (self.labels[:count],)
        output: torch.Tensor = network(self.inputs[:count], *labels)
        return output

    def prepared(self) -> tuple[Penalty, nn.Module]:
        """A fresh penalty, and a fresh network that it has prepared."""
        penalty, network = _build(self.config), self.network()
        with _seed(1):
            penalty.prepare(network)
        return penalty, network

    def terms(
        self, penalty: Penalty, network: nn.Module, seed: int = 2, count: int = N, known: bool = True
    ) -> dict[str, torch.Tensor]:
        """What it adds to the loss for `count` images; `known`: the method has the real images' logits already."""
        labels_N = None if self.labels is None else self.labels[:count]
        real, fake = self.real[:count], self.fake[:count]
        with _seed(seed):
            logits = self.output(network, count) if known and self.judges else None
            found: Any = penalty.terms(network, real, fake, labels_N, logits)
        assert isinstance(found, dict), f"{self.name}.terms: expected a dict of scalars, found {type(found).__name__}"
        return found


def _check_prepare(trial: Trial) -> bool:
    """The prepared network still works, can be copied, saved and loaded, and rests when evaluated."""
    name = trial.name
    _, network = trial.prepared()
    before, after = trial.plain.state_dict(), network.state_dict()
    expected = _output(trial, trial.plain.eval())
    output = _output(trial, network.eval())
    assert output.shape == expected.shape, (
        f"{name}.prepare: an output of {tuple(expected.shape)} became {tuple(output.shape)}"
    )
    assert torch.isfinite(output).all(), f"{name}.prepare: the network gives values that are not finite"
    assert torch.equal(output, _output(trial, network)), (
        f"{name}.prepare: evaluating the network changes it; what follows its training must rest in eval mode"
    )
    assert torch.equal(output, _output(trial, copy.deepcopy(network))), f"{name}.prepare: a copy of the network differs"
    _, twin = trial.prepared()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    twin.load_state_dict(after)
    assert torch.equal(output, _output(trial, twin.eval())), (
        f"{name}.prepare: the prepared network's state_dict() does not hold all of its state"
    )
    return before.keys() != after.keys() or any(not torch.equal(before[key], after[key]) for key in before)


def _check_terms(trial: Trial) -> bool:
    """Finite scalars, with a gradient to the network, and nothing touched."""
    name = trial.name
    penalty, network = trial.prepared()
    weights, real, fake = _copied(network.named_parameters()), trial.real.clone(), trial.fake.clone()
    with _second_derivatives() as asked:
        terms = trial.terms(penalty, network)
    for term, value in terms.items():
        assert value.shape == (), f"{name}: the term {term!r} is no scalar but of shape {tuple(value.shape)}"
        assert torch.isfinite(value), f"{name}: the term {term!r} is not finite"
    assert not asked or penalty.differentiates_twice, (
        f"{name}: it differentiates the network's own gradient; set `differentiates_twice = True`, so that the network "
        "is not compiled"
    )
    moved = [key for key, value in network.named_parameters() if not torch.equal(value, weights[key])]
    assert not moved, f"{name}.terms: it changed the weights {moved[:3]}; that is for `constrain`"
    assert torch.equal(real, trial.real) and torch.equal(fake, trial.fake), f"{name}.terms: it changed the images"
    left = not trial.real.requires_grad and network.training and "forward" not in vars(network)
    assert left and all(p.requires_grad for p in network.parameters()), (
        f"{name}.terms: it left the images, the network's mode or its parameters in another state than it found them"
    )
    if not terms:
        return False
    torch.stack(list(terms.values())).sum().backward()
    slopes = [p.grad for p in network.parameters() if p.grad is not None]
    assert any(slope.any() for slope in slopes), f"{name}: no gradient of its terms reaches the network"
    assert all(torch.isfinite(slope).all() for slope in slopes), f"{name}: a gradient of its terms is not finite"
    for count, known in ((3, True), (1, False)):
        for term, value in trial.terms(penalty, network, count=count, known=known).items():
            assert value.shape == () and torch.isfinite(value), f"{name}: {term!r} fails for {count} image(s)"
    return True


def _check_constrain(trial: Trial) -> bool:
    """Weights stay finite and keep their shapes."""
    name = trial.name
    penalty, network = trial.prepared()
    with torch.no_grad(), _seed(3):
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter))
        before = _copied(network.named_parameters())
        penalty.constrain(network)
    after = dict(network.named_parameters())
    assert before.keys() == after.keys(), f"{name}.constrain: it added or removed weights; that is for `prepare`"
    for key, value in after.items():
        assert value.shape == before[key].shape, f"{name}.constrain: {key} has another shape than before"
        assert torch.isfinite(value).all(), f"{name}.constrain: {key} has values that are not finite"
    return any(not torch.equal(before[key], after[key]) for key in before)


def _check_mixed_precision(trial: Trial) -> None:
    """As the engine does it: wrapped, under autocast."""
    name = trial.name
    penalty, network = trial.prepared()
    expected = trial.terms(*trial.prepared())
    fabric = make_fabric(torch.device("cpu"), "bf16-mixed")
    wrapped = fabric.setup_module(network)
    with fabric.autocast():
        try:
            found = trial.terms(penalty, wrapped)
        except RuntimeError as error:
            raise AssertionError(
                f"{name}: it fails in mixed precision ({error}). `autograd.grad` of a wrapped network's output must "
                "run through `inside_forward`"
            ) from error
    for term, value in found.items():
        close = math.isclose(value.item(), expected[term].item(), rel_tol=0.1, abs_tol=1e-5)
        assert close, (
            f"{name}: {term!r} is {value.item():.4g} in mixed precision and {expected[term].item():.4g} in full"
        )
    if found:
        fabric.backward(torch.stack(list(found.values())).sum())
        finite = all(torch.isfinite(p.grad).all() for p in wrapped.parameters() if p.grad is not None)
        assert finite, f"{name}: a gradient of its terms is not finite in mixed precision"


def _check_memory(trial: Trial) -> None:
    """After its state and the network's were saved and loaded, it goes on as if nothing had happened."""
    penalty, network = trial.prepared()
    for seed in (4, 5):
        trial.terms(penalty, network, seed=seed)
    check_state({**penalty.state_dict(), **network.state_dict()}, trial.name)
    loaded, twin = trial.prepared()
    loaded.load_state_dict(copy.deepcopy(penalty.state_dict()))
    twin.load_state_dict(copy.deepcopy(network.state_dict()))
    one, other = (trial.terms(*pair, seed=6) for pair in ((penalty, network), (loaded, twin)))
    same = one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    assert same, (
        f"{trial.name}: with its state saved and loaded, its terms differ; keep what it remembers in buffers, and draw "
        "all randomness from torch's seeded generators"
    )


def _check_device(trial: Trial) -> None:
    """With network and images on another device."""
    penalty, network = trial.prepared()
    there = copy.copy(trial)
    there.real, there.fake, there.inputs, there.labels = moved(
        (trial.real, trial.fake, trial.inputs, trial.labels), other_device()
    )
    penalty, network = moved(penalty, other_device()), moved(network, other_device())
    with elsewhere(trial.name):
        check_place(f"{trial.name}: a term", *there.terms(penalty, network).values())


def _build(config: Any) -> Penalty:
    penalty: Penalty = components().build("penalty", config, "penalty", [INFO])
    return penalty


@torch.no_grad()
def _output(trial: Trial, network: nn.Module) -> torch.Tensor:
    return trial.output(network)


def _copied(named: Iterator[tuple[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in named}


@contextmanager
def _seed(seed: int) -> Iterator[None]:
    """Torch's global generator starts from the seed inside the block, and is as it was after it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def _second_derivatives() -> Iterator[list[bool]]:
    """A list that is empty until a gradient is asked for with a graph of its own."""
    asked: list[bool] = []
    plain: Callable[..., Any] = torch.autograd.grad

    def grad(*args: Any, **options: Any) -> Any:
        if options.get("create_graph") or (len(args) > 4 and args[4]):
            asked.append(True)
        return plain(*args, **options)

    with mock.patch.object(torch.autograd, "grad", grad):
        yield asked
