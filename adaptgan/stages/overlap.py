"""Work that goes on behind the computing thread: the next batch is read, the last ones are finished and written."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, TypeVar

import torch

from adaptgan.data.records import Record
from adaptgan.stages.stopping import LOOK, check

Unfinished = Callable[[], list[tuple[Record, str]]]
"""What is left to do with a batch after the networks: gives its records, and why each is rejected."""

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 2
"""Batches that wait between two threads: enough to even out their pace, few enough for any memory."""


def spare_threads(device: torch.device) -> int:
    """Threads for PNG and JSON: the cores of this process that the computing thread leaves, one to eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores //= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    busy = torch.get_num_threads() if device.type == "cpu" else 1
    return min(max(cores - busy, 1), 8)


class Channel(Generic[T]):
    """A bounded queue between two threads, either of which may end it; a wait for it ends with a signal, too.

    Args:
        size: items that may wait.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = self._refused = False
        self._error: BaseException | None = None

    def _wait(self, ready: Callable[[], bool]) -> None:
        while not self._changed.wait_for(ready, LOOK):
            check()

    def put(self, item: T) -> bool:
        """Wait for room; False when nobody wants more."""
        with self._changed:
            self._wait(lambda: self._refused or len(self._items) < self._size)
            if not self._refused:
                self._items.append(item)
                self._changed.notify_all()
            return not self._refused

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more will be put. The reader gets what waits; with an error it is dropped, and the error raised."""
        with self._changed:
            self._ended, self._error = True, error
            if error is not None:
                self._items.clear()
            self._changed.notify_all()

    def refuse(self) -> None:
        """Nothing more will be read."""
        with self._changed:
            self._refused = self._ended = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._wait(lambda: self._ended or bool(self._items))
                if not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item


def prefetched(items: Iterable[T]) -> Generator[T, None, None]:
    """The items, which a thread makes ahead of their use; its errors are raised here."""
    channel: Channel[T] = Channel(AHEAD)

    def make() -> None:
        try:
            for item in items:
                if not channel.put(item):
                    return
        except BaseException as error:  # noqa: BLE001 it is raised where the items are used
            channel.end(error)
        else:
            channel.end()

    thread = threading.Thread(target=make, name="adaptgan-reads", daemon=True)
    thread.start()
    try:
        yield from channel
    finally:
        channel.refuse()
        thread.join()


class Behind(Generic[T, R]):
    """Finishes and consumes what the `with` block puts, in the order in which it is put.

    When the block ends well, all is consumed when it is left. When it fails, what waits is dropped. An error of a
    thread is raised by the block, at its end at the latest.

    Args:
        finish: done to each item, in any of the threads.
        consume: is given the finished items, in order, in a thread of its own. It may return before they are through.
        threads: how many finish.
        give_up: called when the block has failed: `consume` shall wait for nothing else either.

    Attributes:
        result: what `consume` returned, known after the block.
    """

    result: R

    def __init__(
        self,
        finish: Callable[[Any], T],
        consume: Callable[[Iterator[T]], R],
        threads: int = 1,
        give_up: Callable[[], None] = lambda: None,
    ) -> None:
        self._finish, self._consume, self._give_up = finish, consume, give_up
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="adaptgan-finishes")
        self._futures: Channel[Future[T]] = Channel(threads + AHEAD)
        self._thread = threading.Thread(target=self._run, name="adaptgan-writes", daemon=True)
        self._over = threading.Event()  # asked in place of the thread: see stopping.py on `Thread.join`
        self._error: BaseException | None = None

    def __enter__(self) -> Behind[T, R]:
        self._thread.start()
        return self

    def put(self, item: Any) -> bool:
        """Hand one item over, waiting while too many are under way; False when no more are wanted."""
        return self._futures.put(self._pool.submit(self._finish, item))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._consume_the_rest()
        except BaseException as stopped:
            error = stopped
            raise
        finally:
            if error is not None:
                self._give_up()
                self._futures.end(Dropped())
            self._over.wait()
            self._thread.join()
            self._pool.shutdown(wait=True, cancel_futures=True)
        if error is None and self._error is not None:
            raise self._error

    def _consume_the_rest(self) -> None:
        self._futures.end()
        while not self._over.wait(LOOK):
            check()

    def _run(self) -> None:
        try:
            self.result = self._consume(future.result() for future in self._futures)
        except BaseException as error:  # noqa: BLE001 the `with` block raises it
            self._error = error
        finally:
            self._futures.refuse()
            self._over.set()


class Dropped(Exception):
    """Raised in the thread that consumes, when the computing one has failed: its items are not to be written."""
