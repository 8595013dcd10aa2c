"""docs/adaptation.md says of each method what the code says."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from adaptgan.components import ComponentSpec
from adaptgan.methods.base import ClassifierMethod
from adaptgan.plugins import plugins
from adaptgan.training import collapse
from adaptgan.training.alarms import COLLAPSES
from adaptgan.training.readings import SHORTEST, largest_plausible

PAGE = (Path(__file__).parent.parent / "docs" / "adaptation.md").read_text()


def learns_a_task(spec: ComponentSpec) -> bool:
    """Translators and generators learn none; PixelDA, which does both, is with the translators."""
    method = plugins().components.load(spec)
    return issubclass(method, ClassifierMethod) and not hasattr(method, "translate")


METHODS = [
    spec.name
    for spec in plugins().components.specs("method")
    if spec.distribution == "adaptgan" and learns_a_task(spec)
]


@pytest.mark.parametrize("name", METHODS)
def test_the_table_of_tasks_is_the_codes(name: str) -> None:
    module, _, attribute = plugins().components.find("method", name).target.partition(":")
    method = getattr(importlib.import_module(module), attribute)
    assert issubclass(method, ClassifierMethod)
    (line,) = re.findall(rf"^\| `{name}` \|((?: ✓? ?\|){{4}})$", PAGE, flags=re.MULTILINE)
    shown = ["✓" in cell for cell in line.split("|")[:-1]]
    tasks = [task in method.tasks for task in ("classification", "regression", "segmentation")]
    assert shown == [*tasks, method.takes_labelled]


def test_the_alarms_are_the_codes() -> None:
    source = (Path(__file__).parent.parent / "adaptgan/training/alarms.py").read_text()
    for name in re.findall(r'"((?:domain_head|class)_\w+)": ', source):
        assert f"| `{name}` |" in PAGE
    assert f"{100 * largest_plausible(10):.0f}% for 10 classes, {100 * largest_plausible(2):.0f}% for 2" in PAGE
    assert f"below {SHORTEST} steps" in PAGE


def test_the_alarms_of_two_players_are_the_codes() -> None:
    source = Path(collapse.__file__).read_text()
    names = set(re.findall(r'name = "(\w+)"', source))
    assert names == {"mode_collapse", "discriminator_won", "divergence"} <= COLLAPSES
    assert COLLAPSES - names == {"class_swallowed"}
    rows = {name: re.search(rf"^\| `{name}` \|.*$", PAGE, flags=re.MULTILINE) for name in names}
    assert all(rows.values())
    for name, limit in (
        ("mode_collapse", f"below {100 * collapse.ALIKE:.0f}%"),
        ("mode_collapse", "below a third"),
        ("discriminator_won", f"at least {100 * collapse.CERTAIN:.0f}%"),
        ("discriminator_won", f"below {100 * collapse.VANISHED:.0f}%"),
        ("divergence", f"{collapse.GROWN:,.0f} times"),
        ("divergence", f"beyond {collapse.STEEP:.0f}"),
    ):
        assert limit in rows[name].group(), (name, limit)
    assert pytest.approx(1 / 3) == collapse.FELL
