"""Threads that read ahead and finish behind: order, bounds, errors, and ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from adaptgan.stages.overlap import AHEAD, Behind, Dropped, prefetched


def alive() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("adaptgan-")}


def until(condition: Any) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_items_are_made_ahead_but_not_without_bound() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    ahead = prefetched(items())
    assert next(ahead) == 0
    until(lambda: len(made) == AHEAD + 2)  # one is taken, so many wait, one is at the door
    time.sleep(0.02)
    assert len(made) == AHEAD + 2
    assert list(ahead) == list(range(1, 100)) and not alive()


def test_an_error_of_the_reader_comes_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("a damaged shard")

    ahead = prefetched(items())
    with pytest.raises(ValueError, match="a damaged shard"):
        list(ahead)
    assert not alive()


def test_a_reader_that_is_left_ends() -> None:
    ahead = prefetched(iter(range(100)))
    assert next(ahead) == 0
    ahead.close()
    assert not alive()


@pytest.mark.parametrize("threads", [1, 4])
def test_results_come_in_order(threads: int) -> None:
    def finish(i: int) -> int:
        time.sleep(0.003 * (i % 3))
        return i * i

    with Behind(finish, list, threads) as behind:
        assert all(behind.put(i) for i in range(30))
    assert behind.result == [i * i for i in range(30)] and not alive()


def test_who_puts_waits_for_who_consumes() -> None:
    gate, put = threading.Event(), []

    def consume(items: Iterator[int]) -> list[int]:
        gate.wait()
        return list(items)

    def work() -> None:
        with Behind(int, consume) as behind:
            for i in range(20):
                behind.put(i)
                put.append(i)

    worker = threading.Thread(target=work)
    worker.start()
    until(lambda: len(put) == 1 + AHEAD)
    time.sleep(0.02)
    assert len(put) == 1 + AHEAD
    gate.set()
    worker.join()
    assert len(put) == 20


def test_one_that_has_enough() -> None:
    with Behind(int, lambda items: [next(items), next(items)]) as behind:
        put = 0
        while behind.put(put):
            put += 1
            time.sleep(0.001)
    assert behind.result == [0, 1]


@pytest.mark.parametrize("where", ["finish", "consume"])
def test_an_error_of_a_thread_ends_the_block(where: str) -> None:
    def fail(i: int) -> int:
        if i == 3:
            raise OSError(28, "No space left on device")
        return i

    def consume(items: Iterator[int]) -> None:
        for i in items:
            if where == "consume":
                fail(i)

    put = 0

    def work() -> None:
        nonlocal put
        with Behind(fail if where == "finish" else int, consume) as behind:
            while behind.put(put):
                put += 1

    with pytest.raises(OSError, match="No space left"):
        work()
    assert put < 20 and not alive()


def test_an_error_of_the_block_drops_what_waits() -> None:
    seen: list[int] = []
    left: list[BaseException] = []
    given_up = threading.Event()

    def consume(items: Iterator[int]) -> None:
        try:
            for i in items:
                seen.append(i)
                given_up.wait()  # for another process, say
        except BaseException as error:
            left.append(error)
            raise

    def work() -> None:
        with Behind(int, consume, 1, given_up.set) as behind:
            for i in range(3):
                behind.put(i)
            until(lambda: seen)
            raise RuntimeError("the network failed")

    with pytest.raises(RuntimeError, match="the network failed"):
        work()
    assert seen == [0] and isinstance(left[0], Dropped) and not alive()
