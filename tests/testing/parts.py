"""Components of a test's own module, registered for as long as a block lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from adaptgan.components import ComponentSpec
from adaptgan.plugins import plugins


@contextmanager
def offered(kind: str, *parts: Any) -> Iterator[None]:
    registry = plugins().components
    given = {one.__name__: f"{one.__module__}:{one.__name__}" for one in parts}
    specs = {
        (kind, name): ComponentSpec(kind, name, target, "an example", distribution="examples")
        for name, target in given.items()
    }
    registry._specs.update(specs)
    yield
    for key in specs:
        registry._specs.pop(key, None)


def built_in(kind: str) -> list[str]:
    return [spec.name for spec in plugins().components.specs(kind) if spec.distribution == "adaptgan"]
