"""The conformance check of gates: all built-ins pass, each kind of mistake is named."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from adaptgan.components import ComponentSpec
from adaptgan.data.gates import Trial, Verdict
from adaptgan.plugins import plugins
from adaptgan.testing import check_gate
from adaptgan.testing.gates import pictures, translations

GATES: dict[str, list[dict[str, Any]]] = {
    "classifier_agreement": [{}, {"min_confidence": 0.5}, {"quantile": 0.1}],
    "edge_consistency": [{}, {"tolerance": 2}, {"threshold": 0.3}],
    "mask_consistency": [{}, {"threshold": 0.3}],
    "distance_to_source": [{}, {"smallest": 0.01, "largest": 0.3}],
    "near_duplicates": [{}, {"threshold": 0.2}],
}
CASES = [pytest.param({"name": name, **options}, id=f"{name}-{options}") for name in GATES for options in GATES[name]]


def test_all_built_in_gates_are_checked() -> None:
    assert {spec.name for spec in plugins().components.specs("gate") if spec.distribution == "adaptgan"} == set(GATES)


@pytest.mark.parametrize("config", CASES)
def test_built_in_gates_conform(config: dict[str, Any]) -> None:
    assert check_gate(config).name == config["name"]


def test_what_each_gate_catches() -> None:
    """Share of the images that pass, of every translation."""
    found: dict[str, dict[str, float]] = {}
    for name in GATES:
        gate: Any = check_gate(name)
        trials = translations(pictures(60, seed=5))
        found[name] = {what: gate(trial).passed_N.float().mean().item() for what, trial in trials.items()}
    for name, right in {
        "classifier_agreement": {"identity", "moved"},
        "edge_consistency": {"identity", "colours"},
        "mask_consistency": {"identity", "colours"},
        "near_duplicates": {"identity", "colours", "moved", "exchanged"},
    }.items():
        for what in ("identity", "colours", "moved", "exchanged", "collapsed"):
            share = found[name][what]
            if (name, what) == ("classifier_agreement", "colours"):
                continue  # inverted bars are no bars
            assert share > 0.8 if what in right else share < 0.4, (name, what, share)
    assert found["distance_to_source"]["identity"] == 0
    assert found["distance_to_source"]["exchanged"] < 0.7


class Base:
    """Lets bright images pass."""

    name = "Base"

    def __call__(self, trial: Trial) -> Verdict:
        means = trial.after_NCHW.mean((1, 2, 3))
        return Verdict(means > -0.5, [{"mean": mean} for mean in means.tolist()], ["dark"] * len(means))


class Counting(Base):
    """Remembers earlier batches."""

    name = "Counting"
    seen = 0

    def __call__(self, trial: Trial) -> Verdict:
        self.seen += 1
        verdict = super().__call__(trial)
        verdict.scores = [{"seen": self.seen} for _ in verdict.scores]
        return verdict


class Silent(Base):
    """Gives no reason."""

    name = "Silent"

    def __call__(self, trial: Trial) -> Verdict:
        verdict = super().__call__(trial)
        return Verdict(verdict.passed_N, verdict.scores, [""] * len(verdict.reason))


class Fuzzy(Base):
    """Passes by degrees."""

    name = "Fuzzy"

    def __call__(self, trial: Trial) -> Verdict:
        verdict = super().__call__(trial)
        return Verdict(verdict.passed_N.float(), verdict.scores, verdict.reason)


class Generous(Base):
    """Rejects nothing."""

    name = "Generous"

    def __call__(self, trial: Trial) -> Verdict:
        verdict = super().__call__(trial)
        return Verdict(torch.ones_like(verdict.passed_N), verdict.scores, verdict.reason)


class Strict(Base):
    """Rejects everything."""

    name = "Strict"

    def __call__(self, trial: Trial) -> Verdict:
        verdict = super().__call__(trial)
        return Verdict(torch.zeros_like(verdict.passed_N), verdict.scores, verdict.reason)


class Meddling(Base):
    """Changes the images."""

    name = "Meddling"

    def __call__(self, trial: Trial) -> Verdict:
        verdict = super().__call__(trial)
        trial.after_NCHW.clamp_(-0.1, 0.1)
        return verdict


class Tensors(Base):
    """Scores that no record can hold."""

    name = "Tensors"

    def __call__(self, trial: Trial) -> Verdict:
        verdict = super().__call__(trial)
        return Verdict(verdict.passed_N, [{"mean": float("nan")} for _ in verdict.scores], verdict.reason)


class Unsaid(Base):
    """Sets a threshold and does not tell it."""

    name = "Unsaid"

    def calibrate(self, source: Trial) -> None:
        self.level = source.after_NCHW.mean().item()


class Refusing(Base):
    """Cannot do without labels, and does not say so."""

    name = "Refusing"

    def __call__(self, trial: Trial) -> Verdict:
        from adaptgan.errors import ParamsError

        if trial.labels_N is None:
            raise ParamsError("labels, please")
        return super().__call__(trial)


class Misnamed(Base):
    """Has another's name."""


MISTAKES = {
    "Counting": "judged differently after other batches",
    "Silent": "without a reason",
    "Fuzzy": "passed_N must be bool",
    "Generous": "lets every image pass",
    "Strict": "rejects every image",
    "Meddling": "it changed",
    "Tensors": "Out of range float values",
    "Unsaid": "must say what it asks for",
    "Refusing": "has no `needs_labels`",
    "Misnamed": "its `name` is 'Base'",
}


@pytest.fixture
def _registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = types.ModuleType("conformance_gates")
    registry = plugins().components
    for name in [*MISTAKES, "Base"]:
        setattr(module, name, globals()[name])
        registry._specs[("gate", name)] = ComponentSpec("gate", name, f"conformance_gates:{name}", "an example")
    monkeypatch.setitem(sys.modules, "conformance_gates", module)
    yield
    for name in [*MISTAKES, "Base"]:
        registry._specs.pop(("gate", name), None)


@pytest.mark.usefixtures("_registered")
def test_a_plain_gate_conforms() -> None:
    check_gate("Base")


@pytest.mark.usefixtures("_registered")
@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_named(name: str) -> None:
    with pytest.raises((AssertionError, ValueError), match=MISTAKES[name]):
        check_gate(name)
