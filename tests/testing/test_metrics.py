"""The conformance checks of metrics and validators: built-ins pass, each kind of mistake is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest

from adaptgan.errors import DataError
from adaptgan.metrics.validators import ModelOutputs
from adaptgan.testing import check_metric, check_validator
from adaptgan.testing.metrics import MAKERS
from tests.testing.parts import built_in, offered


@pytest.mark.parametrize("name", built_in("metric"))
def test_built_in_metrics_conform(name: str) -> None:
    check_metric(name)


@pytest.mark.parametrize("name", built_in("validator"))
def test_built_in_validators_conform(name: str) -> None:
    check_validator(name)


@pytest.mark.parametrize("wanted", MAKERS)
def test_made_up_sets_are_what_stages_give(wanted: str) -> None:
    made, other = MAKERS[wanted](5, 0, 0.0), MAKERS[wanted](5, 0, 2.0)
    assert len(made) == 5 and not np.array_equal(made, other)
    assert made.dtype == (np.uint8 if wanted == "images" else np.float64)
    if wanted == "probabilities":
        np.testing.assert_allclose(made.sum(1), 1)


class Means:
    """Distance of the means."""

    wants: ClassVar[str] = "features"

    def __call__(self, one: np.ndarray, real: np.ndarray, seed: int) -> dict[str, Any]:
        return {"distance": float(np.linalg.norm(one.mean(0) - real.mean(0)))}


class Pictures(Means):
    """Of images."""

    wants = "images"


class Careful(Means):
    """Says how many it needs."""

    def __call__(self, one: np.ndarray, real: np.ndarray, seed: int) -> dict[str, Any]:
        if len(one) < 3:
            raise DataError("three or more are needed")
        return super().__call__(one, real, seed)


class Wishes(Means):
    """Wants what nobody gives."""

    wants = "sounds"


class Spread(Means):
    """A ratio that a collapse breaks."""

    def __call__(self, one: np.ndarray, real: np.ndarray, seed: int) -> dict[str, Any]:
        with np.errstate(divide="ignore"):
            return {"ratio": float(np.float64(np.ptp(real)) / np.ptp(one, 0).max())}


class Numpy(Means):
    """A number that JSON does not know."""

    def __call__(self, one: np.ndarray, real: np.ndarray, seed: int) -> dict[str, Any]:
        return {"distance": np.float32(super().__call__(one, real, seed)["distance"])}


class Bare(Means):
    """A number without a name."""

    def __call__(self, one: np.ndarray, real: np.ndarray, seed: int) -> Any:
        return 1.0


class Blind(Means):
    """Looks at nothing."""

    def __call__(self, one: np.ndarray, real: np.ndarray, seed: int) -> dict[str, Any]:
        return {"images": float(len(one))}


class Centres(Means):
    """Changes what it is shown."""

    def __call__(self, one: np.ndarray, real: np.ndarray, seed: int) -> dict[str, Any]:
        one -= real.mean(0)
        return {"distance": float(np.linalg.norm(one.mean(0)))}


class Chance(Means):
    """Draws from NumPy's global generator."""

    def __call__(self, one: np.ndarray, real: np.ndarray, seed: int) -> dict[str, Any]:
        return super().__call__(one[np.random.permutation(len(one))[:20]], real, seed)  # noqa: NPY002


class Names(Means):
    """Now this, now that."""

    def __call__(self, one: np.ndarray, real: np.ndarray, seed: int) -> dict[str, Any]:
        return super().__call__(one, real, seed) | ({"more": 1.0} if len(one) > len(real) * 1.5 else {})


class Many(Means):
    """Fails with few images."""

    def __call__(self, one: np.ndarray, real: np.ndarray, seed: int) -> dict[str, Any]:
        return super().__call__(one, real, seed) | {"first": float(one[5, 0])}


METRIC_MISTAKES = {
    Wishes: "it `wants` 'sounds', which is none of features, probabilities, images",
    Spread: "a set of which all are alike: ratio is inf",
    Numpy: "distance is a float32, not a float",
    Bare: "expected named numbers, found 1.0",
    Blind: "none of its numbers tells a bad set from a good one",
    Centres: "it changes what it is shown",
    Chance: "equal sets and seeds give other numbers",
    Names: "its numbers are ['distance', 'more'], and were ['distance']",
    Many: "of 1 image(s) it raises IndexError",
}


