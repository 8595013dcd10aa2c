"""params.yaml: every value is checked, nothing unknown is let through, and messages name the path."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptgan.errors import ParamsError
from adaptgan.params import IngestSection, SynthesizeSection, TrainSection, load

GOOD = """
seed: 7
source: {dataset: rendered_digits}
target: {dataset: {name: handwriting}, labels: sealed, size: [28, 32]}
refiner:
  method: simgan
  training: {steps: 10, batch_size: 4}
refine: {gate: [classifier_agreement]}
task:
  source: {method: supervised}
  dann: {method: {name: dann}}
extra:
  dataset: handwriting
"""


@pytest.fixture
def params(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(GOOD)
    return path


def test_sections_are_typed(params: Path) -> None:
    found = load(params)
    assert found.seed == 7
    assert found.section("refiner", TrainSection).training.steps == 10
    assert found.section("target", IngestSection).size == (28, 32)
    assert found.section("task.dann", TrainSection).method == {"name": "dann"}
    assert found.section("refine", SynthesizeSection).gate == ["classifier_agreement"]


def test_sections_are_frozen(params: Path) -> None:
    section = load(params).section("refiner", TrainSection)
    with pytest.raises(ValueError, match="frozen"):
        section.training.steps = 3  # type: ignore[misc]


def test_leaves_are_what_a_command_can_run(params: Path) -> None:
    assert list(load(params).leaves()) == ["source", "target", "refiner", "refine", "task.source", "task.dann", "extra"]


def test_overrides(params: Path) -> None:
    overrides = ["refiner.training.steps=20", "refiner.method.semantic=0.5", "tracking.enabled=false", "seed=1"]
    found = load(params, overrides)
    section = found.section("refiner", TrainSection)
    assert section.training.steps == 20
    assert section.training.batch_size == 4
    assert section.method == {"name": "simgan", "semantic": 0.5}  # a bare name takes options, too
    assert found.seed == 1
    assert not found.pipeline.tracking.enabled


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sead: 1", ["unknown section 'sead'", "'seed'"]),
        ("1: 2", ["unknown section '1'"]),
        ("seed: -1", ["seed", "greater than or equal to 0", "(found -1)"]),
        ("seed: many", ["seed", "(found 'many')"]),
        ("report: {titel: x}", ["report.titel", "'title'"]),
        ("report: 3", ["report", "found 3"]),
        ("- 1", ["expected sections", "list"]),
        ("a: [", ["not valid YAML"]),
        ("my_own: {steps: 3}", ["unknown section 'my_own'", "`dataset`, a `method` or a `gate`"]),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, expected: list[str]) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError) as caught:
        load(path)
    for part in [str(path), *expected]:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("section", "override", "expected"),
    [
        ("refiner", "refiner.training.setps=3", ["refiner.training", "setps"]),
        ("refiner", "refiner.traning=3", ["refiner.traning", "'training'"]),
        ("refiner", "refiner.training.steps=0", ["refiner.training.steps", "(found 0)"]),
        ("refiner", "refiner.training.device=gpu", ["refiner.training.device", "(found 'gpu')"]),
        ("refiner", "refiner.training.precision=fp8", ["refiner.training.precision", "bf16-mixed"]),
        ("task.dan", "seed=1", ["there is no section 'task.dan'", "task has no 'dan'", "'dann'"]),
        ("task.dann.x.y", "seed=1", ["there is no section 'task.dann.x.y'"]),
        ("refinr", "seed=1", ["there is no section 'refinr'", "'refiner'"]),
        ("task", "seed=1", ["task"]),
    ],
)
def test_a_wrong_section_is_named_with_its_path(params: Path, section: str, override: str, expected: list[str]) -> None:
    with pytest.raises(ParamsError) as caught:
        load(params, [override]).section(section, TrainSection)
    for part in [str(params), *expected]:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed", "expected a.b=c"),
        ("=3", "expected a.b=c"),
        ("seed.x=3", "'seed' holds 7"),
        ("seed=[", "not a YAML value"),
    ],
)
def test_a_wrong_override_is_named(params: Path, override: str, expected: str) -> None:
    with pytest.raises(ParamsError) as caught:
        load(params, [override])
    assert f"--set {override}" in str(caught.value)
    assert expected in str(caught.value)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"no such file.*--params"):
        load(tmp_path / "params.yaml")


def test_a_folder_is_no_params_file(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="folder"):
        load(tmp_path)


def test_the_repositorys_own_params_are_valid() -> None:
    from adaptgan.plugins import components

    root = Path(__file__).parent.parent
    for name, section in load(root / "params.yaml").leaves().items():
        for kind in ("dataset", "method"):
            if kind in section:
                components().resolve(kind, section[kind], f"{name}.{kind}")
