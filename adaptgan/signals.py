"""SIGTERM and SIGINT, noticed and not acted on: an exception in the midst of anything could end it half-done."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def noticed() -> Iterator[list[int]]:
    """A list that is empty until SIGTERM or SIGINT comes; a second signal acts at once, as it would without us."""
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: object) -> None:
        received.append(number)
        restore()

    try:
        for number in before:
            signal.signal(number, note)
    except ValueError:  # not the main thread: the caller keeps its own handlers
        yield received
        return
    try:
        yield received
    finally:
        restore()
