"""Checkpoints that survive a kill, a power cut and a full disk.

A checkpoint is written beside its place, synced, renamed, and only then pointed at; the one before stays until the
new one is safe. A damaged newest falls back to the one before, and says so.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from adaptgan.errors import AdaptganWarning, RunLockedError
from adaptgan.files import write_atomic


class CheckpointWarning(AdaptganWarning):
    """A checkpoint was damaged and an older one is used."""


class Checkpoints:
    """The checkpoints of one run, newest last.

    Args:
        folder: where they are; the run's own.
        keep: how many to keep, at least 2.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = max(2, keep)

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write a checkpoint of tensors, numbers, strings, lists and dicts; then forget the oldest."""
        self.folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        path = self.folder / f"step-{step:09d}.pt"
        write_atomic(path, content)
        write_atomic(path.with_suffix(".sha256"), hashlib.sha256(content).hexdigest())
        write_atomic(self.folder / "latest", path.name)
        for old in self._found()[: -self.keep]:
            old.unlink()
            old.with_suffix(".sha256").unlink(missing_ok=True)
        return path

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The newest intact checkpoint, or None; a damaged one is warned about and skipped."""
        for path in reversed(self._found()):
            content = path.read_bytes()
            try:
                expected = path.with_suffix(".sha256").read_text()
            except FileNotFoundError:
                continue  # the process died between the two writes: the checkpoint was never published
            if hashlib.sha256(content).hexdigest() != expected:
                warnings.warn(
                    f"{path} is damaged; going back to the checkpoint before.", CheckpointWarning, stacklevel=2
                )
                continue
            state: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
            return state
        return None

    def newest(self) -> Path | None:
        """The path of the newest published checkpoint."""
        found = self._found()
        return found[-1] if found else None

    def _found(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if re.fullmatch(r"step-\d{9}\.pt", path.name))


@contextmanager
def exclusive(folder: Path, what: str) -> Iterator[None]:
    """Hold a run's folder for this process alone; the lock goes with the process, however it ends.

    Raises:
        RunLockedError: another process holds it; raised at once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise RunLockedError(
                f"{what} is being trained by {holder} already. Wait for it, or stop it (it checkpoints on SIGTERM), "
                f"then run this again to go on from there. Lock: {path}"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield
