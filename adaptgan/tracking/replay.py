"""Replaying journals to a store: each line once, whatever breaks in between.

Beside each journal lies `<id>.state.json`: how far it is replayed and the MLflow run it became. It is written after
each call to the store, so a crash repeats one call at most; the store then finds equal metrics (same key, step, time
and value are one row in MLflow), params and tags. A run that was created just before a crash is found by its tag.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from adaptgan.tracking.journal import Record, appending, locked, read, writer_lock
from adaptgan.tracking.recorder import PIPELINE

BATCH = 1000
"""Metrics per call: MLflow's limit."""

_KEEP_SECONDS = 30 * 24 * 3600.0


class Unreachable(Exception):
    """The store cannot be used now: down, locked, or of another schema version. Later, perhaps."""


class Rejected(Exception):
    """The store takes no such record, now or ever."""


class Gone(Exception):
    """The store does not have this run (any more)."""


class Store(Protocol):
    """What a replay needs of a tracking store; every method may raise the three errors above."""

    def begin(self, journal: str, run_id: str | None, record: Record, parent_run: str | None) -> str:
        """Find, create or reopen the run; its id."""
        ...

    def metrics(self, run_id: str, rows: list[tuple[str, float, int, int]]) -> None:
        """Log at most `BATCH` rows of (key, value, time, step)."""
        ...

    def apply(self, run_id: str, record: Record) -> None:
        """Log any other record."""
        ...


@dataclass
class State:
    """How far a journal is replayed."""

    offset: int = 0
    run_id: str | None = None
    ended: bool = False
    last: int = 0
    parent: str | None = None
    skipped: list[str] = field(default_factory=list)
    restarts: int = 0


def state_path(journal: Path) -> Path:
    """The state of a journal."""
    return journal.with_suffix(".state.json")


def load_state(journal: Path) -> State:
    """How far a journal was replayed; the start for a new one."""
    try:
        return State(**json.loads(state_path(journal).read_text()))
    except (OSError, ValueError, TypeError):
        return State()


def save_state(journal: Path, state: State) -> None:
    """Write it so that a crash leaves the old or the new one. No fsync: after a power cut a few rows are repeated."""
    path = state_path(journal)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(state)))
    os.replace(temporary, path)