class Accuracy:
    """What the model's card says."""

    needs_source: ClassVar[bool] = False

    def __call__(self, outputs: ModelOutputs, seed: int) -> Any:
        return outputs.source_accuracy


class Held(Accuracy):
    """Reads the training set."""

    needs_source = True

    def __call__(self, outputs: ModelOutputs, seed: int) -> Any:
        if outputs.held_out_probabilities_MK is None:
            return None
        return float(np.mean(outputs.held_out_probabilities_MK.argmax(1) == outputs.held_out_labels_M))


class Silent(Held):
    """Reads it, and does not say so."""

    needs_source = False


class Lower(Accuracy):
    """Lower is better."""

    def __call__(self, outputs: ModelOutputs, seed: int) -> Any:
        return None if outputs.source_accuracy is None else 1 - outputs.source_accuracy


class Demands(Accuracy):
    """Cannot do without features."""

    def __call__(self, outputs: ModelOutputs, seed: int) -> Any:
        return -(float(outputs.features_NF.std() - 3) ** 2)  # type: ignore[union-attr]


class Undefined(Accuracy):
    """No number for a collapse."""

    def __call__(self, outputs: ModelOutputs, seed: int) -> Any:
        with np.errstate(divide="ignore"):
            return float(np.log(outputs.probabilities_NK.mean(0)).sum())


class Absent(Accuracy):
    """Never knows."""

    def __call__(self, outputs: ModelOutputs, seed: int) -> Any:
        return None


class Rough(Accuracy):
    """A number that JSON does not know."""

    def __call__(self, outputs: ModelOutputs, seed: int) -> Any:
        return None if outputs.source_accuracy is None else np.float32(outputs.source_accuracy)


class Lucky(Accuracy):
    """Draws from NumPy's global generator."""

    def __call__(self, outputs: ModelOutputs, seed: int) -> Any:
        picked = np.random.permutation(len(outputs.probabilities_NK))[:9]  # noqa: NPY002
        return float(outputs.probabilities_NK[picked].max(1).mean())


class Sorts(Accuracy):
    """Changes what it is shown."""

    def __call__(self, outputs: ModelOutputs, seed: int) -> Any:
        outputs.probabilities_NK.sort(1)
        return float(outputs.probabilities_NK[:, -1].mean())


VALIDATOR_MISTAKES = {
    Silent: "set `needs_source = True`",
    Lower: "higher must be better",
    Demands: "without features: it raises AttributeError",
    Undefined: "a collapsed model: the score is -inf",
    Absent: "no score, though everything is known of this model",
    Rough: "the score is a float32, not a float",
    Lucky: "equal outputs and seeds give other scores",
    Sorts: "it changes probabilities_NK",
}


@pytest.fixture(autouse=True)
def _offered() -> Iterator[None]:
    with (
        offered("metric", Means, Pictures, Careful, *METRIC_MISTAKES),
        offered("validator", Accuracy, Held, *VALIDATOR_MISTAKES),
    ):
        yield


@pytest.mark.parametrize("name", ["Means", "Pictures", "Careful"])
def test_a_good_metric_passes(name: str) -> None:
    check_metric(name)


@pytest.mark.parametrize("name", ["Accuracy", "Held"])
def test_a_good_validator_passes(name: str) -> None:
    check_validator(name)


@pytest.mark.parametrize("mistake", METRIC_MISTAKES, ids=lambda mistake: mistake.__name__)
def test_each_mistake_of_a_metric_is_named(mistake: type[Means]) -> None:
    with pytest.raises(AssertionError, match=re.escape(METRIC_MISTAKES[mistake])):
        check_metric(mistake.__name__)


@pytest.mark.parametrize("mistake", VALIDATOR_MISTAKES, ids=lambda mistake: mistake.__name__)
def test_each_mistake_of_a_validator_is_named(mistake: type[Accuracy]) -> None:
    with pytest.raises(AssertionError, match=re.escape(VALIDATOR_MISTAKES[mistake])):
        check_validator(mistake.__name__)
