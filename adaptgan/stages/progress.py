"""A progress bar for stages that walk over records; nothing at all where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def shown(items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    """Pass items through; on a terminal a bar on stderr tells how far along they are."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, title, total=total, console=Console(stderr=True), transient=True)