class Replay:
    """Replays all journals of a folder.

    Args:
        folder: the journals.
        connect: gives the store for a URI and an experiment; raises `Unreachable`.
    """

    def __init__(self, folder: Path, connect: Callable[[str, str], Store]) -> None:
        self.folder = folder
        self.connect = connect
        self.problems: dict[str, str] = {}
        self._settled: dict[Path, int] = {}

    def pending(self) -> list[Path]:
        """The journals with something to do: pipelines first, their runs are the others' parents; then by age."""
        return sorted((path for path in self.folder.glob("*.jsonl") if self._due(path)), key=_turn)

    def live(self) -> bool:
        """Whether some stage is writing a journal now."""
        return any(locked(writer_lock(path)) for path in self.folder.glob("*.jsonl") if path not in self._settled)

    def run(self, due: Callable[[Path], bool] = lambda path: True) -> None:
        """Replay whatever can be; `problems` tells, by URI, what could not, and why.

        Args:
            due: whether a journal's turn has come.
        """
        self.problems = {}
        for path in self.pending():
            if due(path):
                self._attempt(path)
        for path in self.pending():  # a killed stage has just been told to its pipeline's run
            if path.name.startswith(PIPELINE):
                self._attempt(path)

    def prune(self) -> None:
        """Delete what was replayed a month ago."""
        for path in self.folder.glob("*.jsonl"):
            if time.time() - path.stat().st_mtime > _KEEP_SECONDS and not self._due(path):
                for leftover in (path, state_path(path), writer_lock(path)):
                    leftover.unlink(missing_ok=True)
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)

    def _due(self, path: Path) -> bool:
        try:
            size = path.stat().st_size
        except OSError:
            return False
        if self._settled.get(path) == size:  # asked five times a second, for each journal of a month
            return False
        self._settled.pop(path, None)
        state = load_state(path)
        if state.offset < size or self._abandoned(path, state):
            return True
        if state.ended:
            self._settled[path] = size
        return False

    @staticmethod
    def _abandoned(path: Path, state: State) -> bool:
        """Its writer died without an end."""
        own = not path.name.startswith(PIPELINE)
        return own and state.run_id is not None and not state.ended and not locked(writer_lock(path))

    def _attempt(self, path: Path) -> None:
        first = next(read(path), None)
        if first is None or first[0]["do"] != "begin":
            return
        uri = first[0]["uri"]
        if uri in self.problems:
            return
        try:
            store = self.connect(uri, first[0]["experiment"])
            self._replay(path, store)
        except Unreachable as error:
            self.problems[uri] = str(error)
        except Gone:
            state = load_state(path)
            if state.restarts < 1:  # the store was deleted or replaced: the whole journal goes into the new one
                save_state(path, State(restarts=state.restarts + 1))
            else:
                save_state(path, State(path.stat().st_size, None, True, restarts=state.restarts))

    def _replay(self, path: Path, store: Store) -> None:
        state = load_state(path)
        for kind, records, offset in _groups(path, state.offset):
            if kind == "metrics":
                self._send_metrics(store, state, records)
            else:
                self._send(path, store, state, records[0])
            state.offset, state.last = offset, records[-1]["t"]
            save_state(path, state)
        if self._abandoned(path, state):
            self._send(path, store, state, {"do": "end", "t": state.last, "status": "KILLED"})
            save_state(path, state)
            self._end_parent(state)

    def _end_parent(self, state: State) -> None:
        """Tell the pipeline's run that its stage was killed."""
        if state.parent:
            with appending(self.folder / f"{state.parent}.jsonl") as parent:
                parent.append("end", t=state.last, status="KILLED")

    def _send(self, path: Path, store: Store, state: State, record: Record) -> None:
        try:
            if record["do"] == "begin":
                if state.parent != record.get("parent") and not state.ended:
                    self._end_parent(state)  # killed, and resumed by another pipeline before anybody noticed
                state.parent = record.get("parent")
                parent_run = load_state(self.folder / f"{state.parent}.jsonl").run_id if state.parent else None
                state.run_id = store.begin(path.stem, state.run_id, record, parent_run)
                state.ended = False
            elif state.run_id is not None:
                store.apply(state.run_id, record)
                state.ended = state.ended or record["do"] == "end"
        except Rejected as error:
            state.skipped.append(f"{record['do']}: {error}"[:500])
        if record["do"] in ("artifact", "image", "model"):
            self._drop(Path(record["path"]))

    def _send_metrics(self, store: Store, state: State, records: list[Record]) -> None:
        if state.run_id is None:
            return
        rows = [
            (name, float(value), record["t"], record["step"])
            for record in records
            for name, value in record["values"].items()
        ]
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            try:
                store.metrics(state.run_id, batch)
            except Rejected:
                for row in batch:
                    try:
                        store.metrics(state.run_id, [row])
                    except Rejected as error:
                        state.skipped.append(f"metric {row[0]}: {error}"[:500])

    def _drop(self, kept: Path) -> None:
        """Delete a copy that is uploaded, never a file outside of the journals."""
        if kept.is_relative_to(self.folder) and kept.parent != self.folder:
            shutil.rmtree(kept.parent, ignore_errors=True)


def _turn(path: Path) -> tuple[bool, int]:
    """Older first: an alias must end up on the newest model."""
    first = next(read(path), None)
    return not path.name.startswith(PIPELINE), first[0]["t"] if first else 0


def _groups(path: Path, offset: int) -> Iterator[tuple[str, list[Record], int]]:
    """Records from an offset on; neighbouring metrics come together, up to about a batch."""
    waiting: list[Record] = []
    rows = 0
    behind = offset
    for record, end in read(path, offset):
        if record["do"] == "metrics":
            if waiting and rows + len(record["values"]) > BATCH:
                yield "metrics", waiting, behind
                waiting, rows = [], 0
            waiting.append(record)
            rows += len(record["values"])
        else:
            if waiting:
                yield "metrics", waiting, behind
                waiting, rows = [], 0
            yield record["do"], [record], end
        behind = end
    if waiting:
        yield "metrics", waiting, behind
