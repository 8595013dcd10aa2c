"""The journal: what a stage wants tracked, as lines that survive a killed process and a store that is away."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adaptgan.files import scratch

Record = dict[str, Any]
"""One line: `do` says what, `t` when (milliseconds since 1970), the rest depends on `do`."""


def journal_folder() -> Path:
    """Where this project's journals are."""
    return scratch() / "journal"


def try_lock(path: Path, patience: float = 0.0) -> int | None:
    """Take a lock that ends with this process.

    Args:
        path: the lock's file.
        patience: seconds to try again; `locked` holds a lock for the blink of its question.

    Returns:
        Its descriptor, or None when another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.01)
        else:
            return descriptor


def locked(path: Path) -> bool:
    """Whether some process holds the lock now."""
    if not path.exists():
        return False
    descriptor = try_lock(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


class Journal:
    """One MLflow run's lines, opened to append.

    Args:
        path: the file; an existing one is continued.
        exclusive: hold a lock while open, by which others know that the writer lives. A pipeline's journal is shared
            by its stages and has none.
    """

    def __init__(self, path: Path, exclusive: bool = True) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = try_lock(writer_lock(path), patience=1.0) if exclusive else None
        if exclusive and self._lock is None:
            raise BlockingIOError(f"{path} is being written by another process")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        if exclusive:
            self._mend()

    def append(self, do: str, t: int | None = None, **fields: Any) -> None:
        """Add a line. It is with the operating system on return: killing this process does not lose it."""
        record = {"t": now() if t is None else t, "do": do, **fields}
        os.write(self._file, json.dumps(record, separators=(",", ":"), default=str).encode() + b"\n")

    def size(self) -> int:
        """How many bytes are written."""
        return os.fstat(self._file).st_size

    def close(self) -> None:
        """Let go of the file and of the lock."""
        os.close(self._file)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _mend(self) -> None:
        """Cut off a last line that a full disk or a power cut left unfinished."""
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.ftruncate(self._file, content.rfind(b"\n") + 1)


def writer_lock(path: Path) -> Path:
    """The lock that a journal's writer holds."""
    return path.with_suffix(".lock")


def now() -> int:
    """Milliseconds since 1970, as MLflow counts."""
    return time.time_ns() // 1_000_000


def read(path: Path, offset: int = 0) -> Iterator[tuple[Record, int]]:
    """The complete lines from a byte offset on, each with the offset behind it; unreadable ones are left out."""
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and "do" in record:
                yield record, offset


def last_steps(path: Path) -> dict[str, int]:
    """The highest step of each stream (`losses`, `scores`, `samples`) that a journal holds."""
    steps: dict[str, int] = {}
    if path.exists():
        for record, _ in read(path):
            if "stream" in record:
                steps[record["stream"]] = max(record["step"], steps.get(record["stream"], -1))
    return steps


@contextmanager
def appending(path: Path) -> Iterator[Journal]:
    """A shared journal, open for a block."""
    journal = Journal(path, exclusive=False)
    try:
        yield journal
    finally:
        journal.close()
