"""Alarms: what goes wrong in an adaptation while every loss looks fine. A plugin on the training hooks, free of torch.

The watch is rebuilt from `Run.history` when a training goes on, so that an interrupted run alarms exactly like one that
was not; `Run.alarms` holds what was raised and is kept in checkpoints, on the model card and by tracking.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adaptgan.errors import AdaptganWarning
from adaptgan.hookspecs import hookimpl
from adaptgan.training.collapse import TwoPlayersWatch
from adaptgan.training.readings import BLOCK, SHORTEST, Stretch, largest_plausible

if TYPE_CHECKING:
    from adaptgan.training.run import Run

EARLY = 0.25
"""Share of the training, from the domain head's first step, by which it must have told the domains apart once.

λ(p) is weak for the first tenth and grown at a quarter (0.46, 0.85). A head with the paper's SGD may need the time
between: it is then slow, not dead, and its accuracy rises although the features work against it.
"""
CHANCE = 0.03
"""How near to 0.5 is chance."""
COLLAPSES = frozenset({"class_swallowed", "mode_collapse", "discriminator_won", "divergence"})
"""Alarms that `training.on_collapse` decides about, where it is set: what was learned is lost."""

CERTAIN = 0.99
"""A domain accuracy at which the domains are not aligned at all."""
STRONG = 0.5
"""From here on λ(p) > 0.98: the reversal has its full strength."""

Says = Callable[[float, float, float], str | None]
"""(first, last, mean): a reading between two points of progress, in [0, 1]; gives an alarm's message or None."""


class AlarmWarning(AdaptganWarning):
    """A training goes on, and something in it has gone wrong."""


class HeadAtChance:
    """The domain head never told the domains apart, so nothing was adapted.

    Chance at the end is what an adversarial method wants; at the beginning, before the features give way, it is not.
    """

    def __init__(self) -> None:
        self.begin: float | None = None
        self.best = 0.0
        self.decided = False

    def __call__(self, first: float, last: float, mean: float) -> str | None:
        """Decide once, at the end of the early stretch."""
        self.begin = first if self.begin is None else self.begin
        if self.decided or last - self.begin > 2 * EARLY + 1e-9:  # a reading that long says nothing of the beginning
            self.decided = True
            return None
        self.best = max(self.best, abs(mean - 0.5))
        if last - self.begin < EARLY - 1e-9:
            return None
        self.decided = True
        if self.best > CHANCE:
            return None
        return (
            "the domain head never told source from target: its accuracy stayed within "
            f"{100 * self.best:.1f} points of chance (50%) from the beginning, when the features did not yet work "
            "against it. It is not learning, so nothing is being adapted. What usually helps: a higher learning rate, "
            "more steps, more `domain_hidden` units, and a look at the task loss (features that are the same for all "
            "images tell nothing). If both domains look alike to you too, there is little to adapt, and source-only "
            "may do."
        )


class Lasting:
    """A condition that must hold over a stretch of the training without a break.

    Args:
        holds: of a reading's mean.
        message: of the alarm; `{mean}` is the last reading in percent.
        after: progress before which nothing counts.
        long: a stretch of this share of the training is enough, wherever it lies.
        end: so is this one, at the very end.
    """

    def __init__(self, holds: Callable[[float], bool], message: str, after: float, long: float, end: float) -> None:
        self.holds, self.message, self.stretch = holds, message, Stretch(after, long, end)

    def __call__(self, first: float, last: float, mean: float) -> str | None:
        """The message as soon as it lasted."""
        lasted = self.stretch.lasted(first, last, self.holds(mean))
        return self.message.format(mean=f"{100 * mean:.1f}%") if lasted else None


def head_at_100() -> Lasting:
    """The domain head is right about every image although the reversal is at full strength."""
    return Lasting(
        lambda mean: mean >= CERTAIN,
        "the domain head is right about {mean} of the images although the reversal is at full strength: the features "
        "of source and target were not aligned. What usually helps: a larger weight of the domain loss (`strength`, in "
        "vada `domain`), batch-norm statistics of each domain's own (`batch_norm: separate`), a lower learning rate or "
        "fewer `domain_hidden` units, stronger augmentation of the source, or images refined towards the target first.",
        after=STRONG,
        long=0.25,
        end=0.1,
    )


def class_swallowed(classes: int) -> Lasting:
    """One class takes most of the target, batch after batch."""
    limit = largest_plausible(classes)
    return Lasting(
        lambda mean: mean > limit,
        "one class swallows the predictions: {mean} of a batch's target images are taken for the same one (an even "
        f"split over {classes} classes is {100 / classes:.0f}%; the alarm is at {100 * limit:.0f}%). The adaptation "
        "has collapsed, unless the real images really are that one-sided. What usually helps: a smaller weight of the "
        "adaptation terms (`strength`, `consistency`), a later or slower start of them, a term that keeps classes in "
        "balance (information maximization), or a lower learning rate.",
        after=0.0,
        long=1 / 3,
        end=0.1,
    )


