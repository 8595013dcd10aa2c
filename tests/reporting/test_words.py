"""The sentences must follow the numbers, whichever way these go."""

from __future__ import annotations

from typing import Any

import pytest

from adaptgan.metrics.selection import oracle_choice
from adaptgan.reporting import words


def gain(mean: float, low: float, high: float) -> dict[str, float]:
    return {"mean": mean, "low": low, "high": high}


def row(accuracy: float | None, method: str = "supervised", training: str = "adapted", **more: Any) -> dict[str, Any]:
    base = {"role": "candidate", "uses_target": False, "mean_rank": 2.0}
    return base | {"accuracy": accuracy, "method": method, "training_set": training} | more


def metrics(**changes: Any) -> dict[str, Any]:
    rows = {
        "source": row(0.83, training="source", role="baseline", mean_rank=3.5),
        "adapted": row(0.835, gain=gain(0.005, -0.01, 0.02)),
        "adapt": row(0.97, "dann", uses_target=True, gain=gain(0.14, 0.12, 0.16), mean_rank=1.25),
        "oracle": row(0.985, training="target", role="oracle", mean_rank=None),
    }
    selection = {"validators": ["x", "y"], "left_out": {}}
    given = {"rows": rows, "selected": "adapt", "baseline": "source", "selection": selection} | changes
    candidates = {name: entry["accuracy"] for name, entry in rows.items() if entry["role"] != "oracle"}
    return {"oracle_choice": oracle_choice(candidates, given["selected"])} | given


def test_title_follows_the_numbers() -> None:
    assert words.title(metrics()).startswith("14.0 points more accurate")
    worse = metrics()
    worse["rows"]["adapt"]["accuracy"] = 0.80
    assert words.title(worse).startswith("3.0 points less accurate")
    assert "No row ranked above" in words.title(metrics(selected="source"))
    unmeasured = metrics()
    unmeasured["rows"]["source"]["accuracy"] = None
    assert "not measured" in words.title(unmeasured)


def test_choice_tells_what_hindsight_says() -> None:
    assert "Test labels would have chosen the same" in words.choice(metrics())
    text = words.choice(metrics(selected="adapted"))
    assert "What test labels would have chosen: adapt, 97.0%. Choosing without them cost 13.5 points." in text
    assert "labels would" not in words.choice(metrics(oracle_choice=None))
    assert "1.25" in words.choice(metrics())
    none = {"validators": [], "left_out": {"x": "no score"}}
    assert "nothing to choose by" in words.choice(metrics(selection=none, selected="source"))


def test_real_labels_that_were_used_are_said() -> None:
    assert words.headline(metrics()) == "selected, no real label used"
    few = metrics()
    few["rows"]["adapt"]["labelled"] = 100
    assert words.title(few) == (
        "14.0 points more accurate on real images, trained with 100 labelled real images, chosen without one more"
    )
    assert words.headline(few) == "selected, 100 labelled real images used"
    assert "without a further label" in words.choice(few)
    assert "unlabelled real images and from 100 labelled real images" in str(words.refinement(few))
    for text in (words.title(few), words.headline(few), words.choice(few)):
        assert "no real label" not in text and "without one real" not in text and "without a real" not in text


