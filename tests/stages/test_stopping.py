"""Signals: they raise in the block, or at the end of a part of it that must be whole."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from adaptgan.errors import Interrupted
from adaptgan.stages.overlap import Behind, Dropped, prefetched
from adaptgan.stages.stopping import stoppable, unstopped


def send(number: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture
def mine() -> Iterator[list[int]]:
    """Signals that reach the handler that stood before."""
    got: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    yield got
    signal.signal(signal.SIGTERM, before)


def test_a_signal_raises_at_the_end_of_a_part_that_must_be_whole(mine: list[int]) -> None:
    done: list[str] = []

    def work() -> None:
        with unstopped():
            with unstopped():
                send()
                done.append("inner")
            done.append("outer")
        done.append("after")

    with pytest.raises(Interrupted, match="synthesize was stopped by a signal"), stoppable("synthesize"):
        work()
    assert done == ["inner", "outer"] and not mine


def test_a_second_signal_acts_as_it_would_without_us(mine: list[int]) -> None:
    def work() -> None:
        with stoppable("synthesize"), unstopped():
            send()
            assert not mine
            send()
            assert mine == [signal.SIGTERM]

    with pytest.raises(Interrupted):
        work()


def test_a_signal_of_a_block_that_failed_does_not_reach_the_next(mine: list[int]) -> None:
    def work() -> None:
        with stoppable("synthesize"), unstopped():
            send()
            raise ValueError("before")

    with pytest.raises(ValueError, match="before"):
        work()
    with stoppable("synthesize"), unstopped():
        pass


def test_other_threads_are_not_held(mine: list[int]) -> None:
    inside, over = threading.Event(), threading.Event()

    def other() -> None:
        with unstopped():
            inside.set()
            over.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    with pytest.raises(Interrupted), stoppable("synthesize"):
        send()
    over.set()
    thread.join()


@pytest.mark.parametrize("name", ["adaptgan-writes", "adaptgan-reads"])
@pytest.mark.parametrize("moment", ["start", "join"])
def test_a_signal_while_a_thread_starts_or_ends_leaves_none_behind(
    name: str, moment: str, mine: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = getattr(threading.Thread, moment)

    def with_signal(thread: threading.Thread, *timeout: Any) -> None:
        if thread.name == name:
            send()
        plain(thread, *timeout)

    dropped: list[bool] = []

    def consume(items: Iterator[int]) -> None:
        try:
            for _ in items:
                pass
        except Dropped:
            dropped.append(True)
            raise

    def work() -> None:
        with stoppable("synthesize"), Behind(lambda x: x, consume) as behind:
            for item in prefetched(iter(range(3))):
                behind.put(item)
            if moment == "join":
                raise ValueError("whose cleaning up the signal meets")

    monkeypatch.setattr(threading.Thread, moment, with_signal)
    with pytest.raises(Interrupted):
        work()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("adaptgan-")]
    assert dropped == [True]
