"""Records that are encoded elsewhere, against those that the writer encodes itself."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adaptgan.data.encoding import encode
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter
from adaptgan.errors import DataError
from adaptgan.stages.pieces import packed, unpacked


def record(i: int, paired: bool = False, colour: bool = True) -> Record:
    generator = np.random.default_rng(i)
    image = generator.integers(0, 256, (5, 6, 3) if colour else (5, 6), np.uint8)
    other = generator.integers(0, 256, (5, 6), np.uint8) if paired else None
    annotations = {"boxes": [[0, 1, 2.5, 3]], "caption": "größer\n„so“"}
    return Record(f"r-{i}", image, i % 3, annotations, {"font": "a", "n": i}, other)


def test_what_is_encoded() -> None:
    one = record(4, paired=True)
    found = encode(one)
    assert one.paired is not None
    assert np.array_equal(np.array(Image.open(io.BytesIO(found.png))), one.image)
    assert np.array_equal(np.array(Image.open(io.BytesIO(found.paired_png))), one.paired)
    assert json.loads(found.text) == {"label": 1, "annotations": one.annotations, "provenance": one.provenance}
    assert found.text == json.dumps(found.content, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    assert found.provenance == one.provenance and not found.sealed
    assert json.loads(encode(one, seal=True).text) == {"sealed": found.content} and encode(one, seal=True).sealed


@pytest.mark.parametrize("paired", [False, True])
def test_the_bytes_are_the_same_wherever_it_was_encoded(paired: bool, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with ShardWriter(tmp_path / name, ["x", "y", "z"], shard_size=3) as writer:
            for i in range(7):
                writer.write(record(i, paired)) if name == "a" else writer.write_encoded(encode(record(i, paired)))
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["000000.tar", "000001.tar", "000002.tar", "README.md", "manifest.json"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def test_pictures_that_are_none() -> None:
    with pytest.raises(DataError, match="uint8 image"):
        encode(Record("a", np.zeros((4, 4), np.float32)))


def test_a_batch_on_its_way_to_another_process() -> None:
    batch = [(encode(record(i, colour=i % 2 == 0)), "too dark – „so“" if i % 3 else "") for i in range(5)]
    assert unpacked(packed(batch)) == batch
    assert unpacked(packed([])) == []
