from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptgan.data.shards import iter_records
from adaptgan.data.sources.base import Corrupt
from adaptgan.data.sources.shards import Shards
from adaptgan.errors import DataError


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (4, 4), value).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path: Path, members: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def read(folder: Path, **options: Any) -> tuple[Shards, list[Any]]:
    source = Shards(str(folder), **options)
    return source, list(source.records("train", 0))


def test_a_set_of_ours_is_read_whole(tiny_source: Path) -> None:
    source, records = read(tiny_source)
    assert source.classes == tuple("0123456789")
    for a, b in zip(records, iter_records(tiny_source), strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        assert (a.key, a.label, a.provenance) == (b.key, b.label, b.provenance)


def test_a_sealed_set_of_ours_stays_without_labels(tiny_target: Path) -> None:
    source, records = read(tiny_target)
    assert source.classes == () and {record.label for record in records} == {None}


def test_plain_tars_with_cls_files(tmp_path: Path) -> None:
    write_tar(tmp_path / "b.tar", [("dir/2.png", png(2)), ("dir/2.cls", b"0")])
    write_tar(
        tmp_path / "a.tar", [("dir/0.cls", b"2\n"), ("dir/0.png", png(0)), ("dir/1.png", png(1)), ("dir/1.cls", b"1")]
    )
    source, records = read(tmp_path)
    assert source.classes == ("0", "1", "2")
    assert [(r.key, r.label, int(r.image[0, 0])) for r in records] == [
        ("dir_0", 2, 0),
        ("dir_1", 1, 1),
        ("dir_2", 0, 2),
    ]
    assert records[0].provenance == {"file": "a.tar:dir/0"}


def test_plain_tars_with_json(tmp_path: Path) -> None:
    first = {"label": "dog", "boxes": [[0, 0, 1, 1]]}
    members = [
        ("0.json", json.dumps(first).encode()),
        ("0.png", png(0)),
        ("1.png", png(1)),
        ("1.json", b'{"label": "cat"}'),
    ]
    write_tar(tmp_path / "a.tar", members)
    source, records = read(tmp_path)
    assert source.classes == ("cat", "dog") and [r.label for r in records] == [1, 0]
    assert records[0].annotations == {"boxes": [[0, 0, 1, 1]]}
    assert read(tmp_path, classes=["dog", "cat"])[1][0].label == 0
    with pytest.raises(DataError, match="'cat' is not one of the classes"):
        read(tmp_path, classes=["dog", "cow"])


def test_unlabelled_and_corrupt(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", [("0.png", png(0)), ("1.png", b"junk"), ("2.txt", b"no image"), ("3.png", png(3))])
    source, records = read(tmp_path)
    assert source.classes == ()
    assert [item.name for item in records if isinstance(item, Corrupt)] == ["a.tar:1", "a.tar:2"]


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png"])
def test_members_that_point_outside_are_refused(tmp_path: Path, name: str) -> None:
    write_tar(tmp_path / "a.tar", [(name, png(0))])
    with pytest.raises(DataError, match="points outside"):
        read(tmp_path)


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read(tmp_path / "none")
    with pytest.raises(DataError, match=r"holds no \.tar"):
        read(tmp_path)
    (tmp_path / "a.tar").write_bytes(b"x" * 2000)
    with pytest.raises(DataError, match=r"a\.tar: this tar file is damaged"):
        read(tmp_path)
    with pytest.raises(DataError, match="no split 'test'"):
        Shards(str(tmp_path)).records("test", 0)
