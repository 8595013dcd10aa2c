"""What each candidate says of unlabelled images: scored, sifted and compared before any test label is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from adaptgan.data.dataset import ShardDataset
from adaptgan.metrics.a_distance import ProxyADistance
from adaptgan.metrics.selection import Selection, select, taken_over
from adaptgan.metrics.task import accuracy
from adaptgan.metrics.validators import ModelOutputs, Validator
from adaptgan.params import EvaluateSection
from adaptgan.plugins import components
from adaptgan.stages.rows import Row

POINTS = 500
"""Images of each domain that the A-distance is measured on: half of them teach, the other half are told apart."""
TAUGHT = 1000
"""Images of its training set that a model is asked about when a validator compares them with the target."""
UNLIKE = 0.02
"""A held-out accuracy further than this from the card's was not measured on the same images."""


@dataclass(frozen=True)
class Parts:
    """The set that a candidate was trained on, as training split it.

    Attributes:
        data: the set.
        learned: indices it learned from.
        held_out: indices it was scored on.
    """

    data: ShardDataset
    learned: np.ndarray
    held_out: np.ndarray


def parts_of(row: Row, sets: Mapping[str, ShardDataset], seed: int) -> Parts | None:
    """Find what a row learned from among the sets at hand.

    None for a set that is not among them, and for an oracle: its labels are no source labels.
    """
    from adaptgan.params import Training
    from adaptgan.stages.train import split

    data = sets.get(row.training_set)
    if data is None or row.role == "oracle" or not data.has_labels:
        return None
    share = row.card.get("training", {}).get("validation", Training.model_fields["validation"].default)
    return Parts(data, *split(len(data), share, row.card.get("seed", seed)))


def choose(
    rows: Mapping[str, Row],
    snapshots: Mapping[str, Row],
    sets: Mapping[str, ShardDataset],
    options: EvaluateSection,
    seed: int,
) -> Selection:
    """Score every row and snapshot on unlabelled target images, and choose one; the oracle is scored, never chosen."""
    voting, validators = _validators(options)
    candidates = {**rows, **snapshots}
    curious = any(getattr(validator, "needs_source", False) for validator in validators.values())
    for row in candidates.values():
        outputs = _ask(row, sets, seed, curious)
        with threadpool_limits(1):  # many small matrices: threads would mostly wait for each other
            row.validators = {name: validator(outputs, seed) for name, validator in validators.items()}
            if row.snapshot_of is None:
                row.a_distance = _a_distance(outputs, seed)
    never = [name for name, row in candidates.items() if row.role == "oracle"]
    excluded = broken_down(candidates, options)
    votes = {name: {key: row.validators[key] for key in voting} for name, row in candidates.items()}
    return select(votes, options.baseline, never, excluded)


def _validators(options: EvaluateSection) -> tuple[list[str], dict[str, Validator]]:
    """The names of those that vote, and all validators by name."""
    registry = components()
    found: dict[str, Validator] = {}
    voting: list[str] = []
    for group in ("validators", "observed"):
        for i, config in enumerate(getattr(options, group)):
            name = config if isinstance(config, str) else str(config.get("name"))
            found[name] = registry.build("validator", config, f"evaluate.{group}[{i}]")
            if group == "validators":
                voting.append(name)
    return voting, found


def _ask(row: Row, sets: Mapping[str, ShardDataset], seed: int, curious: bool) -> ModelOutputs:
    """Run a candidate over the target, and over as much of its training set as anybody wants to know.

    Args:
        row: the candidate; its `largest_class` is filled in.
        sets: all sets by role.
        seed: decides which training images.
        curious: whether a validator asks for the training set.
    """
    probabilities_NK, features_NF = row.reader.both(sets["target"].images_NCHW)
    shares_K = np.bincount(probabilities_NK.argmax(1), minlength=len(row.classes)) / max(1, len(probabilities_NK))
    row.largest_class = row.classes[int(shares_K.argmax())], float(shares_K.max())
    score = None if row.snapshot_of else row.card.get("scores", {}).get("source_accuracy")
    parts = parts_of(row, sets, seed)
    if parts is None:
        return ModelOutputs(probabilities_NK, features_NF, score)
    training_LF = None
    if row.reader.has_features and (curious or row.snapshot_of is None):
        images = parts.data.images_NCHW[some(parts.learned, TAUGHT if curious else POINTS, seed)]
        training_LF = row.reader.features(images)
    if not len(parts.held_out) or not (curious or row.snapshot_of):
        return ModelOutputs(probabilities_NK, features_NF, score, training_features_LF=training_LF)
    held_MK, held_MF = row.reader.both(parts.data.images_NCHW[parts.held_out])
    labels_M = parts.data.labels_N[parts.held_out]
    measured = accuracy(labels_M, held_MK.argmax(1))
    if score is not None and abs(measured - score) > UNLIKE:
        # The card was written under another seed: what was held out then is not known.
        return ModelOutputs(probabilities_NK, features_NF, score, training_features_LF=training_LF)
    return ModelOutputs(
        probabilities_NK, features_NF, measured if score is None else score, held_MK, labels_M, held_MF, training_LF
    )


