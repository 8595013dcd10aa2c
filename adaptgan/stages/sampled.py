"""The half of synthesize that starts from noise: images of the classes asked for, each from a numbered latent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from typing import Any

import torch

from adaptgan.console import track
from adaptgan.data.encoding import Encoded
from adaptgan.data.records import Record
from adaptgan.errors import DataError, ParamsError, nearest
from adaptgan.latents.drawing import sampled as images_of
from adaptgan.methods.base import Guard
from adaptgan.params import SynthesizeSection
from adaptgan.stages.judged import Judged, judged, rounded
from adaptgan.stages.overlap import Unfinished, prefetched
from adaptgan.stages.ranks import Ranks
from adaptgan.stages.transfers import Fetched, ready_to_send, sent

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
    def tries(self) -> int:
        """How many images are made, at most."""
        return self.count * MOST_TRIES if self.balance else self.count

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


class Quota:
    """Which images from noise are wanted: all that are made, or with `balance` as many of each class as asked for.

    Args:
        todo: what to make.
    """

    def __init__(self, todo: Plan) -> None:
        self._todo = todo
        self._missing = todo.quotas if todo.balance else []

    def full(self, label: int | None) -> bool:
        """Whether there are enough of a class. It stays so: other threads may ask at any time."""
        return self._todo.balance and label is not None and not self._missing[label]

    def wanted(self, records: Iterable[tuple[Encoded, str]]) -> Iterator[tuple[Encoded, str]]:
        """Those records that are wanted, in order, and no more than it takes.

        Raises:
            DataError: with `balance`, some class does not come often enough.
        """
        if not self._todo.balance:
            yield from records
            return
        for record, reason in records:
            if self.full(record.label):
                continue
            yield record, reason
            if record.label is not None and not reason:
                self._missing[record.label] -= 1
                if not any(self._missing):
                    return
        lacking = {self._todo.classes[k]: number for k, number in enumerate(self._missing) if number}
        raise DataError(
            f"{self._todo.tries} images were made for {self._todo.count}, and of these classes so many have not passed "
            f"yet: {lacking}. Leave out `balance`, ask for fewer of them (`classes`), or train a better generator."
        )


@dataclass(frozen=True)
class _Batch:
    """Images that were made together, on their way from the device."""

    numbers: range
    found: Judged
    labels: Fetched | None
    sure: Fetched | None


def sampled(
    todo: Plan,
    quota: Quota,
    network: Any,
    guard: Guard,
    judges: Sequence[Any],
    ranks: Ranks,
    batch_size: int,
    seed: int,
    device: torch.device,
    fabric: Any,
) -> Generator[Unfinished, None, None]:
    """The batches of this rank in order, made and judged; what is left to do with each, any thread can do.

    Record n shows latent n of the seed, whatever the batches: `adaptgan sample --seed` numbers it the same way.
    """
    batches = prefetched(_read(todo, ranks, batch_size, device))
    total = len(ranks.mine(range(0, todo.tries, batch_size)))
    with closing(batches):
        for numbers, asked in track(batches, "sampling", total=total, shown=ranks.rank == 0):
            labels = None if asked is None else sent(asked, device)
            with fabric.autocast():
                made = images_of(network, seed, numbers, labels, todo.truncation, device=device)
                sure = None
                if todo.labelled == "read":
                    sure, labels = guard.model.predict(rounded(made)[1]).float().max(1)
                found = judged(judges, None, made, labels)
            given = labels if asked is None else asked
            batch = _Batch(numbers, found, *(None if part is None else Fetched(part) for part in (given, sure)))
            origin: dict[str, Any] = {"model": network.card["fingerprint"], "seed": seed}
            if todo.truncation is not None:
                origin["truncation"] = todo.truncation
            reader = guard.model.card["fingerprint"] if sure is not None else ""
            yield partial(_finished, batch, quota, origin, reader, bool(judges))


def _read(
    todo: Plan, ranks: Ranks, batch_size: int, device: torch.device
) -> Iterator[tuple[range, torch.Tensor | None]]:
    """Numbers of latents, and the classes asked for, of this rank's batches."""
    turns = take_turns(todo.shares)
    starts = range(0, todo.tries, batch_size)
    mine = set(ranks.mine(starts))
    for start in starts:
        numbers = range(start, min(start + batch_size, todo.tries))
        labels = list(islice(turns, len(numbers))) if todo.labelled == "asked" else None
        if start in mine:
            yield numbers, None if labels is None else ready_to_send(torch.tensor(labels), device)


def _finished(
    batch: _Batch, quota: Quota, origin: dict[str, Any], reader: str, gated: bool
) -> list[tuple[Record, str]]:
    """Records of the images that may be wanted, and why each is rejected (empty when it is kept)."""
    labels = [None] * len(batch.numbers) if batch.labels is None else batch.labels.numpy().tolist()
    sure = None if batch.sure is None else batch.sure.numpy().tolist()
    finished = []
    for row, (number, label) in enumerate(zip(batch.numbers, labels, strict=True)):
        if quota.full(label):
            continue
        provenance = origin | {"latent": number}
        if sure is not None:
            provenance |= {"labelled_by": reader, "confidence": round(sure[row], 4)}
        if gated:
            provenance |= batch.found.provenance(row)
        record = Record(f"latent-{number:07d}", batch.found.image(row), label, {}, provenance)
        finished.append((record, batch.found.reasons[row]))
    return finished


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
