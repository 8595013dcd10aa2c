from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.manifest import Manifest
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardReader, ShardWriter, iter_records
from adaptgan.errors import DataError, SealedLabelsError


def records(count: int = 7) -> list[Record]:
    rng = np.random.default_rng(0)
    return [
        Record(
            f"r{i}", rng.integers(0, 256, (6, 5), np.uint8), i % 3, {"boxes": [[i, 0, 1, 2]]}, {"n": i / 2, "who": "ü"}
        )
        for i in range(count)
    ]


def write(folder: Path, items: list[Record], **options: Any) -> Path:
    folder.mkdir(parents=True)
    with ShardWriter(folder, ["a", "b", "c"], **{"shard_size": 3, **options}) as writer:
        for item in items:
            writer.write(item)
    return folder


def test_round_trip(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", records(), origin={"from": "here"})
    for read, written in zip(iter_records(folder), records(), strict=True):
        np.testing.assert_array_equal(read.image, written.image)
        assert (read.key, read.label, read.annotations, read.provenance) == (
            written.key,
            written.label,
            written.annotations,
            written.provenance,
        )
    manifest = Manifest.read(folder)
    assert [len(shard.records) for shard in manifest.shards] == [3, 3, 1]
    assert manifest.origin == {"from": "here"} and manifest.count == 7 and manifest.labels == "open"
    assert ShardReader(folder).record(5).key == "r5"


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", records()), write(tmp_path / "b", records())
    names = sorted(path.name for path in first.iterdir())
    assert names == ["000000.tar", "000001.tar", "000002.tar", "README.md", "manifest.json"]
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_tars_are_plain_ustar_and_the_index_points_into_them(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", records())
    for shard in Manifest.read(folder).shards:
        data = (folder / shard.name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == shard.sha256 and len(data) == shard.bytes
        assert data[257:263] == b"ustar\0"
        with tarfile.open(folder / shard.name) as archive:
            members = {member.name: member for member in archive}
            for key, png, png_size, text, text_size in shard.records:
                assert archive.extractfile(f"{key}.png").read() == data[png : png + png_size]  # type: ignore[union-attr]
                assert json.loads(data[text : text + text_size])["provenance"]["who"] == "ü"
            assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members.values()} == {
                (0, 0, 0, "", "", 0o644)
            }


def test_digest_follows_contents_and_classes_not_origin(tmp_path: Path) -> None:
    base = Manifest.read(write(tmp_path / "a", records())).digest
    assert Manifest.read(write(tmp_path / "b", records(), origin={"x": 1})).digest == base
    changed = records()
    changed[0].image[0, 0] ^= 1
    assert Manifest.read(write(tmp_path / "c", changed)).digest != base
    relabelled = records()
    relabelled[0].label = 2
    assert Manifest.read(write(tmp_path / "d", relabelled)).digest != base


def test_sealed_records_open_only_to_evaluation_and_the_oracle(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", records(), labels="sealed")
    shut = list(iter_records(folder))
    assert {record.label for record in shut} == {None}
    assert all(not record.annotations and not record.provenance for record in shut)
    for who in ("oracle", "evaluate"):
        assert [record.label for record in iter_records(folder, unseal=who)] == [i % 3 for i in range(7)]  # type: ignore[arg-type]
    with pytest.raises(SealedLabelsError, match="'train'"):
        iter_records(folder, unseal="train")  # type: ignore[arg-type]


def test_sealing_what_has_no_labels_says_none(tmp_path: Path) -> None:
    bare = [Record(item.key, item.image) for item in records()]
    folder = write(tmp_path / "d", bare, labels="sealed")
    assert Manifest.read(folder).labels == "none"


def test_an_empty_set_can_be_written_and_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", [])
    assert list(iter_records(folder)) == [] and Manifest.read(folder).count == 0
    with pytest.raises(DataError, match="empty"):
        Manifest.read(folder).info(folder)


def bad(**changes: Any) -> Callable[[], Record]:
    return lambda: Record(**{"key": "new", "image": np.zeros((6, 5), np.uint8), "label": 0, **changes})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (bad(key="../evil"), "letters, digits"),
        (bad(key="a/b"), "letters, digits"),
        (bad(key="a.b"), "letters, digits"),
        (bad(key=""), "letters, digits"),
        (bad(key="x" * 91), "1 to 90"),
        (bad(key="r0"), "two records have the key 'r0'"),
        (bad(image=np.zeros((6, 6), np.uint8)), "new is 6x6 L, r0 is 6x5 L"),
        (bad(image=np.zeros((6, 5, 3), np.uint8)), "new is 6x5 RGB, r0 is 6x5 L"),
        (bad(image=np.zeros((6, 5), np.float32)), "float32"),
        (bad(label=3), "label 3 is not one of the 3 classes"),
        (bad(label=-1), "label -1"),
        (bad(label=None), "r0 has a label and new has none"),
    ],
)
def test_records_that_do_not_fit_are_refused(tmp_path: Path, make: Callable[[], Record], message: str) -> None:
    with pytest.raises(DataError, match=message):
        write(tmp_path / "d", [*records(2), make()])
    assert not (tmp_path / "d" / "manifest.json").exists()


def damage(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    tree = json.loads((folder / "manifest.json").read_text())
    change(tree)
    (folder / "manifest.json").write_text(json.dumps(tree))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["shards"][0].update(name="../../etc/x.tar"), "shards.0.name"),
        (lambda t: t["shards"][0].update(name="/etc/000000.tar"), "shards.0.name"),
        (lambda t: t["shards"][0]["records"][0].__setitem__(0, "../../x"), "letters, digits"),
        (lambda t: t["shards"][0]["records"][0].__setitem__(1, 10**9), "outside of 000000.tar"),
        (lambda t: t["shards"][0]["records"][0].__setitem__(1, -5), "outside of 000000.tar"),
        (lambda t: t["shards"][0]["records"][0].__setitem__(0, "r1"), "same key"),
        (lambda t: t.update(count=9), "count says 9"),
        (lambda t: t.update(schema_version=2), "expected schema_version 1, found 2"),
        (lambda t: t.update(surprise=1), "surprise"),
        (lambda t: t.update(image=None), "no image format"),
    ],
)
def test_a_tampered_manifest_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str) -> None:
    folder = write(tmp_path / "d", records())
    damage(folder, change)
    with pytest.raises(DataError, match=message):
        ShardReader(folder)


