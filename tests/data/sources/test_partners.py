"""Paired images of a folder: in a second folder, side by side, or named in metadata.jsonl."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptgan.data.records import Record
from adaptgan.data.sources.base import Corrupt
from adaptgan.data.sources.folder import ImageFolder
from adaptgan.data.sources.shards import Shards
from adaptgan.errors import DataError


def save(path: Path, value: int = 0, size: tuple[int, int] = (6, 5), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value,) * 3).save(path)


def read(folder: Path, split: str = "train", **options: Any) -> list[Any]:
    return list(ImageFolder(str(folder), **options).records(split, 0))


def values(records: list[Record]) -> list[tuple[int, int]]:
    return [(int(one.image.flat[0]), int(one.paired.flat[0])) for one in records if one.paired is not None]


def test_a_second_folder_pairs_by_name(tmp_path: Path) -> None:
    for number, name in enumerate(["cat/a.png", "cat/b.png", "dog/a.png"]):
        save(tmp_path / "A" / name, number)
        save(tmp_path / "B" / name, 100 + number, mode="RGB")
    save(tmp_path / "B" / "dog" / "alone.png")  # has no partner, and is left alone
    records = read(tmp_path / "A", paired=str(tmp_path / "B"))
    assert values(records) == [(0, 100), (1, 101), (2, 102)]
    assert [one.label for one in records] == [0, 0, 1]
    assert records[0].image.shape == (5, 6) and records[0].paired.shape == (5, 6, 3)
    assert all("paired" not in one.provenance for one in records)


def test_the_ending_may_differ_unless_two_would_fit(tmp_path: Path) -> None:
    save(tmp_path / "A" / "x.png", 1)
    save(tmp_path / "B" / "x.bmp", 2)
    assert values(read(tmp_path / "A", paired=str(tmp_path / "B"))) == [(1, 2)]
    save(tmp_path / "B" / "x.pgm", 3)
    with pytest.raises(DataError, match=r"which is the pair of x.png, x.bmp and x.pgm"):
        read(tmp_path / "A", paired=str(tmp_path / "B"))
    save(tmp_path / "B" / "x.png", 4)  # the very name
    assert values(read(tmp_path / "A", paired=str(tmp_path / "B"))) == [(1, 4)]


def test_both_folders_may_be_divided(tmp_path: Path) -> None:
    for number, split in enumerate(["train", "test"]):
        save(tmp_path / "A" / split / "x.png", number)
        save(tmp_path / "B" / split / "x.png", 50 + number)
    assert values(read(tmp_path / "A", "test", paired=str(tmp_path / "B"))) == [(1, 51)]


def test_missing_partners_are_told_before_anything_is_read(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / "A" / f"{name}.png")
    save(tmp_path / "B" / "b.png")
    source = ImageFolder(str(tmp_path / "A"), paired=str(tmp_path / "B"))
    with pytest.raises(DataError, match=r"no pair of a.png and 1 more \(1 others have theirs\)"):
        source.records("train", 0)
    with pytest.raises(DataError, match=r"nowhere: there is no such folder"):
        read(tmp_path / "A", paired=str(tmp_path / "nowhere"))


def test_a_partner_that_cannot_be_read_is_corrupt(tmp_path: Path) -> None:
    for folder in "AB":
        save(tmp_path / folder / "a.png", 7)
        save(tmp_path / folder / "b.png", 8)
    (tmp_path / "B" / "a.png").write_bytes(b"no image")
    first, second = read(tmp_path / "A", paired=str(tmp_path / "B"))
    assert isinstance(first, Corrupt) and first.name.endswith("B/a.png")
    assert values([second]) == [(8, 8)]


@pytest.mark.parametrize(("direction", "expected"), [("AtoB", (10, 200)), ("BtoA", (200, 10))])
def test_side_by_side(tmp_path: Path, direction: str, expected: tuple[int, int]) -> None:
    both = np.full((4, 6, 3), 10, np.uint8)
    both[:, 3:] = 200
    Image.fromarray(both).save(tmp_path / "1.png")
    (record,) = read(tmp_path, side_by_side=True, direction=direction)
    assert record.image.shape == record.paired.shape == (4, 3, 3)
    assert np.unique(record.image).tolist() == [expected[0]] and np.unique(record.paired).tolist() == [expected[1]]


def test_an_odd_width_is_no_two_images(tmp_path: Path) -> None:
    save(tmp_path / "1.png", size=(7, 4))
    with pytest.raises(DataError, match=r"1.png: 7 pixels are an odd width"):
        read(tmp_path, side_by_side=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paired": "B", "side_by_side": True}, "in a second folder .* or in one file"),
        ({"paired": "B", "direction": "BtoA"}, "Exchange `folder` and `paired`"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ImageFolder("A", **options)


def listed(folder: Path, *lines: dict[str, Any]) -> Path:
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    return folder


def test_metadata_names_the_pair(tmp_path: Path) -> None:
    for number, name in enumerate(["x/1.png", "y/one.png", "2.png", "two.png"]):
        save(tmp_path / name, number)
    one = {"file_name": "x/1.png", "paired_file_name": "y/one.png", "caption": "hello"}
    two = {"file_name": "2.png", "paired_file_name": "two.png"}
    records = read(listed(tmp_path, one, two))
    assert values(records) == [(0, 1), (2, 3)] and records[0].annotations == {"caption": "hello"}
    with pytest.raises(DataError, match=r"2.png has no `paired_file_name`, others do"):
        read(listed(tmp_path, one, {"file_name": "2.png"}))
    with pytest.raises(DataError, match=r"names the paired images; leave `paired` and"):
        read(listed(tmp_path, one), side_by_side=True)
    for wrong, message in (
        ("../x.png", "outside of the folder"),
        ("/etc/x.png", "outside"),
        (5, "must be a file name"),
    ):
        with pytest.raises(DataError, match=message):
            read(listed(tmp_path, {**one, "paired_file_name": wrong}))


def png(value: int, mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (4, 4), value if mode == "L" else (value,) * 3).save(buffer, "PNG")
    return buffer.getvalue()


def tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def test_others_tars_may_hold_pairs(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", {"1.png": png(1), "1.paired.png": png(9, "RGB"), "2.paired.png": png(8), "2.png": png(2)})
    records: list[Any] = list(Shards(str(tmp_path)).records("train", 0))
    assert values(records) == [(1, 9), (2, 8)]
    tar(tmp_path / "a.tar", {"1.png": png(1), "1.paired.png": b"", "2.paired.png": png(8), "2.paired.bmp": png(8)})
    broken = list(Shards(str(tmp_path)).records("train", 0))
    assert [type(one) for one in broken] == [Corrupt, Corrupt] and "its paired image" in broken[0].name  # type: ignore[union-attr]
