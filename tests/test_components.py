"""Components: options from signatures, nesting, and messages that name the path, the value and the nearest names."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from adaptgan.components import KINDS, ComponentSpec, Registry, nested, nested_list
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ComponentError, ParamsError

INFO = DataInfo(1, 32, 32, ("a", "b"))


@dataclass
class Pen:
    """A nested component.

    Args:
        width: of the line, in pixels.
        ink: what it writes with.
    """

    width: float = 2.0
    ink: Literal["blue", "black"] = "blue"


@dataclass
class Hand:
    """Writes.

    Args:
        data: what it writes.
        pen: what it writes with,
            and one more line: of help.
        strokes (int): how many.
        folder: where to.
        betas: two of them.
        others: further pens.
        spare: one that may be missing.
    """

    data: DataInfo
    strokes: Annotated[int, Field(ge=1)]
    pen: Any = field(default=nested("network", "pen", width=3))
    folder: Path = Path("out")
    betas: tuple[float, float] = (0, 0.9)
    maximum: Annotated[int, Field(ge=1)] | None = None
    others: list[Any] = field(default_factory=list)
    spare: Pen | None = nested("network")

    # A dataclass hides a nested_list default behind its own rules for mutable values; a class does not.


class Desk:
    """Holds pens.

    Args:
        pens: all of them.
        best: the best one; must be named.
    """

    def __init__(self, best: Pen = nested("network"), pens: list[Pen] = nested_list("network", "pen")) -> None:
        self.best, self.pens = best, pens


def scale(factor: float, times: int = 2) -> float:
    """A function can be a component too."""
    return factor**times


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    module = types.ModuleType("stationery")
    for item in (Pen, Hand, Desk, scale):
        setattr(module, item.__name__, item)
    monkeypatch.setitem(sys.modules, "stationery", module)
    specs = [
        ComponentSpec("network", "pen", "stationery:Pen", distribution="stationery"),
        ComponentSpec("method", "hand", "stationery:Hand", distribution="stationery"),
        ComponentSpec("method", "desk", "stationery:Desk", distribution="stationery"),
        ComponentSpec("objective", "scale", "stationery:scale", distribution="stationery"),
        ComponentSpec("objective", "gone", "stationery:Gone", distribution="stationery"),
    ]
    return Registry(specs, ["acme 1.0 (entry point 'acme') failed to load: ImportError: no acme"])


def test_resolve_fills_every_default_nested_ones_too(registry: Registry) -> None:
    assert registry.resolve("method", {"name": "hand", "strokes": 4}, "refiner.method") == {
        "name": "hand",
        "strokes": 4,
        "pen": {"name": "pen", "width": 3.0, "ink": "blue"},
        "folder": "out",
        "betas": [0.0, 0.9],
        "maximum": None,
        "others": [],
        "spare": None,
    }


def test_a_resolved_configuration_resolves_to_itself(registry: Registry) -> None:
    once = registry.resolve("method", {"name": "hand", "strokes": 4, "pen": {"name": "pen", "ink": "black"}}, "m")
    assert registry.resolve("method", once, "m") == once


def test_build_gives_typed_values_and_fills_in_the_context(registry: Registry) -> None:
    hand = registry.build("method", {"name": "hand", "strokes": 4, "folder": "x", "betas": [0, 1]}, "m", [INFO])
    assert hand.data is INFO
    assert hand.folder == Path("x")
    assert hand.betas == (0.0, 1.0)
    assert all(type(beta) is float for beta in hand.betas)
    assert hand.pen == Pen(3.0, "blue")
    assert hand.spare is None


def test_yaml_ints_become_floats(registry: Registry) -> None:
    pen = registry.build("network", {"name": "pen", "width": 2})
    assert type(pen.width) is float


def test_numbers_that_yaml_reads_as_text_are_numbers(registry: Registry) -> None:
    # YAML 1.1 takes 1e-3 (without a point) for a string.
    assert registry.build("network", {"name": "pen", "width": "1e-3"}).width == 0.001


def test_a_list_of_components(registry: Registry) -> None:
    desk = registry.build("method", {"name": "desk", "best": "pen", "pens": ["pen", {"name": "pen", "width": 9}]})
    assert [pen.width for pen in desk.pens] == [2.0, 9.0]
    one = registry.build("method", {"name": "desk", "best": "pen", "pens": "pen"})
    assert len(one.pens) == 1


def test_a_function_is_a_component(registry: Registry) -> None:
    assert registry.build("objective", {"name": "scale", "factor": 3}) == 9


def test_names_in_finds_the_nested_ones(registry: Registry) -> None:
    resolved = registry.resolve("method", {"name": "desk", "best": "pen"}, "m")
    assert [spec.name for spec in registry.names_in("method", resolved)] == ["desk", "pen", "pen"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("hnd", ["refiner.method", "unknown method 'hnd'", "Did you mean 'hand'?", "ImportError: no acme"]),
        ("zzzz", ["unknown method 'zzzz'", "Known: desk, hand."]),
        ({"name": "hand", "strokes": 1, "stroke": 2}, ["refiner.method.stroke", "no option 'stroke'", "'strokes'"]),
        ({"name": "hand"}, ["refiner.method.strokes: field required", "adaptgan components method hand"]),
        ({"name": "hand", "strokes": "many"}, ["refiner.method.strokes", "integer", "(found 'many')"]),
        ({"name": "hand", "strokes": 0}, ["refiner.method.strokes", "greater than or equal to 1", "(found 0)"]),
        ({"name": "hand", "strokes": 1.5}, ["refiner.method.strokes", "(found 1.5)"]),
        ({"name": "hand", "strokes": 1, "pen": "pan"}, ["refiner.method.pen", "unknown network 'pan'", "'pen'"]),
        (
            {"name": "hand", "strokes": 1, "pen": {"name": "pen", "ink": "red"}},
            ["refiner.method.pen.ink", "'blue' or 'black'", "(found 'red')", "adaptgan components network pen"],
        ),
        ({"name": "hand", "strokes": 1, "pen": {"name": "pen", "widht": 1}}, ["refiner.method.pen.widht", "'width'"]),
        ({"name": "hand", "strokes": 1, "pen": None}, ["refiner.method.pen", "needs a network here"]),
        ({"name": "hand", "strokes": 1, "betas": [1]}, ["refiner.method.betas.1", "field required"]),
        ("desk", ["refiner.method.best", "needs a network here"]),
        ({"name": "desk", "best": "pen", "pens": ["pen", "pne"]}, ["refiner.method.pens[1]", "'pen'"]),
        ({"strokes": 1}, ["refiner.method", "expected a method", "{'strokes': 1}"]),
        (None, ["refiner.method", "expected a method", "None"]),
        (7, ["refiner.method", "found 7"]),
        ({"name": "hand", "strokes": 1, 2: 3}, ["refiner.method.2", "no option 2"]),
    ],
)
def test_a_wrong_configuration_is_named_with_its_path(registry: Registry, config: Any, expected: list[str]) -> None:
    with pytest.raises(ParamsError) as caught:
        registry.resolve("method", config, "refiner.method")
    for part in expected:
        assert part in str(caught.value)


def test_unknown_kind_names_the_nearest(registry: Registry) -> None:
    with pytest.raises(ComponentError, match="Did you mean 'method'"):
        registry.specs("methods")


def test_a_target_that_cannot_be_imported_is_named(registry: Registry) -> None:
    with pytest.raises(ComponentError, match=r"'gone' of stationery .* stationery:Gone: AttributeError"):
        registry.resolve("objective", "gone", "x")


def test_missing_context_is_named(registry: Registry) -> None:
    with pytest.raises(ComponentError, match="needs a DataInfo, which this stage does not have"):
        registry.build("method", {"name": "hand", "strokes": 1}, "m")


def test_two_claims_to_one_name_are_an_error_that_names_both() -> None:
    registry = Registry(
        [
            ComponentSpec("method", "hand", "a:A", distribution="acme"),
            ComponentSpec("method", "hand", "b:B", distribution="bolt"),
            ComponentSpec("network", "hand", "c:C", distribution="bolt"),
        ]
    )
    with pytest.raises(ComponentError, match="claimed by acme and bolt"):
        registry.find("method", "hand")
    assert registry.find("network", "hand").target == "c:C"


def test_the_schema_comes_from_signature_and_docstring(registry: Registry) -> None:
    options = {option.name: option for option in registry.schema(registry.find("method", "hand")).options}
    assert "data" not in options  # filled by the builder, no option of params.yaml
    assert options["strokes"].required
    assert (options["strokes"].type, options["strokes"].help) == ("int", "how many.")
    assert options["pen"].help == "what it writes with, and one more line: of help."
    assert options["maximum"].type == "int | null"
    assert options["pen"].nested is not None
    pen = {option.name: option for option in registry.schema(registry.find("network", "pen")).options}
    assert pen["ink"].type == "blue|black"
    assert pen["width"].default == 2.0


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [("name: str = ''", "cannot be called `name`"), ("copy: bool = False", "cannot be called `copy`")],
)
def test_a_parameter_that_cannot_be_an_option_is_the_authors_error(
    monkeypatch: pytest.MonkeyPatch, parameter: str, expected: str
) -> None:
    module = types.ModuleType("author")
    exec(f"def component({parameter}): ...", module.__dict__)
    monkeypatch.setitem(sys.modules, "author", module)
    registry = Registry([ComponentSpec("gate", "component", "author:component", distribution="acme")])
    with pytest.raises(ComponentError, match=expected):
        registry.resolve("gate", "component", "refine.gate")


def test_an_annotation_that_is_not_importable_is_the_authors_error(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("author")
    exec("from __future__ import annotations\ndef component(data: Missing): ...", module.__dict__)
    monkeypatch.setitem(sys.modules, "author", module)
    registry = Registry([ComponentSpec("gate", "component", "author:component", distribution="acme")])
    with pytest.raises(ComponentError, match=r"acme \(author:component\).*Missing"):
        registry.resolve("gate", "component", "refine.gate")


def test_every_kind_is_described() -> None:
    assert all(KINDS.values())