def test_a_selected_snapshot_speaks_for_itself() -> None:
    snapshot = row(0.95, "dann", uses_target=True, gain=gain(0.12, 0.1, 0.14), mean_rank=1.0, snapshot_of="adapt")
    best = {"row": "adapt", "accuracy": 0.97, "regret": 0.02}
    result = metrics(selected="adapt@50", snapshots={"adapt@50": snapshot}, oracle_choice=best)
    assert words.title(result).startswith("12.0 points more accurate")
    assert "adapt@50 was chosen without a real label, from all rows and 1 snapshot" in words.choice(result)
    assert "Choosing without them cost 2.0 points" in words.choice(result)
    assert "adapt@50 gains +12.0 points in all" in str(words.refinement(result))


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (gain(0.005, -0.01, 0.02), "add nothing that this test set can tell from chance: +0.5 points"),
        (gain(-0.03, -0.05, -0.01), "cost accuracy: −3.0 points"),
        (gain(0.02, 0.01, 0.03), "add little: +2.0 points (95% interval +1.0 to +3.0), 14% of what the selected"),
        (gain(0.08, 0.06, 0.1), "add +8.0 points"),
    ],
)
def test_what_refined_images_add_is_said_in_words(images: dict[str, float], says: str) -> None:
    result = metrics()
    result["rows"]["adapted"]["gain"] = images
    text = words.refinement(result)
    assert text is not None
    assert says in text
    assert ("the other" in text) == (images["low"] > 0)  # a gain nobody can see is not subtracted
    assert "not measured in this run" in text


def test_the_same_method_on_the_source_is_compared_when_there_is_one() -> None:
    result = metrics()
    result["rows"]["plain"] = row(0.96, "dann", "source", uses_target=True, gain=gain(0.13, 0.11, 0.15))
    text = words.refinement(result)
    assert text is not None
    assert "the same method on the unrefined source (plain) reaches 96.0%" in text
    assert "not measured" not in text


def test_a_guard_that_saw_real_images_is_named() -> None:
    result = metrics()
    for name, entry in result["rows"].items():
        entry["fingerprint"] = name
    text = str(words.refinement(result, "adapt"))
    assert "Their guard was adapt, which adapted to the real images without a label of theirs." in text
    assert "the other" not in text  # its gain and theirs are not two shares of one
    assert words.refinement(result, "source") == words.refinement(result)  # one that saw none is not worth a word


def test_without_such_a_row_nothing_is_claimed() -> None:
    result = metrics()
    del result["rows"]["adapted"]
    assert words.refinement(result) is None


def realism(source: float, adapted: float, pixels: tuple[float, float], distance: float = 0.4) -> dict[str, Any]:
    def numbers(kid: float, other: float) -> dict[str, Any]:
        return {"kid": kid, "a_distance": distance, "domain_error": 0.4, "cross_check": {"pixels": {"kid": other}}}

    sets = {"source": numbers(source, pixels[0]), "adapted": numbers(adapted, pixels[1]), "floor": numbers(0.0, 0.0)}
    return {"realism": sets}


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ((0.2, 0.05, (0.1, 0.02)), "nearer in every feature space"),
        ((0.2, 0.3, (0.1, 0.2)), "nearer in no feature space"),
        ((0.2, 0.05, (0.1, 0.2)), "disagree: refined images are clearly nearer only in baseline"),
        ((0.2, 0.195, (0.1, 0.101)), "hardly nearer in any"),
    ],
)
def test_feature_spaces_are_weighed_against_each_other(numbers: Any, says: str) -> None:
    sentences = words.realism(realism(*numbers), "baseline", guarded=False)
    assert says in " ".join(sentences)
    assert "trust the cross-check" not in " ".join(sentences)


def test_a_guarding_network_is_not_trusted_alone() -> None:
    sentences = words.realism(realism(0.2, 0.05, (0.1, 0.02), distance=1.9), "baseline", guarded=True)
    assert "trust the cross-check more" in " ".join(sentences)
    assert "they are not alike" in " ".join(sentences)
    assert words.realism({"realism": {"source": {}, "floor": {}}}, "baseline", guarded=False) == []


def test_labels() -> None:
    assert (
        words.labels({"label_preservation": None, "label_preservation_before_gate": None, "quarantined": None}) is None
    )
    kept = {
        "label_preservation": 0.991,
        "label_preservation_before_gate": 0.95,
        "quarantined": 0.04,
        "judge_on_source": 1.0,
    }
    text = words.labels(kept)
    assert text is not None
    assert all(part in text for part in ("99.1%", "95.0% before the gate", "100.0%", "turned away 4.0%"))
