"""The replayer: one low-priority process per project that carries journals to MLflow.

It is started by the first stage that has something to track, serves the stages that follow, and leaves when nobody
has written for a while. Its own process, not a thread: importing MLflow takes seconds of Python that would take turns
with the training loop, and a stage can end without waiting for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from adaptgan.tracking.journal import journal_folder, locked, read, try_lock
from adaptgan.tracking.replay import Replay, Store, Unreachable, load_state

IDLE_SECONDS = 30.0
"""How long it stays when there is nothing to do: longer than the gaps between stages."""

_POLL_SECONDS = 0.2
_RETRY_SECONDS = (1.0, 30.0)
_LOCK = "replayer.pid"
_STATUS = "replayer.json"


def ensure_replayer(prepare: tuple[str, str] | None = None) -> None:
    """Start the replayer unless it runs.

    Args:
        prepare: a URI and an experiment to make ready before there is anything to replay; making a new database takes
            MLflow some seconds.
    """
    folder = journal_folder()
    folder.mkdir(parents=True, exist_ok=True)
    if locked(folder / _LOCK):
        return
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    environment.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    environment.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):  # one of several training processes starts it; it is none of them
        environment.pop(name, None)
    command = [sys.executable, "-m", "adaptgan.tracking.replayer", str(folder), *(prepare or ())]
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    os.posix_spawn(
        sys.executable,
        command,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(folder / "replayer.log"), append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,  # Ctrl-C stops the stage; what it tracked still arrives
    )


def wait_for(run_id: str, size: int, patience: float) -> str:
    """Give the replayer a moment to finish a journal.

    Args:
        run_id: the journal's id.
        size: how much of it must be replayed.
        patience: seconds to wait at most.

    Returns:
        What to tell a person when the store is away, else nothing: a replayer that is only slow goes on by itself.
    """
    folder = journal_folder()
    journal = folder / f"{run_id}.jsonl"
    (folder / "wake").touch()
    deadline = time.monotonic() + patience
    while True:
        if load_state(journal).offset >= size:
            return ""
        problem = _problem(folder, journal)
        if problem or time.monotonic() >= deadline:
            break
        time.sleep(0.02)
    if not problem:
        return ""
    return (
        f"the MLflow store cannot be used now ({problem}). Nothing is lost: what was tracked waits in {folder} and is "
        "replayed by the next stage that can reach the store."
    )


def _problem(folder: Path, journal: Path) -> str:
    """What the replayer says of this journal's store."""
    try:
        problems = json.loads((folder / _STATUS).read_text())["problems"]
        begin, _ = next(read(journal))
    except (OSError, ValueError, KeyError, StopIteration):
        return ""
    return str(problems.get(begin.get("uri"), ""))


def serve(folder: Path, prepare: tuple[str, str] | None = None, idle: float = IDLE_SECONDS) -> None:
    """Replay until nothing happens any more.

    Args:
        folder: the journals.
        prepare: a store to make ready first.
        idle: seconds without work or writers before it ends.
    """
    lock = try_lock(folder / _LOCK, patience=0.5)
    if lock is None:
        return
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    os.nice(10)
    (folder / _STATUS).unlink(missing_ok=True)
    stores: dict[tuple[str, str], Store] = {}

    def connect(uri: str, experiment: str) -> Store:
        try:
            from adaptgan.tracking.store import MlflowStore
        except ImportError as error:
            raise Unreachable(f"MLflow cannot be imported: {error}") from error
        if (uri, experiment) not in stores:
            stores[uri, experiment] = MlflowStore(uri, experiment)
        return stores[uri, experiment]

    replay = Replay(folder, connect)
    if prepare:
        with contextlib.suppress(Unreachable):
            connect(*prepare)
    _loop(replay, idle)
    replay.prune()
    (folder / _STATUS).unlink(missing_ok=True)
    os.close(lock)


def _loop(replay: Replay, idle: float) -> None:
    last_work = time.monotonic()
    flushed: dict[Path, float] = {}
    woken, retry_at, delay = 0.0, 0.0, _RETRY_SECONDS[0]
    told: dict[str, str] | None = None
    while replay.folder.is_dir():
        now = time.monotonic()
        wake = _mtime(replay.folder / "wake")
        pending = [
            path for path in replay.pending() if wake > woken or now - flushed.get(path, -1e9) >= _flush_seconds(path)
        ]
        if pending and (now >= retry_at or wake > woken):
            woken = wake
            replay.run(lambda path: path in pending)  # noqa: B023 - used at once
            flushed |= dict.fromkeys(pending, now)
            if replay.problems:
                retry_at, delay = time.monotonic() + delay, min(2 * delay, _RETRY_SECONDS[1])
            else:
                last_work, retry_at, delay = time.monotonic(), 0.0, _RETRY_SECONDS[0]
            if replay.problems != told:
                told = replay.problems
                _write_status(replay.folder, told)
        elif replay.live():
            last_work = now
        elif now - last_work >= idle and (replay.problems or not replay.pending()):
            return  # what waits for its flush is not left behind; what waits for an absent store is
        time.sleep(_POLL_SECONDS)


def _flush_seconds(path: Path) -> float:
    first = next(read(path), None)
    return float(first[0].get("flush", 10.0)) if first else 10.0


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _write_status(folder: Path, problems: dict[str, str]) -> None:
    temporary = folder / f"{_STATUS}.tmp"
    temporary.write_text(json.dumps({"problems": problems}))
    os.replace(temporary, folder / _STATUS)


def main(arguments: list[str]) -> None:
    """`python -m adaptgan.tracking.replayer FOLDER [URI EXPERIMENT]`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    idle = float(os.environ.get("ADAPTGAN_REPLAYER_IDLE", IDLE_SECONDS))
    serve(Path(arguments[0]), (arguments[1], arguments[2]) if len(arguments) == 3 else None, idle)


if __name__ == "__main__":
    main(sys.argv[1:])