def test_damaged_and_missing_shards_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", records())
    data = bytearray((folder / "000001.tar").read_bytes())
    data[1600] ^= 1
    (folder / "000001.tar").write_bytes(data)
    with pytest.raises(DataError, match=r"000001\.tar: this shard is damaged"):
        list(iter_records(folder))
    (folder / "000001.tar").unlink()
    with pytest.raises(DataError, match=r"000001\.tar: this shard is missing"):
        list(iter_records(folder))
    with pytest.raises(DataError, match=r"000001\.tar: this shard is missing"):
        ShardReader(folder).record(3)


def test_no_data_set_and_broken_json(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no manifest\.json"):
        Manifest.read(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        Manifest.read(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(DataError, match="schema_version"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("truth", ["values", "mask"])
def test_values_and_masks_are_sealed_without_a_label_too(tmp_path: Path, truth: str) -> None:
    image = np.zeros((2, 3), np.uint8)
    mask = {"size": [2, 3], "classes": ["no", "yes"], "counts": [[1, 5]]}
    notes = {"values": {"values": {"yaw": 0.5}}, "mask": {"mask": mask}}[truth]
    for name, labels in (("open", "open"), ("shut", "sealed")):
        (tmp_path / name).mkdir()
        with ShardWriter(tmp_path / name, (), labels) as writer:  # type: ignore[arg-type]
            writer.write(Record("r", image, None, notes, {"file": "a"}))
    task: Any = {"values": "regression", "mask": "segmentation"}[truth]
    assert next(iter_records(tmp_path / "open")).annotations == notes
    assert ShardDataset(tmp_path / "open").manifest.labels == "none"
    assert len(ShardDataset(tmp_path / "open").targets(task)) == 1
    sealed = next(iter_records(tmp_path / "shut"))
    assert (sealed.annotations, sealed.provenance) == ({}, {})
    assert next(iter_records(tmp_path / "shut", unseal="oracle")).annotations == notes
    with pytest.raises(SealedLabelsError):
        ShardDataset(tmp_path / "shut").targets(task)
    assert ShardDataset(tmp_path / "shut", unseal="evaluate").targets(task).any()
