"""Signals that end a stage cleanly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from adaptgan.errors import Interrupted


@dataclass
class _Delivery:
    """Whether a signal may raise at this moment, and whether one waits until it may."""

    held: int = 0
    waiting: bool = False
    what: str = ""

    def give(self) -> None:
        self.waiting = False
        raise Interrupted(
            f"{self.what} was stopped by a signal; nothing half-made is left. Run the same command again."
        )


_DELIVERY = _Delivery()  # signals belong to the process, and so does this


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
        _DELIVERY.waiting = True
        if not _DELIVERY.held:
            _DELIVERY.give()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        for number in before:
            signal.signal(number, stop)
    except ValueError:  # not the main thread: the caller keeps its own handlers
        yield
        return
    _DELIVERY.what = what
    try:
        yield
    finally:
        restore()
        _DELIVERY.waiting = False


@contextmanager
def unstopped() -> Iterator[None]:
    """A signal that comes in this block raises at its end: for starting and joining threads, which must be whole.

    A second one acts at once, as it would without us.

    Raises:
        Interrupted: at the end of the block, when one came.
    """
    if threading.current_thread() is not threading.main_thread():  # signals raise in the main thread only
        yield
        return
    _DELIVERY.held += 1
    try:
        yield
    finally:
        _DELIVERY.held -= 1
    if _DELIVERY.waiting and not _DELIVERY.held:
        _DELIVERY.give()
