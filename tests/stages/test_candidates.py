"""Who may be chosen, what is asked of them, and what is alarming, on rows that are made up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from adaptgan.data.dataset import ShardDataset
from adaptgan.params import EvaluateSection
from adaptgan.stages.candidates import broken_down, choose, parts_of, raise_alarms, some
from adaptgan.stages.inference import Reader
from adaptgan.stages.rows import Row
from adaptgan.stages.train import split
from tests import evaluated

BASE = {"method": "m", "classes": evaluated.CLASSES, "training_set": "source", "uses_target": False, "seconds": None}


def row(**changes: Any) -> Row:
    given = {"reader": None, "card": {"steps": 9}, "role": "candidate", **BASE, **changes}
    return Row(**cast(Any, given))


def alarm(name: str, step: int = 5) -> dict[str, Any]:
    return {"step": step, "alarm": name, "message": "bad"}


@pytest.mark.parametrize(
    ("share", "alarms", "says"),
    [
        (0.9, [], "one class has swallowed the predictions: 90% of the target images are predicted as 'a'.*has 40%"),
        (0.6, [], None),  # of three classes 1/3 + 0.5 · 2/3 = 0.67 is the limit
        (0.6, [alarm("class_swallowed")], "training raised the alarm class_swallowed, and still 60%"),
        (0.38, [alarm("class_swallowed")], None),  # it has got over it
        (0.6, [alarm("domain_head_at_chance")], None),
    ],
)
def test_a_collapse_excludes(share: float, alarms: list[dict[str, Any]], says: str | None) -> None:
    rows = {
        "source": row(role="baseline", largest_class=("b", 0.4)),
        "x": row(largest_class=("a", share), alarms=alarms),
        "oracle": row(role="oracle", largest_class=("a", 1.0)),
    }
    found = broken_down(rows, EvaluateSection())
    if says is None:
        assert found == {}
    else:
        assert list(found) == ["x"]
        assert np.all([part in found["x"] for part in says.split(".*")])


def test_a_one_sided_target_excludes_nobody() -> None:
    rows = {"source": row(role="baseline", largest_class=("a", 0.95)), "x": row(largest_class=("a", 0.94))}
    assert broken_down(rows, EvaluateSection()) == {}


def names(candidate: Row) -> list[str]:
    return [entry["alarm"] for entry in candidate.alarms]


def test_alarms_by_accuracy() -> None:
    """Only when the whole paired interval is below 0."""

    def scored(low: float, high: float) -> Row:
        return row(scores={"accuracy": 0.5, "gain": {"mean": (low + high) / 2, "low": low, "high": high}})

    rows = {"source": row(role="baseline"), "worse": scored(-0.05, -0.01), "unclear": scored(-0.05, 0.01)}
    raise_alarms(rows, "source", {})
    assert (names(rows["worse"]), names(rows["unclear"])) == (["below_source_only"], [])
    message = rows["worse"].alarms[0]["message"]
    assert "3.0 points less accurate than source-only (95% interval 1.0 to 5.0)" in message
    assert "What usually helps:" in message
    assert rows["worse"].alarms[0]["step"] == 9


def test_alarms_without_a_label() -> None:
    good = {"source_accuracy": 0.95, "a": 1.0, "b": -0.5, "c": 2.0, "d": None}
    rows = {
        "source": row(role="baseline", validators=good),
        "forgot": row(validators=good | {"source_accuracy": 0.8}),
        "far": row(validators=good | {"a": 0.8, "b": -0.7}),
        "near": row(validators=good | {"a": 0.95, "b": -0.52, "c": 1.9}),
        "one": row(validators=good | {"a": 0.1}),
        "oracle": row(role="oracle", validators=good | {"source_accuracy": 0.1}),
    }
    raise_alarms(rows, "source", {"one": "it has collapsed"})
    found = {name: names(candidate) for name, candidate in rows.items()}
    assert found == {
        "source": [],
        "forgot": ["source_forgotten"],
        "far": ["scores_below_source_only"],
        "near": [],
        "one": ["class_swallowed"],
        "oracle": [],
    }
    assert "2 of 3 label-free scores" in rows["far"].alarms[0]["message"]


def test_an_alarm_that_training_raised_is_not_raised_again() -> None:
    rows = {"source": row(role="baseline"), "x": row(alarms=[alarm("class_swallowed", 3)])}
    raise_alarms(rows, "source", {"x": "it has collapsed"})
    assert rows["x"].alarms == [alarm("class_swallowed", 3)]


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, ShardDataset]:
    labels = np.arange(60) % 3
    images = evaluated.draw(labels, 200, 4, 0)
    source = evaluated.write_set(tmp_path / "source", images, labels, prefix="s")
    target = evaluated.write_set(tmp_path / "target", evaluated.draw(labels, 90, 30, 1), labels, prefix="t", seal=True)
    return {"source": ShardDataset(source), "target": ShardDataset(target)}


def test_the_split_of_training_is_found_again(sets: dict[str, ShardDataset]) -> None:
    card = {"training": {"validation": 0.25}, "seed": 7}
    parts = parts_of(row(card=card), sets, seed=1)
    assert parts is not None
    learned, held_out = split(60, 0.25, 7)
    np.testing.assert_array_equal(parts.learned, learned)
    np.testing.assert_array_equal(parts.held_out, held_out)
    old = parts_of(row(card={"training": {"validation": 0.25}}), sets, seed=7)  # a card without a seed: ours
    assert old is not None
    np.testing.assert_array_equal(old.held_out, held_out)


def test_what_an_oracle_or_a_stranger_learned_from_stays_closed(sets: dict[str, ShardDataset]) -> None:
    assert parts_of(row(training_set="target", role="oracle"), sets, 0) is None
    assert parts_of(row(training_set="target"), sets, 0) is None  # sealed, whoever asks
    assert parts_of(row(training_set="elsewhere"), sets, 0) is None


class Spy:
    """A validator that keeps what it was given."""

    def __init__(self, needs_source: bool) -> None:
        self.needs_source = needs_source
        self.given: list[Any] = []

    def __call__(self, outputs: Any, seed: int) -> float | None:
        self.given.append(outputs)
        return 1.0


class Model:
    """Features are the pixels, the prediction is the brightest corner; it counts what it was shown."""

    def __init__(self) -> None:
        self.seen = 0

    def features(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        return images.flatten(1)

    def predict_with_features(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        corners = [images[:, 0, 1:5, 1:5], images[:, 0, 1:5, 7:11], images[:, 0, 7:11, 4:8]]
        return torch.stack([c.mean((1, 2)) for c in corners], 1).mul(5).softmax(1), self.features(images)

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        return self.predict_with_features(images)[0]


def ask(sets: dict[str, ShardDataset], spy: Spy, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> tuple[Any, Row]:
    card = {"training": {"validation": 0.25}, "seed": 7, "steps": 9, "scores": {"source_accuracy": 1.0}}
    reader = Reader(Model(), torch.device("cpu"), 16)
    rows = {"source": row(role="baseline", reader=reader, card=card | changes)}
    registry = SimpleNamespace(build=lambda *_: spy)
    monkeypatch.setattr("adaptgan.stages.candidates.components", lambda: registry)
    selection = choose(rows, {}, sets, EvaluateSection(validators=["spy"]), 1)
    assert selection.selected == "source"
    return spy.given[0], rows["source"]


def test_a_validator_that_asks_gets_what_was_held_out(
    sets: dict[str, ShardDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs, candidate = ask(sets, Spy(True), monkeypatch)
    learned, held_out = split(60, 0.25, 7)
    source = sets["source"]

    def pixels(indices: np.ndarray) -> np.ndarray:
        return source.images_NCHW[indices].reshape(len(indices), -1) / 127.5 - 1

    np.testing.assert_allclose(outputs.held_out_features_MF, pixels(held_out), atol=1e-6)
    np.testing.assert_array_equal(outputs.held_out_labels_M, source.labels_N[held_out])
    np.testing.assert_array_equal(outputs.held_out_probabilities_MK.argmax(1), source.labels_N[held_out])
    np.testing.assert_allclose(outputs.training_features_LF, pixels(some(learned, 1000, 1)), atol=1e-6)
    assert candidate.a_distance is not None and 0 <= candidate.a_distance <= 2


def test_who_is_observed_is_scored_and_has_no_vote(
    sets: dict[str, ShardDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(Model(), torch.device("cpu"), 16)
    card = {"training": {"validation": 0.25}, "seed": 7, "steps": 9, "scores": {}}
    rows = {
        name: row(role=role, reader=reader, card=card) for name, role in (("source", "baseline"), ("x", "candidate"))
    }
    scores = {"votes": iter((1.0, 2.0)), "looks_on": iter((9.0, 0.0))}
    spies = {name: lambda outputs, seed, name=name: next(scores[name]) for name in scores}
    registry = SimpleNamespace(build=lambda _, name, __: spies[name])
    monkeypatch.setattr("adaptgan.stages.candidates.components", lambda: registry)
    options = EvaluateSection(validators=["votes"], observed=["looks_on"])
    selection = choose(rows, {}, sets, options, 1)
    assert (selection.selected, selection.validators) == ("x", ("votes",))
    assert rows["source"].validators == {"votes": 1.0, "looks_on": 9.0}


def test_nobody_pays_for_what_no_validator_asks(sets: dict[str, ShardDataset], monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, candidate = ask(sets, Spy(False), monkeypatch)
    assert outputs.held_out_probabilities_MK is None
    assert candidate.reader.model.seen == 60 + 45  # the target, and what it learned from for the A-distance
    asked = ask(sets, Spy(True), monkeypatch)[1]
    assert asked.a_distance == candidate.a_distance  # it does not depend on who else is curious


def test_what_was_held_out_under_another_seed_is_not_known(
    sets: dict[str, ShardDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card's accuracy does not come from these images, so they may have been trained on."""
    outputs, _ = ask(sets, Spy(True), monkeypatch, scores={"source_accuracy": 0.6})
    assert outputs.held_out_probabilities_MK is None
    assert outputs.source_accuracy == 0.6


def test_some_of_few_are_among_some_of_many() -> None:
    few, many = some(np.arange(50), 10, 3), some(np.arange(50), 30, 3)
    np.testing.assert_array_equal(few, many[:10])
    assert len(set(many)) == 30
    assert len(some(np.arange(5), 10, 3)) == 5
