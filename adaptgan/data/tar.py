"""A tar whose every byte follows from its members: no times, no owners."""

from __future__ import annotations

import functools
import hashlib
import os
import tarfile
from pathlib import Path

from adaptgan.data.manifest import Entry, Shard

BLOCK = tarfile.BLOCKSIZE

LONGEST_NAME = tarfile.LENGTH_NAME
"""A member's name may have so many characters."""

_SIZE, _SUM = slice(124, 135), slice(148, 154)
"""Where a USTAR header tells the member's size and its own checksum, in octal digits."""


class TarWriter:
    """A USTAR file that is written member by member.

    Args:
        path: the new file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("wb")
        self.records: list[Entry] = []
        self._hash = hashlib.sha256()
        self._size = 0

    def add(self, name: str, data: bytes) -> int:
        """Append a file; returns the offset of its first byte."""
        offset = self._size + BLOCK
        self._put(header(name, len(data)) + data + b"\0" * (-len(data) % BLOCK))
        return offset

    def close(self) -> Shard:
        """Finish the file; what the manifest says of it."""
        self._put(b"\0" * (2 * BLOCK))
        self._put(b"\0" * (-self._size % tarfile.RECORDSIZE))
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        shard = Shard(name=self.path.name, sha256=self._hash.hexdigest(), bytes=self._size, records=self.records)
        _ = shard.index  # now, while others work: the manifest waits for everything
        return shard

    def _put(self, data: bytes) -> None:
        self.file.write(data)
        self._hash.update(data)
        self._size += len(data)


def header(name: str, size: int) -> bytes:
    """A USTAR header as `tarfile` writes it for a file of mode 0644, time 0 and nobody's, five times as fast.

    Args:
        name: up to `LONGEST_NAME` ASCII characters.
        size: in bytes, under 8 GiB.
    """
    known = name.encode("ascii")
    digits = b"%011o" % size
    block = bytearray(_blank())
    block[: len(known)] = known
    block[_SIZE] = digits
    block[_SUM] = b"%06o" % (_blank_sum() + sum(known) + sum(digits))
    return bytes(block)


@functools.cache
def _blank() -> bytes:
    """The header of an empty file without a name."""
    member = tarfile.TarInfo("")
    member.mode = 0o644
    return member.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")


@functools.cache
def _blank_sum() -> int:
    """Its bytes' sum without the digits of the size; the checksum counts itself as blanks."""
    blank = bytearray(_blank())
    blank[_SIZE] = bytes(11)
    blank[148:156] = b" " * 8
    return sum(blank)
