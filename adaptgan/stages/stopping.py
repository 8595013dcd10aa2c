"""Signals that end a stage cleanly: it looks for one between its batches, and wherever it waits.

A handler that raises would be simpler, but it raises anywhere: also where a file is half-renamed, or in
`Thread.join`, which then holds a thread that still runs for ended (CPython before 3.13).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from adaptgan.errors import Interrupted
from adaptgan.signals import noticed

LOOK = 0.1
"""Seconds that a wait may last before it looks for a signal."""


@dataclass
class _Stop:
    """What runs in this process, and the signals that it got."""

    what: str = ""
    received: list[int] = field(default_factory=list)


_STOP = _Stop()  # signals belong to the process, and so does this


@contextmanager
def stoppable(what: str) -> Iterator[None]:
    """In this block SIGTERM and SIGINT wait for `check`; a second one acts as it would without us.

    Args:
        what: is stopped, for the message.

    Raises:
        Interrupted: one came and nobody had looked when the block ended.
    """
    with noticed() as received:
        _STOP.what, _STOP.received = what, received
        try:
            yield
            check()
        finally:
            _STOP.received = []


def check() -> None:
    """Look for a signal, in any thread.

    Raises:
        Interrupted: one came since `stoppable` began.
    """
    if _STOP.received:
        raise Interrupted(
            f"{_STOP.what} was stopped by a signal; nothing half-made is left. Run the same command again."
        )
