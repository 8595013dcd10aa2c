"""Signals that end a stage cleanly."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from adaptgan.errors import Interrupted


@contextmanager
def stoppable(what: str) -> Iterator[None]:
    """In this block SIGTERM and SIGINT raise, so that it can clean up; a second one acts as it would without us.

    Args:
        what: is stopped, for the message.

    Raises:
        Interrupted: one came.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop(number: int, frame: object) -> None:
        restore()
        raise Interrupted(f"{what} was stopped by a signal; nothing half-made is left. Run the same command again.")

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        for number in before:
            signal.signal(number, stop)
    except ValueError:  # not the main thread: the caller keeps its own handlers
        yield
        return
    try:
        yield
    finally:
        restore()
