"""Several processes that make one data set: each makes some of the batches, rank 0 puts all in order."""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from lightning_fabric import Fabric

from adaptgan.data.encoding import Encoded
from adaptgan.errors import AdaptganError, FailedElsewhere, Interrupted
from adaptgan.files import explain_os_error, scratch, write_atomic
from adaptgan.stages import stopping
from adaptgan.stages.overlap import Dropped
from adaptgan.stages.pieces import packed, unpacked

T = TypeVar("T")
Records = Sequence[tuple[Encoded, str]]
"""A batch, ready to be written, and why each record is rejected (empty when it is kept)."""

AHEAD = 16
"""Batches that a rank may be ahead of what rank 0 has put in order; they lie in the scratch folder."""

POLL, BEAT = 0.02, 2.0
"""Seconds between two looks for a file, and between two signs of life."""


class Ranks:
    """The processes of one torchrun (or just this one), and a folder that they share.

    A batch that rank 0 does not make itself comes to it as a file. There is no barrier: who waits looks for a file, for
    word of a failure, and for signs of life of the process it waits for, so that nobody waits for ever.

    Args:
        fabric: launched.
        patience: seconds without a sign of life, after which a process is held to be dead.

    Attributes:
        rank: of this process.
        size: how many there are.
    """

    def __init__(self, fabric: Fabric, patience: float = 300.0) -> None:
        self.rank, self.size, self.patience = fabric.global_rank, fabric.world_size, patience
        self._fabric = fabric
        self._folder = Path()
        self._signs: dict[int, tuple[str, float]] = {}
        self._given_up = threading.Event()

    @contextmanager
    def together(self) -> Iterator[Ranks]:
        """What fails in the block for one rank ends it for all: rank 0 says why, the others are quiet.

        SIGTERM and SIGINT are failures too.

        Raises:
            FailedElsewhere: on a rank that rank 0 speaks for.
            AdaptganError: on rank 0, with the reason; on any, when it is not heard.
            Interrupted: a signal came.
        """
        if self.size == 1:
            with stopping.stoppable("synthesize"):
                yield self
            return
        with _shared(self._fabric, self.rank) as folder, self._alive(folder):
            try:
                with stopping.stoppable("synthesize"):
                    yield self
                    self._finish()
            except BaseException as error:
                self._tell(error)
                if self.rank == 0 or not isinstance(error, AdaptganError | OSError):
                    raise
                if not isinstance(error, FailedElsewhere | Interrupted) and not self._heard():
                    raise
                raise FailedElsewhere("Another process of this run says why it ended.") from error

    def give_up(self) -> None:
        """Whoever waits for another rank, in any thread, shall stop."""
        self._given_up.set()

    def mine(self, items: Sequence[T]) -> Sequence[T]:
        """The items of this rank: every `size`-th."""
        return items[self.rank :: self.size]

    def check(self) -> None:
        """Look for a signal, and whether another rank has failed.

        Raises:
            AdaptganError: it has.
            Interrupted: a signal came.
        """
        stopping.check()
        if self.size == 1:
            return
        try:
            told = json.loads((self._folder / "failed").read_text())
        except FileNotFoundError:
            return
        error = AdaptganError(told["message"])
        error.exit_code = told["exit_code"]
        raise error

    def merged(self, own: Iterable[Records], count: int) -> Iterator[Records]:
        """On rank 0: all `count` batches in order, its own and those of the others."""
        turns = iter(own)
        for number in range(count):
            if number % self.size == 0:
                yield next(turns)
                continue
            path = self._piece(number)
            self._wait(path.exists, number % self.size)
            yield unpacked(path.read_bytes())
            path.unlink()

    def send(self, own: Iterable[Records]) -> None:
        """On another rank: hand all batches over to rank 0."""
        for turn, batch in enumerate(own):
            if turn >= AHEAD:
                self._wait_for_room(turn - AHEAD)
            if self._done():  # it has all that it wants
                return
            piece = self._piece(turn * self.size + self.rank)
            write_atomic(piece, packed(batch))
            if (self._folder / "failed").exists():  # rank 0 may have cleared up before this one was there
                piece.unlink(missing_ok=True)
                self.check()

    def _wait_for_room(self, turn: int) -> None:
        path = self._piece(turn * self.size + self.rank)
        self._wait(lambda: not path.exists() or self._done(), 0)

    def _piece(self, number: int) -> Path:
        return self._folder / f"{number:08d}.piece"

    def _done(self) -> bool:
        return (self._folder / "done").exists()

    def _finish(self) -> None:
        """Rank 0 has written everything; the others leave after it."""
        if self.rank:
            self._wait(self._done, 0)
            (self._folder / f"left-{self.rank}").touch()
            return
        write_atomic(self._folder / "done", "")
        for other in range(1, self.size):
            while not (self._folder / f"left-{other}").exists() and not self._silent(other):
                stopping.check()
                time.sleep(POLL)

    def _wait(self, ready: Any, peer: int) -> None:
        """Look until it is so, as long as the rank that it takes is alive.

        Raises:
            AdaptganError: a rank has failed, or that one is silent.
        """
        while not ready():
            self.check()
            if self._given_up.is_set():
                raise Dropped
            if self._silent(peer):
                raise AdaptganError(
                    f"process {peer} of {self.size} has given no sign of life for {self.patience:.0f} s. Run the same "
                    "command again. If the processes are on several machines, they need one scratch folder on a disk "
                    "that all of them see: set ADAPTGAN_SCRATCH."
                )
            time.sleep(POLL)

    def _silent(self, peer: int) -> bool:
        """Whether a rank's sign has not changed for too long; clocks of machines are not compared."""
        try:
            sign = (self._folder / f"alive-{peer}").read_text()
        except FileNotFoundError:
            sign = ""
        now = time.monotonic()
        seen, since = self._signs.get(peer, (None, now))
        if sign != seen:
            since = now
        self._signs[peer] = (sign, since)
        return now - since > self.patience

    @contextmanager
    def _alive(self, folder: Path) -> Iterator[None]:
        """Give signs of life while the block runs."""
        self._folder = folder
        sign, over = folder / f"alive-{self.rank}", threading.Event()

        def beat() -> None:
            count = 0
            while not over.wait(BEAT if count else 0):
                count += 1
                with suppress(OSError):  # a full disk is told of by those who write more than this
                    sign.write_text(str(count))

        thread = threading.Thread(target=beat, name="adaptgan-alive", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            with suppress(OSError):
                sign.unlink()

    def _tell(self, error: BaseException) -> None:
        """Leave word of a failure; the first counts."""
        if isinstance(error, FailedElsewhere):
            return
        message = explain_os_error(error) if isinstance(error, OSError) else None
        if message is None:
            message = str(error) if isinstance(error, AdaptganError) else f"{type(error).__name__}: {error}"
            if self.rank and not isinstance(error, AdaptganError):
                message = f"process {self.rank} of {self.size} failed: {message}"
        told = {"message": message, "exit_code": getattr(error, "exit_code", 1), "rank": self.rank}
        if not (self._folder / "failed").exists():
            with suppress(OSError):
                write_atomic(self._folder / "failed", json.dumps(told))

    def _heard(self) -> bool:
        """Wait until rank 0 has ended, having read what was told: its own end would cut it short."""
        end = time.monotonic() + min(self.patience, 60)
        while (self._folder / "alive-0").exists():
            if time.monotonic() > end:
                return False
            time.sleep(POLL)
        time.sleep(1)  # it prints now
        return True


@contextmanager
def _shared(fabric: Fabric, rank: int) -> Iterator[Path]:
    """A new folder in the scratch folder, the same for all ranks.

    After a failure, word of it stays there until the next run.
    """
    home = scratch() / "synthesize"
    with ExitStack() as held:
        folder = _new_folder(home, held) if rank == 0 else Path()
        folder = Path(fabric.broadcast(str(folder), src=0))
        if not folder.is_dir():
            raise AdaptganError(
                f"{folder}: this folder of process 0 cannot be seen by process {rank}. All processes need one scratch "
                "folder on a disk that they share: set ADAPTGAN_SCRATCH."
            )
        try:
            yield folder
        finally:
            if rank == 0:
                for path in folder.iterdir():
                    if path.name not in ("failed", "lock"):
                        path.unlink(missing_ok=True)
                if not (folder / "failed").exists():
                    shutil.rmtree(folder, ignore_errors=True)


def _new_folder(home: Path, held: ExitStack) -> Path:
    """A folder that is locked as long as `held` is; those of runs that are over are removed."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        for old in home.iterdir():
            if old.is_dir() and not _locked(old):
                shutil.rmtree(old, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(dir=home))
        fcntl.flock(held.enter_context((folder / "lock").open("w")), fcntl.LOCK_EX)
    return folder


def _locked(folder: Path) -> bool:
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
