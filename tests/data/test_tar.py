"""Headers against the standard library's, and whole tars that it reads."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest

from adaptgan.data.tar import LONGEST_NAME, TarWriter, header


@pytest.mark.parametrize("name", ["a", "latent-0000012.json", "x" * 90 + ".json", "k" * LONGEST_NAME])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 12345, 8**11 - 1])
def test_headers_are_those_of_tarfile(name: str, size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    assert header(name, size) == member.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")


def test_a_tar_that_tarfile_reads(tmp_path: Path) -> None:
    tar = TarWriter(tmp_path / "000000.tar")
    content = {f"{i}.txt": bytes([i]) * size for i, size in enumerate((0, 1, 512, 513, 3000))}
    offsets = {name: tar.add(name, data) for name, data in content.items()}
    shard = tar.close()
    data = (tmp_path / "000000.tar").read_bytes()
    assert (shard.bytes, shard.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert all(data[offsets[name] : offsets[name] + len(part)] == part for name, part in content.items())
    with tarfile.open(tmp_path / "000000.tar") as file:
        assert {member.name: file.extractfile(member).read() for member in file} == content  # type: ignore[union-attr]