def some(indices: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Up to `count` of the indices at random; the first of many are those of few."""
    picked: np.ndarray = np.random.default_rng(seed).permutation(indices)[:count]
    return picked


def _a_distance(outputs: ModelOutputs, seed: int) -> float | None:
    """Proxy A-distance between training set and target, in the candidate's own features."""
    source_LF, target_NF = outputs.training_features_LF, outputs.features_NF
    if source_LF is None or target_NF is None or min(len(source_LF), len(target_NF)) < 4:
        return None
    target = target_NF[some(np.arange(len(target_NF)), POINTS, seed)]
    return ProxyADistance()(source_LF[:POINTS], target, seed)["a_distance"]


def broken_down(candidates: Mapping[str, Row], options: EvaluateSection) -> dict[str, str]:
    """Candidates whose predictions on the target have collapsed, and how one can tell.

    Either one class has taken over now, or training raised `class_swallowed` and the predictions are still more
    one-sided than source-only's; an alarm over which a training has got is none.
    """
    usual = candidates[options.baseline].largest_class[1]
    found: dict[str, str] = {}
    for name, row in candidates.items():
        if row.role != "candidate":
            continue
        label, share = row.largest_class
        seen = f"{100 * share:.0f}% of the target images are predicted as {label!r}"
        known = f"source-only's most predicted class has {100 * usual:.0f}%"
        if taken_over(share, usual, len(row.classes), options.largest_class):
            found[name] = f"one class has swallowed the predictions: {seen}; {known}"
        elif share > usual and any(alarm["alarm"] == "class_swallowed" for alarm in row.alarms):
            found[name] = f"training raised the alarm class_swallowed, and still {seen}; {known}"
    return found


def raise_alarms(candidates: Mapping[str, Row], baseline: str, excluded: Mapping[str, str]) -> None:
    """Add to each candidate's alarms what evaluation sees; those of training are there already."""
    for name, row in candidates.items():
        if row.role != "candidate":
            continue
        for alarm, message in _alarms(row, candidates[baseline], excluded.get(name)).items():
            if all(known["alarm"] != alarm for known in row.alarms):
                row.alarms.append({"step": row.card.get("steps"), "alarm": alarm, "message": message})


FORGOTTEN = 0.1
"""Accuracy on held-out source images that a row may lose to source-only before it is said."""
FAR = 0.1
"""Share of source-only's score by which a label-free score is far below it."""


def _alarms(row: Row, baseline: Row, excluded: str | None) -> dict[str, str]:
    found: dict[str, str] = {}
    if excluded:
        found["class_swallowed"] = (
            f"{excluded}. It cannot be selected. What usually helps: a smaller weight of the adaptation terms, a later "
            "or slower start of them, a term that keeps classes in balance (information maximization), or a lower "
            "learning rate."
        )
    gain = row.scores.get("gain")
    if gain and gain["high"] < 0:
        found["below_source_only"] = (
            f"on the test set it is {-100 * gain['mean']:.1f} points less accurate than source-only (95% interval "
            f"{-100 * gain['high']:.1f} to {-100 * gain['low']:.1f}). What usually helps: the same augmentation and "
            "steps as source-only, a smaller weight of the adaptation terms, and a look at which classes lost."
        )
    mine, theirs = row.validators.get("source_accuracy"), baseline.validators.get("source_accuracy")
    if mine is not None and theirs is not None and mine < theirs - FORGOTTEN:
        found["source_forgotten"] = (
            f"it reads {100 * mine:.1f}% of the labelled images held out in training, source-only {100 * theirs:.1f}%: "
            "it has lost the task itself, unless its last part is fitted to the target alone (shot, dirt_t), which "
            "trades the source for it by design. What usually helps: more steps, a larger weight of the task loss, a "
            "smaller one of the adaptation terms, and a look at whether the labels of its training set are right."
        )
    pairs = _both(row.validators, baseline.validators)
    below = [name for name, (mine, theirs) in pairs.items() if mine < theirs - FAR * abs(theirs)]
    if not excluded and len(below) >= 2 and 2 * len(below) > len(pairs):
        found["scores_below_source_only"] = (
            f"{len(below)} of {len(pairs)} label-free scores on the target are far below source-only's "
            f"({', '.join(below)}). What usually helps: look at the losses of its training for one that never fell, "
            "then weaken the adaptation terms until it at least equals source-only."
        )
    return found


def _both(mine: Mapping[str, float | None], theirs: Mapping[str, float | None]) -> dict[str, tuple[float, float]]:
    """Scores of the target that both have; accuracy on the source is another matter."""
    found: dict[str, tuple[float, float]] = {}
    for name, value in mine.items():
        other = theirs.get(name)
        if name != "source_accuracy" and value is not None and other is not None:
            found[name] = value, other
    return found


def describe(row: Row, selection: Selection, name: str) -> dict[str, Any]:
    """One candidate, as metrics.json has it."""
    scores = row.scores or {"accuracy": None, "interval": None, "per_class": dict.fromkeys(row.classes)}
    label, share = row.largest_class
    return {
        "method": row.method,
        **scores,
        "seconds": row.seconds,
        "training_set": row.training_set,
        "uses_target": row.uses_target,
        "labelled": row.labelled,
        "role": row.role,
        "validators": row.validators,
        "mean_rank": selection.mean_rank.get(name),
        "a_distance": row.a_distance,
        "largest_class": {"class": label, "share": share},
        "alarms": row.alarms,
        "snapshot_of": row.snapshot_of,
        "steps": row.card.get("steps"),
        "fingerprint": row.card.get("fingerprint"),
    }
