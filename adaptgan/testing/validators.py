"""The check of a validator: a score that any model can get, from what a validator may know."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from adaptgan.metrics.validators import ModelOutputs, Validator
from adaptgan.plugins import components
from adaptgan.testing.chance import chance
from adaptgan.testing.checks import check_component

N, M, L, WIDTH, CLASSES = 60, 45, 50, 5, 3
SOURCE = ("held_out_probabilities_MK", "held_out_labels_M", "held_out_features_MF", "training_features_LF")
"""What `ModelOutputs` holds of the training set, for those that have `needs_source`."""


def check_validator(config: Any) -> Validator:
    """A validator keeps its promises: see the messages of the assertions.

    It scores made-up models that are good, unsure, doubting, guessing, or have collapsed to one class: a finite number
    for each, and more for the good one than for some other: higher is better. A model that lacks features, held-out
    images or a training set gets a number or None, never an error. What the validator reads of the training set it
    announces by `needs_source`. Equal seeds give equal scores, whatever the global generators did, and the outputs are
    left alone.

    Args:
        config: its name, or `{name: …, option: …}`.

    Returns:
        The validator.
    """
    name = config if isinstance(config, str) else config["name"]
    check_component("validator", name)
    validator: Validator = components().build("validator", config, "validator")
    scores = {}
    for what, outputs in models().items():
        score = _score(validator, outputs, f"{name}, {what} model")
        assert score is not None, f"{name}, {what} model: no score, though everything is known of this model"
        scores[what] = score
    good = scores.pop("a good")
    assert any(good > other for other in scores.values()), (
        f"{name}: a good model gets {good:.4g}, and no other gets less ({scores}); higher must be better"
    )
    _check_lacking(validator, name)
    outputs = models()["a good"]
    with chance(5):
        again = validator(outputs, 0)
    with chance(6):
        built: Validator = components().build("validator", config, "validator")
        afresh = built(outputs, 0)
    assert good == again == afresh, (
        f"{name}: equal outputs and seeds give other scores; draw all randomness from `np.random.default_rng(seed)`"
    )
    return validator


def models() -> dict[str, ModelOutputs]:
    """Outputs of made-up models on the same images: three clusters of features, one for each class."""
    draw = np.random.default_rng(0)
    labels_N, labels_M, labels_L = (np.arange(count) % CLASSES for count in (N, M, L))
    centres_KF = 3 * draw.normal(size=(CLASSES, WIDTH))
    sides = [centres_KF[labels] + draw.normal(size=(len(labels), WIDTH)) for labels in (labels_N, labels_M, labels_L)]

    def outputs(predicted: Sequence[np.ndarray], features: Sequence[np.ndarray]) -> ModelOutputs:
        target_NK, source_MK = predicted
        right = float(np.mean(source_MK.argmax(1) == labels_M))
        return ModelOutputs(target_NK, features[0], right, source_MK, labels_M, features[1], features[2])

    wild = [draw.permutation(side) for side in sides]
    certain = [_sure(labels, draw) for labels in (labels_N, labels_M)]
    unsure = [np.full((count, CLASSES), 1 / CLASSES) for count in (N, M)]
    scattered = [draw.dirichlet(np.ones(CLASSES), count) for count in (N, M)]
    guesses = [_sure(draw.integers(0, CLASSES, count), draw) for count in (N, M)]
    first = [np.repeat([[1.0, 0.0, 0.0]], count, 0) for count in (N, M)]
    return {
        "a good": outputs(certain, sides),
        "an unsure": outputs(unsure, sides),
        "a guessing": outputs(guesses, wild),
        "a doubting": outputs(scattered, wild),
        "a collapsed": outputs(first, [np.zeros_like(side) for side in sides]),
    }


def _sure(labels_N: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Probabilities (N, K) that leave little doubt."""
    logits_NK = 5 * np.eye(CLASSES)[labels_N] + draw.normal(size=(len(labels_N), CLASSES))
    exponents_NK = np.exp(logits_NK)
    return np.asarray(exponents_NK / exponents_NK.sum(1, keepdims=True))


def _score(validator: Validator, outputs: ModelOutputs, what: str) -> float | None:
    shown = copy.deepcopy(outputs)
    try:
        with chance(4):
            score: Any = validator(outputs, 0)
    except Exception as error:
        raise AssertionError(
            f"{what}: it raises {type(error).__name__} ({error}); where the outputs do not allow a score, give None"
        ) from error
    for field in dataclasses.fields(outputs):
        mine, theirs = getattr(shown, field.name), getattr(outputs, field.name)
        assert np.array_equal(mine, theirs), f"{what}: it changes {field.name}"
    assert score is None or isinstance(score, float), f"{what}: the score is a {type(score).__name__}, not a float"
    assert score is None or math.isfinite(score), f"{what}: the score is {score}; where there is none, give None"
    return score


def _check_lacking(validator: Validator, name: str) -> None:
    """Models of which not everything is known."""
    whole = models()["a good"]
    told = _score(validator, whole, name)
    nothing: dict[str, Any] = dict.fromkeys(SOURCE)
    hidden = dataclasses.replace(whole, **nothing)
    without = _score(validator, hidden, f"{name}, without the training set")
    assert getattr(validator, "needs_source", False) or told == without, (
        f"{name}: it reads what is known of the training set ({told} with it, {without} without); set "
        "`needs_source = True`, or nobody gives it that"
    )
    bare = ModelOutputs(whole.probabilities_NK)
    for what, outputs in {
        "without features": dataclasses.replace(whole, features_NF=None, held_out_features_MF=None),
        "without a source accuracy": dataclasses.replace(whole, source_accuracy=None),
        "nothing but predictions": bare,
    }.items():
        _score(validator, outputs, f"{name}, {what}")
