"""The half of synthesize that starts from noise: images of the classes asked for, each from a numbered latent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import torch

from adaptgan.console import track
from adaptgan.data.records import Record
from adaptgan.errors import DataError, ParamsError, nearest
from adaptgan.latents.drawing import sampled as images_of
from adaptgan.methods.base import Guard
from adaptgan.params import SynthesizeSection
from adaptgan.stages.judged import judged, rounded

MOST_TRIES = 20
"""With `balance`, this many images are made for each that is wanted, before it is given up."""

REMEDY = (
    "The generator does not make what it is asked for: look at it (`adaptgan sample`), train it longer, or relax the "
    "gate."
)
"""What to do when no image passes."""


@dataclass(frozen=True)
class Plan:
    """What to make.

    Attributes:
        count: images: made, or with `balance` passed.
        classes: names that labels index; empty for unlabelled images.
        shares: how often each class, summing to 1; empty where nobody chooses.
        labelled: `asked` (a conditional generator), `read` (by the guard) or `none`.
        balance: go on until `count` have passed.
        truncation: of the noise.
    """

    count: int
    classes: tuple[str, ...]
    shares: tuple[float, ...]
    labelled: str
    balance: bool
    truncation: float | None

    @property
    def quotas(self) -> list[int]:
        """How many images of each class make up `count`."""
        labels = Counter(islice(take_turns(self.shares), self.count))
        return [labels[k] for k in range(len(self.classes))]


def plan(section: str, options: SynthesizeSection, network: Any, guard: Guard) -> Plan:
    """What a section asks for, as far as this generator can do it.

    Raises:
        ParamsError: it asks for something that it cannot.
    """
    name = network.card["method"]["name"]
    if options.count is None:
        raise ParamsError(f"{section}.count: say how many images to make from noise.")
    if network.conditional:
        if options.label_by_guard:
            raise ParamsError(
                f"{section}.label_by_guard: {name!r} makes images of the classes it is asked for; its labels need no "
                "guard. The gate classifier_agreement checks them."
            )
        labelled, classes = "asked", tuple(network.info.classes)
    elif options.label_by_guard:
        if guard.model is None:
            raise ParamsError(f"{section}.label_by_guard: give the classifier that reads the labels: `--guard DIR`.")
        labelled, classes = "read", tuple(guard.model.info.classes)
    else:
        labelled, classes = "none", ()
        if options.classes or options.balance:
            raise ParamsError(
                f"{section}: {name!r} knows no classes, so their shares cannot be chosen. Set `label_by_guard: true` "
                "and give a classifier, or leave out `classes` and `balance`."
            )
    if options.classes and labelled == "read" and not options.balance:
        raise ParamsError(
            f"{section}.classes: {name!r} cannot be asked for classes; with `balance: true` it goes on until there are "
            "enough of each."
        )
    _check_guard(network, guard, classes)
    shares = _shares(section, options.classes, classes)
    return Plan(options.count, classes, shares, labelled, options.balance, options.truncation)


def sampled(
    todo: Plan,
    network: Any,
    guard: Guard,
    judges: Sequence[Any],
    batch_size: int,
    seed: int,
    device: torch.device,
    fabric: Any,
) -> Iterator[tuple[Record, str]]:
    """Records from noise, and why each is rejected (empty when it is kept).

    Record n shows latent n of the seed, whatever the batches: `adaptgan sample --seed` numbers it the same way.

    Raises:
        DataError: with `balance`, some class does not come often enough.
    """
    most = todo.count * MOST_TRIES if todo.balance else todo.count
    missing = todo.quotas if todo.balance else []
    turns = take_turns(todo.shares)
    for start in track(range(0, most, batch_size), "sampling"):
        numbers = range(start, min(start + batch_size, most))
        labels = torch.tensor(list(islice(turns, len(numbers))), device=device) if todo.labelled == "asked" else None
        with fabric.autocast():
            made = images_of(network, seed, numbers, labels, todo.truncation, device=device)
            sure_N = None
            if todo.labelled == "read":
                sure_N, labels = guard.model.predict(rounded(made)[1]).float().max(1)
            batch = judged(judges, None, made, labels)
        classes: list[int | None] = [None] * len(numbers) if labels is None else labels.tolist()
        sure = [] if sure_N is None else sure_N.tolist()
        for row, (number, label) in enumerate(zip(numbers, classes, strict=True)):
            reason = batch.reasons[row]
            if todo.balance and label is not None and not missing[label]:
                continue  # there are enough of these
            provenance: dict[str, Any] = {"model": network.card["fingerprint"], "seed": seed, "latent": number}
            if todo.truncation is not None:
                provenance["truncation"] = todo.truncation
            if sure:
                provenance |= {"labelled_by": guard.model.card["fingerprint"], "confidence": round(sure[row], 4)}
            if judges:
                provenance["gate"] = batch.scores[row]
            if reason:
                provenance["reason"] = reason
            yield Record(f"latent-{number:07d}", batch.image(row), label, {}, provenance), reason
            if todo.balance and label is not None and not reason:
                missing[label] -= 1
                if not any(missing):
                    return
    if todo.balance:
        lacking = {todo.classes[k]: number for k, number in enumerate(missing) if number}
        raise DataError(
            f"{most} images were made for {todo.count}, and of these classes so many have not passed yet: "
            f"{lacking}. Leave out `balance`, ask for fewer of them (`classes`), or train a better generator."
        )


def take_turns(shares: Sequence[float]) -> Iterator[int]:
    """Classes of images in turn, without end, such that at any moment each has had its share, to within one.

    Equal shares give 0, 1, … K − 1, 0, 1, …
    """
    had = [0] * len(shares)
    for number in count(1):
        # Rounded, for ties are the rule: they go to the first.
        owed = [round(share * number - have, 6) for share, have in zip(shares, had, strict=True)]
        turn = owed.index(max(owed))
        had[turn] += 1
        yield turn


def _shares(section: str, given: Mapping[str, float], classes: tuple[str, ...]) -> tuple[float, ...]:
    if not given:
        return tuple(1 / len(classes) for _ in classes)
    for name in given:
        if name not in classes:
            raise ParamsError(f"{section}.classes: there is no class {name!r}. {nearest(name, classes)}")
    whole = sum(given.values())
    if not whole > 0:
        raise ParamsError(f"{section}.classes: at least one class must have a share above 0.")
    return tuple(given.get(name, 0.0) / whole for name in classes)


def _check_guard(network: Any, guard: Guard, classes: tuple[str, ...]) -> None:
    """A guard must read images of this kind, and know the same classes."""
    if guard.model is None:
        return
    if not hasattr(guard.model, "predict"):
        raise ParamsError(f"--guard: a guard must be a classifier; this is {guard.model.card['method']['name']!r}.")
    mine, theirs = network.info, guard.model.info
    if (mine.channels, mine.height, mine.width) != (theirs.channels, theirs.height, theirs.width):
        raise DataError(
            f"--guard: it reads images of {theirs.channels}×{theirs.height}×{theirs.width}, the generator "
            f"makes {mine.channels}×{mine.height}×{mine.width} (channels, height, width)."
        )
    if classes and tuple(theirs.classes) != classes:
        raise DataError(f"--guard: it knows the classes {theirs.classes}, the generator {classes}.")
