"""The examples of docs/hooks, installed, and a training that they see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.world import STOP_AT, World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path) -> World:
    return World(tmp_path_factory.mktemp("world"), tiny_source)


@pytest.fixture(scope="module")
def story(world: World) -> dict[str, Any]:
    """One training, stopped by a signal, then run to its end; and the same without an interruption."""
    world.witnessed()
    told: dict[str, Any] = {}
    told["stopped"] = world.run(*world.arguments("plain"), STOP_AT=str(STOP_AT))
    told["calls before"] = [hook for hook, *_ in world.witnessed()]
    told["mail"] = (world.folder / "mail.txt").read_text()
    told["left"] = {path.name for path in (world.folder / "backup" / "task.plain").iterdir()}
    told["finished"] = world.run(*world.arguments("plain"))
    told["calls after"] = [hook for hook, *_ in world.witnessed()]
    straight = world.arguments("plain")
    places = {"plain/model": "straight/model", "plain/log": "straight/log"}
    for old, new in places.items():
        straight = [argument.replace(str(world.folder / old), str(world.folder / new)) for argument in straight]
    told["straight"] = world.run(*straight, DRAW="1")
    world.witnessed()
    return told


@pytest.fixture
def log(world: World, story: dict[str, Any]) -> Iterator[Path]:
    assert [story[part][0] for part in ("stopped", "finished", "straight")] == [75, 0, 0], story
    return world.folder / "plain" / "log"
