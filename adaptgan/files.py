"""Files that are either whole or absent: staged folders, atomic writes, digests, and the scratch folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adaptgan.errors import AdaptganError


def scratch() -> Path:
    """The folder for checkpoints, caches and journals: `$ADAPTGAN_SCRATCH`, or `.adaptgan` here. Never a DVC output."""
    return Path(os.environ.get("ADAPTGAN_SCRATCH") or ".adaptgan").absolute()


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Give a new folder beside `out` to fill; it replaces `out` at the end, or vanishes on an error."""
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.parent / f".{out.name}.{os.getpid()}.tmp"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    old = out.parent / f".{out.name}.{os.getpid()}.old"
    try:
        yield folder
        if out.exists():
            out.rename(old)
        folder.rename(out)
    finally:
        if old.exists() and not out.exists():  # stopped between the two
            old.rename(out)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader, or a power cut, sees the old or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, keys in their given order."""
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        AdaptganError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise AdaptganError(
            f"{path}: there is no such file. Run the stage that makes it first (`dvc repro`)."
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise AdaptganError(f"{path}: this is not valid JSON ({error}). Delete it and run `dvc repro`.") from None


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(*parts: Any) -> str:
    """A SHA-256 over plain data, the same for equal values whatever the order of their keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def explain_os_error(error: OSError) -> str | None:
    """What to tell a person about an operating-system error they can act on, or None."""
    place = error.filename or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        folder = Path(str(place)).parent if error.filename else Path.cwd()
        return (
            f"The disk is full: writing {place} failed. Nothing finished was lost; free some space "
            f"(`df -h {folder}`) and run the same command again to go on from the last checkpoint."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{place}: {error.strerror}. Check who owns it and that the folder can be written."
    return None
