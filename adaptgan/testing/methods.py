"""The check of a method: it trains in the real loop, is interrupted, saved, loaded, and must stay the same."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import Guard, Losses, Method, Phase, Predictor, Sampler, Translator
from adaptgan.methods.generative import GenerativeMethod
from adaptgan.models import load_model, save_model
from adaptgan.params import Training
from adaptgan.plugins import components
from adaptgan.testing.checks import check_component
from adaptgan.testing.data import Stop, TinyFeeds, tiny_info, tiny_side
from adaptgan.testing.devices import check_place, elsewhere, moved, other_device
from adaptgan.testing.pickles import check_state
from adaptgan.training.devices import make_fabric
from adaptgan.training.loop import fit
from adaptgan.training.run import Run
from adaptgan.training.seeding import seed_all
from adaptgan.training.statistics import NonFiniteLoss

CPU = torch.device("cpu")


def check_method(
    config: Any,
    *,
    steps: int = 4,
    info: DataInfo | None = None,
    batch_size: int = 8,
    conditions: Sequence[dict[str, Any]] = (),
) -> Method:
    """A method keeps the loop's promises: see the messages of the assertions.

    It is built with a made-up data set and an untrained guard, and trained in the real loop on the CPU. All losses are
    finite scalars, in full and in mixed precision (bf16). Gradients of a phase reach the modules that it says it
    `trains`, all of their weights by some phase, and no others (`keeps` too: detach what they gave); it changes the
    same modules and no others. Two trainings are bit-equal, and one that was killed half-way and resumed is bit-equal
    to one that was not. Its state_dict is tensors only; saved as a model folder and loaded, it gives the same results:
    probabilities whose rows sum to 1, translations and samples of the right shape in [-1, 1] that follow from their own
    seeds. On another device (a GPU, or torch's meta device) losses and results are computed there and nowhere else.

    Args:
        config: its name, or `{name: …, option: …}`; give options that make it small and start all phases by then.
        steps: how many; every phase must have had its turn.
        info: the images it is built for.
        batch_size: of each domain.
        conditions: example annotations, for a method that has `conditions`.

    Returns:
        The trained method, in eval mode.
    """
    info = info or tiny_info()
    name = config if isinstance(config, str) else config["name"]
    check_component("method", name)
    resolved = components().resolve("method", config, "method")
    with tempfile.TemporaryDirectory() as scratch:
        top = Path(scratch)
        trial = Trial(resolved, info, steps, batch_size, conditions)
        watched, watch = trial.train(top / "first", watch=True)
        watch.verdict(name)
        resumed, _ = trial.train(top / "second", kill_at=max(1, steps // 2))
        if _differing(watched, resumed):  # by chance, or by the interruption?
            again, _ = trial.train(top / "third")
            _same_state(
                watched,
                again,
                f"{name}: two trainings with the same seed differ; draw all randomness from torch's "
                "seeded generators or from `seeds_N`",
            )
            _same_state(
                watched,
                resumed,
                f"{name}: resuming a checkpoint differs from not being interrupted; keep all state "
                "that a later step reads in parameters and buffers",
            )
        _check_round_trip(watched, resolved, info, top / "model", trial.conditions(watched))
        check_devices(trial.build(other_device()), name, trial)
        _check_mixed_precision(trial, name, top / "mixed")
    return watched.eval()


class Trial:
    """Trains fresh copies of one method.

    Args:
        resolved: its configuration.
        info: the images.
        steps: of the whole training.
        batch_size: of each domain.
        annotations: examples of what the method has as `conditions`.
    """

    def __init__(
        self,
        resolved: dict[str, Any],
        info: DataInfo,
        steps: int,
        batch_size: int,
        annotations: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.resolved, self.info, self.steps, self.batch_size = resolved, info, steps, batch_size
        self.annotations = annotations

    def conditions(self, method: Method) -> torch.Tensor | None:
        """The examples as the method encodes them."""
        if not method.conditions:
            return None
        name = self.resolved["name"]
        assert self.annotations, f"{name} has `conditions`: give the check some examples, `conditions=[{{…}}, …]`"
        arrays = [np.asarray(method.encode_conditions(dict(one))) for one in self.annotations]
        kinds = {(array.shape, array.dtype.name) for array in arrays}
        assert len(kinds) == 1, f"{name}.encode_conditions: every record's must be alike, found {sorted(kinds)}"
        return torch.from_numpy(np.stack(arrays))

    def build(self, device: torch.device = CPU) -> Method:
        """A copy with the same first weights each time, the guard on its device."""
        seed_all(0, "guard")
        reads = dataclasses.replace(self.info, task="classification", paired=0)
        guard = components().build("method", "supervised", "guard", [reads]).to(device).eval().requires_grad_(False)
        seed_all(0, "weights")
        method: Method = components().build("method", self.resolved, "method", [self.info, Guard(guard)])
        method.info = self.info
        if isinstance(method, GenerativeMethod):
            method.guard = Guard(guard)
        name = self.resolved["name"]
        assert isinstance(method, Method), f"{name}: a method is an adaptgan.Method, this is a {type(method).__name__}"
        check_state(method.state_dict(), name)
        own = [key for key, _ in method.named_parameters(recurse=False)]
        assert not own, f"{name}: no phase can train {own}; a phase names modules, so make a module of them"
        return method

    def train(
        self,
        folder: Path,
        *,
        watch: bool = False,
        kill_at: int | None = None,
        precision: str = "32-true",
        device: torch.device = CPU,
    ) -> tuple[Method, Watch]:
        """Train to the end, with a kill and a resumption before step `kill_at`."""
        training = Training(
            steps=self.steps, batch_size=self.batch_size, log_every=1, checkpoint_every=max(1, kill_at or 1)
        )
        watching = Watch()
        stops = [None] if kill_at is None else [kill_at, None]
        for stop_at in stops:
            method = self.build(device)
            if watch:
                watching.attach(method)
            held_out = self.side(method, 99, device)
            feeds = Feeds(info=self.info, size=self.batch_size, stop_at=stop_at, held_out=held_out, device=device)
            feeds.frames, feeds.conditions = method.frames, self.conditions(method)
            run = Run("trial", "0" * 64, folder, folder / "log", {"method": self.resolved}, self.steps, method, device)
            try:
                fit(make_fabric(device, precision), run, feeds, training, seed=0)
            except Stop:
                continue
            watching.history = run.history
            assert kill_at is None or run.resumed_from == kill_at
        return method, watching

    def side(self, method: Method, number: int, device: torch.device = CPU) -> Side:
        """Source images with all that the method asks for."""
        conditions = self.conditions(method)
        side = tiny_side(self.info, self.batch_size, number, frames=method.frames, conditions=conditions)
        return moved(side, device)


@dataclasses.dataclass
class Feeds(TinyFeeds):
    """Feeds on a device."""

    device: torch.device = CPU

    def batch(self, number: int, run: Run) -> Batch:
        """Batch `number`, at the run's step."""
        return moved(super().batch(number, run), self.device)


class Watch:
    """Looks on at a training: which modules each phase's gradients reached, and which weights it changed."""

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []
        self.trains: dict[str, tuple[str, ...]] = {}
        self.reached: dict[str, set[str]] = {}
        self.changed: dict[str, set[str]] = {}
        self.idle: set[str] | None = None
        """Weights of trained modules that no gradient has reached so far."""
        self._before: dict[str, torch.Tensor] = {}

    def attach(self, method: Method) -> None:
        """Put a look before each loss and after each optimizer step."""
        plain = method.phases

        def phases() -> Sequence[Phase]:
            return [self._watched(method, phase) for phase in plain()]

        method.phases = phases  # type: ignore[method-assign]

    def _watched(self, method: Method, phase: Phase) -> Phase:
        self.trains[phase.name] = phase.trains

        def loss(batch: Batch) -> Losses:
            self._before = _weights(method)
            for parameter in method.parameters():  # those of phases before
                parameter.grad = None
            terms = phase.loss(batch)
            assert terms, f"phase {phase.name!r} gave no loss terms"
            for term, value in terms.items():
                assert value.shape == (), f"the loss {phase.name}/{term} is no scalar but of shape {tuple(value.shape)}"
            return terms

        def after(batch: Batch) -> None:
            changed = {
                key.split(".")[0]
                for key, value in _weights(method).items()
                if not torch.equal(value, self._before[key])
            }
            self.changed.setdefault(phase.name, set()).update(changed)
            self._note_gradients(method, phase)
            if phase.after is not None:
                phase.after(batch)

        return dataclasses.replace(phase, loss=loss, after=after)

    def _note_gradients(self, method: Method, phase: Phase) -> None:
        reached = {
            f"{child}.{key}"
            for child, module in method.named_children()
            for key, parameter in module.named_parameters()
            if parameter.grad is not None
        }
        self.reached.setdefault(phase.name, set()).update(key.split(".")[0] for key in reached)
        trained = {key for key in self._before if any(key.split(".")[0] in names for names in self.trains.values())}
        self.idle = (trained if self.idle is None else self.idle) - reached

    def verdict(self, name: str) -> None:
        """Judge what was seen."""
        for phase, trains in self.trains.items():
            assert phase in self.changed, (
                f"{name}: the phase {phase!r} never had its turn; check more steps, or its `start`"
            )
            others = self.reached[phase] - set(trains)
            assert not others, (
                f"{name}: gradients of the phase {phase!r} reach {sorted(others)}, which it does not train; detach "
                "what these gave"
            )
            others = self.changed[phase] - set(trains)
            assert not others, f"{name}: the phase {phase!r} changed {sorted(others)}, which it does not train"
            idle = set(trains) - self.changed[phase]
            assert not idle, f"{name}: the phase {phase!r} trains {sorted(idle)}, but no weight of it ever moved"
        unreached = sorted(key.replace("._forward_module", "") for key in self.idle or ())  # as the loop wraps it
        assert not unreached, (
            f"{name}: no gradient of any phase reaches {unreached[:5]}; leave out weights that do not learn"
        )
        losses = [(key, value) for entry in self.history for key, value in entry["losses"].items()]
        assert losses, f"{name}: no losses were reported"
        wrong = [key for key, value in losses if not math.isfinite(value)]
        assert not wrong, f"{name}: losses that are not finite: {wrong}"


def _weights(method: Method) -> dict[str, torch.Tensor]:
    return {
        f"{child}.{key}": value.detach().clone()
        for child, module in method.named_children()
        for key, value in module.named_parameters()
    }


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal but for rounding: a trained method's weights may lie in another memory format than loaded ones."""
    return torch.allclose(one, other, atol=1e-5)


def _same_state(one: nn.Module, other: nn.Module, message: str) -> None:
    differing = _differing(one, other)
    assert not differing, f"{message} (first: {differing[:3]})"


def _differing(one: nn.Module, other: nn.Module) -> list[str]:
    mine, theirs = one.state_dict(), other.state_dict()
    both = mine.keys() & theirs.keys()
    return sorted((mine.keys() ^ theirs.keys()) | {key for key in both if not torch.equal(mine[key], theirs[key])})


def _check_mixed_precision(trial: Trial, name: str, folder: Path) -> None:
    """A training with `bf16-mixed`, on a GPU where there is one."""
    device = other_device() if torch.cuda.is_available() else CPU
    try:
        method, watch = trial.train(folder, precision="bf16-mixed", device=device)
    except (RuntimeError, NonFiniteLoss) as error:
        raise AssertionError(f"{name}: it fails in mixed precision (bf16) on {device.type}: {error}") from error
    wrong = [key for entry in watch.history for key, value in entry["losses"].items() if not math.isfinite(value)]
    assert not wrong, f"{name}: losses that are not finite in mixed precision (bf16): {wrong}"
    halved = [key for key, value in method.named_parameters() if value.dtype != torch.float32]
    assert not halved, f"{name}: mixed precision keeps weights in float32; found others: {halved[:3]}"


def _check_round_trip(
    method: Method, resolved: dict[str, Any], info: DataInfo, folder: Path, conditions: torch.Tensor | None
) -> None:
    data = {**dataclasses.asdict(info), "classes": list(info.classes)}
    folder.mkdir()
    save_model(method, {"method": resolved, "data": data}, folder)
    loaded = load_model(folder)
    name = resolved["name"]
    side, seeds = tiny_side(info, 4, 7, conditions=conditions), torch.arange(4)
    images = side.images_NCHW
    method.eval()
    with torch.no_grad():
        if isinstance(method, Predictor):
            probabilities = method.predict(images)
            assert probabilities.shape == (4, info.n_classes), (
                f"{name}.predict: expected (N, K), found {probabilities.shape}"
            )
            assert torch.allclose(probabilities.sum(1), torch.ones(4), atol=1e-4), f"{name}.predict: rows must sum to 1"
            assert isinstance(loaded, Predictor)
            assert _alike(probabilities, loaded.predict(images)), f"{name}: a loaded model predicts something else"
        if isinstance(method, Translator):
            given = {"image": images, "mask": side.labels_N, "conditions": side.conditions_N}[method.translates]
            assert given is not None, f"{name} translates {method.translates}, and learns from none"
            _check_translator(method, loaded, name, given, seeds)
        if isinstance(method, Sampler):
            labels_N = torch.arange(6) % max(1, info.n_classes)
            sampled = method.sample(labels_N, _seeded(3))
            assert sampled.shape == (6, info.channels, info.height, info.width), (
                f"{name}.sample: expected 6 images of the data's shape, found {tuple(sampled.shape)}"
            )
            assert sampled.abs().max() <= 1, f"{name}.sample: images must stay in [-1, 1]"
            assert isinstance(loaded, Sampler)
            assert _alike(sampled, loaded.sample(labels_N, _seeded(3))), f"{name}: a loaded model samples otherwise"
            assert not _alike(sampled, method.sample(labels_N, _seeded(4))), (
                f"{name}.sample: another seed gives the same images; draw all noise from `generator`"
            )
            other = method.sample(labels_N.flip(0), _seeded(3))
            assert method.conditional != _alike(sampled, other), (
                f"{name}.sample: `conditional` is {method.conditional}, but asking for other classes "
                f"{'changed nothing' if method.conditional else 'changed the images'}"
            )
            tame = method.sample(labels_N, _seeded(3), 0.5)
            assert tame.shape == sampled.shape, f"{name}.sample: truncation changed the shape"


def _check_translator(method: Any, loaded: Any, name: str, given: torch.Tensor, seeds: torch.Tensor) -> None:
    info, scale = method.info, method.enlarges
    translated = method.translate(given, seeds)
    expected = (4, info.paired or info.channels, scale * info.height, scale * info.width)
    assert translated.shape == expected, (
        f"{name}.translate: {tuple(given.shape)} became {tuple(translated.shape)}, not {expected}"
    )
    assert translated.abs().max() <= 1, f"{name}.translate: images must stay in [-1, 1]"
    assert isinstance(loaded, Translator), f"{name}: a loaded model does not translate"
    assert _alike(translated, loaded.translate(given, seeds)), f"{name}: a loaded model translates otherwise"
    alone = torch.cat([method.translate(given[i : i + 1], seeds[i : i + 1]) for i in range(4)])
    assert torch.allclose(translated, alone, atol=1e-3), (
        f"{name}.translate: an image alone becomes another than among others; derive its noise from its own seed, and "
        "normalize by no batch"
    )
    for domain in method.domains:
        assert method.translate(given, seeds, to=domain).shape == expected, f"{name}.translate(…, to={domain!r})"


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def check_devices(method: Method, name: str, trial: Trial) -> None:
    """All losses and results are computed where the method and its inputs lie.

    Args:
        method: a fresh copy; it is moved.
        name: for messages.
        trial: gives the data.
    """
    device = other_device()
    method = moved(method, device).train()
    side = trial.side(method, 0, device)
    real = moved(tiny_side(trial.info, trial.batch_size, 0, labels=False, salt=1), device)
    phases = [phase.scheduled(trial.steps) for phase in method.phases()]
    for step in sorted({int(phase.start) for phase in phases}):
        batch = Batch(side, real, step, step / trial.steps)
        for phase in phases:
            if phase.active(step):
                with elsewhere(f"{name}, phase {phase.name!r}"):
                    check_place(f"{name}, phase {phase.name!r}: a loss", *phase.loss(batch).values())
    method.eval()
    with torch.no_grad():
        if isinstance(method, Predictor):
            with elsewhere(f"{name}.predict"):
                check_place(f"{name}.predict", method.predict(side.images_NCHW))
        given = {"image": side.images_NCHW, "mask": side.labels_N, "conditions": side.conditions_N}[method.translates]
        if isinstance(method, Translator) and given is not None:
            with elsewhere(f"{name}.translate"):
                check_place(f"{name}.translate", method.translate(given, side.seeds_N))
        if isinstance(method, Sampler):
            labels_N = torch.arange(4, device=device) % max(1, trial.info.n_classes)
            with elsewhere(f"{name}.sample"):
                check_place(f"{name}.sample", method.sample(labels_N, _seeded(3)))