@dataclass
class _Term:
    """One measure of one phase: its checks, and what was read since the last whole block."""

    checks: dict[str, Says]
    begin: int
    weighted: float = 0.0
    steps: int = 0

    def add(self, value: float, span: int) -> None:
        self.weighted += value * span
        self.steps += span


class Watch:
    """Looks at one training's read-outs.

    Args:
        steps: of the whole training.
        classes: K of a classification; 0 where there are none.
    """

    def __init__(self, steps: int, classes: int) -> None:
        self.steps, self.classes = steps, classes
        self.raised: set[str] = set()
        self._step = 0
        self._terms: dict[str, _Term] = {}

    def see(self, step: int, means: Mapping[str, float]) -> dict[str, str]:
        """The alarms that a read-out raises, by name: each at most once in a training."""
        span, self._step = step - self._step, step
        alarms: dict[str, str] = {}
        for key, value in means.items():
            term = self._term(key, step - span)
            if term is None or span <= 0:
                continue
            term.add(value, span)
            if term.steps < BLOCK * self.steps and step < self.steps:
                continue
            mean, first = term.weighted / term.steps, term.begin
            term.weighted, term.steps, term.begin = 0.0, 0, step
            for name, says in term.checks.items():
                message = says(first / self.steps, step / self.steps, mean)
                if message and name not in self.raised:
                    self.raised.add(name)
                    alarms[name] = message
        return alarms

    def _term(self, key: str, begin: int) -> _Term | None:
        if key not in self._terms:
            checks: dict[str, Says] = {}
            measure = key.rpartition("/")[2]
            if measure == "domain_accuracy":
                checks = {"domain_head_at_chance": HeadAtChance(), "domain_head_at_100": head_at_100()}
            elif measure == "largest_class" and self.classes > 1:
                checks = {"class_swallowed": class_swallowed(self.classes)}
            if not checks or self.steps < SHORTEST:
                return None
            self._terms[key] = _Term(checks, begin)
        return self._terms[key]


class Alarms:
    """The watch over the training that this process does."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.watches: list[Watch | TwoPlayersWatch] = []

    def begin(self, run: Run) -> None:
        """A training starts or goes on: see again what was read so far, without raising it again."""
        info = getattr(run.method, "info", None)
        classes = info.n_classes if info is not None and info.task == "classification" else 0
        pixels = info.channels * info.height * info.width if info is not None else 1
        self.run = run
        self.watches = [Watch(run.steps, classes), TwoPlayersWatch(run.steps, classes, pixels)]
        for entry in run.history:
            self._seen(entry["step"], entry["losses"])
        run.halt = _halted(run) or run.halt

    def look(self, run: Run, step: int, means: Mapping[str, float]) -> None:
        """A read-out: raise what it shows."""
        if self.run is not run:  # it was never begun
            return
        for name, message in self._seen(step, means).items():
            run.alarms.append({"step": step, "alarm": name, "message": message})
            if not _stops(run, name) and run.rank == 0:
                warnings.warn(f"{run.name}, step {step}: {name}: {message}", AlarmWarning, stacklevel=2)
        run.halt = _halted(run) or run.halt

    def _seen(self, step: int, means: Mapping[str, float]) -> dict[str, str]:
        return {name: message for watch in self.watches for name, message in watch.see(step, means).items()}


def _decides(run: Run, name: str) -> str:
    """The option that says what an alarm does."""
    return "on_collapse" if name in COLLAPSES and _training(run).get("on_collapse") else "on_alarm"


def _stops(run: Run, name: str) -> bool:
    return bool(_training(run).get(_decides(run, name)) == "stop")


def _training(run: Run) -> Mapping[str, Any]:
    options: Mapping[str, Any] = run.params.get("training", {})
    return options


def _halted(run: Run) -> str:
    """Why the training must end: the last alarm that stops one; empty when there was none."""
    stopping = [alarm for alarm in run.alarms if _stops(run, alarm["alarm"])]
    if not stopping:
        return ""
    alarm = stopping[-1]
    return (
        f"{run.name} was stopped by the alarm {alarm['alarm']} at step {alarm['step']} of {run.steps}: "
        f"{alarm['message']} A checkpoint is written. To train on in spite of it, set "
        f"training.{_decides(run, alarm['alarm'])}: warn in this section: the same command then goes on from there."
    )


_alarms = Alarms()


@hookimpl
def adaptgan_before_train(run: Run) -> None:
    """Start watching."""
    _alarms.begin(run)


@hookimpl
def adaptgan_on_losses(run: Run, step: int, means: dict[str, float]) -> None:
    """Look at a read-out. Runs before tracking, which records what is new in `run.alarms`."""
    _alarms.look(run, step, means)


@hookimpl
def adaptgan_after_train() -> None:
    """Let go of the run and its networks."""
    _alarms.run = None


@hookimpl
def adaptgan_on_train_error() -> None:
    """Let go of the run and its networks."""
    _alarms.run = None
