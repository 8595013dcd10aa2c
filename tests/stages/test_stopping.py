"""Signals: they are noticed, and end a block where it looks for them or waits, with its threads."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from adaptgan.errors import Interrupted
from adaptgan.stages.overlap import Behind, Dropped, prefetched
from adaptgan.stages.stopping import check, stoppable


def send() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def mine() -> Iterator[list[int]]:
    """Signals that reach the handler that stood before."""
    got: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    yield got
    signal.signal(signal.SIGTERM, before)


def test_a_signal_ends_the_block_where_it_looks(mine: list[int]) -> None:
    done: list[str] = []

    def work() -> None:
        send()
        done.append("sent")
        check()
        done.append("looked")

    with pytest.raises(Interrupted, match="synthesize was stopped by a signal"), stoppable("synthesize"):
        work()
    assert done == ["sent"] and not mine
    send()
    assert mine == [signal.SIGTERM]


def test_a_signal_that_nobody_looked_for_ends_the_block_at_its_end(mine: list[int]) -> None:
    with pytest.raises(Interrupted), stoppable("synthesize"):
        send()
    assert not mine


def test_a_second_signal_acts_as_it_would_without_us(mine: list[int]) -> None:
    def work() -> None:
        with stoppable("synthesize"):
            send()
            assert not mine
            send()
            assert mine == [signal.SIGTERM]

    with pytest.raises(Interrupted):
        work()


def test_a_signal_of_a_block_that_failed_does_not_reach_the_next(mine: list[int]) -> None:
    def work() -> None:
        with stoppable("synthesize"):
            send()
            raise ValueError("before")

    with pytest.raises(ValueError, match="before"):
        work()
    with stoppable("synthesize"):
        check()


def test_without_a_block_there_is_nothing_to_look_for() -> None:
    check()


def slow_to_end(items: Iterator[int], cleaned: list[str]) -> None:
    """Writes for long, and takes its time to clean up."""
    try:
        for _ in items:
            time.sleep(0.3)
    except Dropped:
        time.sleep(0.3)
        cleaned.append("dropped")
        raise
    finally:
        cleaned.append("ended")


def soon() -> None:
    threading.Timer(0.1, send).start()


def in_the_block(behind: Any) -> None:
    send()
    check()


def at_its_end(behind: Any) -> None:
    for item in range(3):
        behind.put(item)
    soon()


def for_room(behind: Any) -> None:
    soon()
    while behind.put(0):
        pass


def for_what_is_read(behind: Any) -> None:
    def slow() -> Iterator[int]:
        time.sleep(0.5)
        yield 0

    soon()
    next(prefetched(slow()))


@pytest.mark.parametrize("waits", [in_the_block, at_its_end, for_room, for_what_is_read])
def test_all_threads_have_cleaned_up_when_a_signal_ends_the_block(
    waits: Callable[[Any], None], mine: list[int]
) -> None:
    cleaned: list[str] = []

    def work() -> None:
        with stoppable("synthesize"), Behind(lambda x: x, lambda items: slow_to_end(items, cleaned)) as behind:
            waits(behind)

    with pytest.raises(Interrupted):
        work()
    assert cleaned and cleaned[-1] == "ended" and not mine
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("adaptgan-")]


def test_an_error_of_the_block_drops_what_waits() -> None:
    cleaned: list[str] = []

    def work() -> None:
        with Behind(lambda x: x, lambda items: slow_to_end(items, cleaned)) as behind:
            behind.put(0)
            raise ValueError("of the block")

    with pytest.raises(ValueError, match="of the block"):
        work()
    assert cleaned == ["dropped", "ended"]


def test_an_error_of_the_thread_is_the_blocks() -> None:
    def fail(items: Iterator[int]) -> None:
        raise ValueError("of the thread")

    def work() -> None:
        with Behind(lambda x: x, fail) as behind:
            while behind.put(0):
                pass

    with pytest.raises(ValueError, match="of the thread"):
        work()
