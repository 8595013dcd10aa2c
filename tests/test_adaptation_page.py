"""docs/adaptation.md says of each method what the code says."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from adaptgan.methods.base import ClassifierMethod
from adaptgan.plugins import plugins
from adaptgan.training.alarms import SHORTEST, largest_plausible

PAGE = (Path(__file__).parent.parent / "docs" / "adaptation.md").read_text()
METHODS = [
    spec.name
    for spec in plugins().components.specs("method")
    if spec.distribution == "adaptgan" and spec.name != "simgan"  # a translator: it learns no task
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
