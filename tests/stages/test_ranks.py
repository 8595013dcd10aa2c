"""Several ranks in one process, a thread each: order, bounds, failures, silence."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptgan.data.encoding import encode
from adaptgan.data.records import Record
from adaptgan.errors import AdaptganError, DataError, FailedElsewhere
from adaptgan.stages import ranks as module
from adaptgan.stages.ranks import Ranks, Records


class Fabric:
    """What `Ranks` needs of a launched Fabric."""

    def __init__(self, rank: int, size: int, post: list[queue.Queue[str]]) -> None:
        self.global_rank, self.world_size, self.post = rank, size, post

    def broadcast(self, value: str, src: int) -> str:
        if self.global_rank == src:
            for other in range(1, self.world_size):
                self.post[other].put(value)
            return value
        return self.post[self.global_rank].get(timeout=10)


def batch(number: int) -> Records:
    image = np.full((4, 4), number, np.uint8)
    return [(encode(Record(f"{number}-{i}", image, i, {}, {"n": number})), "no" if i else "") for i in range(2)]


def run(size: int, work: Callable[[Ranks], Any], patience: float = 20.0) -> list[Any]:
    """What each rank's work returned or raised."""
    post: list[queue.Queue[str]] = [queue.Queue() for _ in range(size)]
    found: list[Any] = [None] * size

    def one(rank: int) -> None:
        ranks = Ranks(Fabric(rank, size, post), patience)  # type: ignore[arg-type]
        try:
            with ranks.together():
                found[rank] = work(ranks)
        except BaseException as error:
            found[rank] = error

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "a rank hangs"
    return found


def merge(count: int, fail: Callable[[int, int], None] = lambda rank, number: None) -> Callable[[Ranks], Any]:
    def work(ranks: Ranks) -> Any:
        def own() -> Iterator[Records]:
            for number in ranks.mine(range(count)):
                ranks.check()
                fail(ranks.rank, number)
                yield batch(number)

        if ranks.rank:
            return ranks.send(own())
        return [record for part in ranks.merged(own(), count) for record in part]

    return work


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_batches_come_in_order(size: int, count: int, scratch_folder: Path) -> None:
    first, *others = run(size, merge(count))
    assert first == [record for number in range(count) for record in batch(number)]
    assert others == [None] * (size - 1)
    assert [path.name for path in (scratch_folder / "synthesize").glob("*")] == ["lock"] * (size > 1)


def test_no_rank_runs_far_ahead(monkeypatch: pytest.MonkeyPatch, scratch_folder: Path) -> None:
    monkeypatch.setattr(module, "AHEAD", 3)
    most = 0

    def slowly(rank: int, number: int) -> None:
        nonlocal most
        if rank == 0:
            time.sleep(0.03)
        most = max(most, len(list(scratch_folder.glob("synthesize/*/*.piece"))))

    first, _ = run(2, merge(24, slowly))
    assert len(first) == 48 and most <= 4


def test_rank_0_that_has_enough_ends_all(scratch_folder: Path) -> None:
    def work(ranks: Ranks) -> Any:
        endless = (batch(number) for number in ranks.mine(range(10_000)))
        if ranks.rank:
            return ranks.send(endless)
        merged = ranks.merged(endless, 10_000)
        return [next(merged) for _ in range(5)]

    first, *others = run(3, work)
    assert first == [batch(number) for number in range(5)] and others == [None, None]
    assert not list(scratch_folder.glob("synthesize/*/*"))


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_of_one_rank_is_told_by_rank_0(failing: int, scratch_folder: Path) -> None:
    def fail(rank: int, number: int) -> None:
        if rank == failing and number >= 3:
            raise DataError("the shard is damaged")

    first, *others = run(3, merge(100, fail))
    assert isinstance(first, AdaptganError) and str(first) == "the shard is damaged"
    assert all(isinstance(error, FailedElsewhere) for error in others)
    assert not list(scratch_folder.glob("synthesize/*/*.piece"))


def test_exit_codes_and_full_disks_are_told_too() -> None:
    def fail(rank: int, number: int) -> None:
        if rank == 1:
            raise OSError(28, "No space left on device", "/disk/piece")

    first, other = run(2, merge(10, fail))
    assert "The disk is full: writing /disk/piece failed" in str(first) and isinstance(other, FailedElsewhere)

    def stop(rank: int, number: int) -> None:
        if rank == 1:
            error = AdaptganError("stopped")
            error.exit_code = 75
            raise error

    first, other = run(2, merge(10, stop))
    assert first.exit_code == 75


def test_a_mistake_in_the_code_keeps_its_traceback() -> None:
    def fail(rank: int, number: int) -> None:
        if rank == 1:
            raise ZeroDivisionError("by zero")

    first, other = run(2, merge(10, fail))
    assert str(first) == "process 1 of 2 failed: ZeroDivisionError: by zero" and isinstance(other, ZeroDivisionError)


def test_nobody_waits_for_the_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT", 1000.0)  # the first sign of life is the last

    def work(ranks: Ranks) -> Any:
        if ranks.rank:
            time.sleep(1.0)
            return None
        return list(ranks.merged(iter([batch(0)]), 2))

    first, _ = run(2, work, patience=0.3)
    assert "process 1 of 2 has given no sign of life" in str(first) and "ADAPTGAN_SCRATCH" in str(first)


def test_what_killed_runs_left_is_removed(scratch_folder: Path) -> None:
    old = scratch_folder / "synthesize" / "tmpold"
    old.mkdir(parents=True)
    (old / "00000001.piece").write_bytes(b"x")
    (old / "failed").write_text(json.dumps({"message": "old", "exit_code": 1}))
    first, _ = run(2, merge(3))
    assert len(first) == 6 and not old.exists()
