"""Records with a paired image, from the tar to the batch."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adaptgan import load_dataset
from adaptgan.data.batch import Side
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.loader import Loader
from adaptgan.data.manifest import Manifest
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardReader, ShardWriter, iter_records
from adaptgan.errors import DataError, ParamsError


def records(count: int = 7) -> list[Record]:
    """Grey images and colour pairs that tell which record they are of."""
    draw = np.random.default_rng(0)
    made = []
    for i in range(count):
        image, other = draw.integers(0, 256, (6, 5), np.uint8), draw.integers(0, 256, (6, 5, 3), np.uint8)
        image[0, 0] = other[0, 0, 1] = i
        made.append(Record(f"r{i}", image, i % 3, {"boxes": [[i, 0, 1, 2]]}, {"n": i}, other))
    return made


def write(folder: Path, items: list[Record], **options: Any) -> Path:
    folder.mkdir(parents=True)
    with ShardWriter(folder, ["a", "b", "c"], **{"shard_size": 3, **options}) as writer:
        for item in items:
            writer.write(item)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "pairs", records())


# The folder


def test_round_trip(folder: Path) -> None:
    reader = ShardReader(folder)
    for number, (read, written) in enumerate(zip(iter_records(folder), records(), strict=True)):
        for one in (read, reader.record(number)):
            np.testing.assert_array_equal(one.image, written.image)
            np.testing.assert_array_equal(one.paired, written.paired)
            assert (one.key, one.label) == (written.key, written.label)
            assert (one.annotations, one.provenance) == (written.annotations, written.provenance)
    manifest = Manifest.read(folder)
    assert manifest.paired is not None and manifest.paired.mode == "RGB" and manifest.image.mode == "L"  # type: ignore[union-attr]
    assert (manifest.info(folder).channels, manifest.info(folder).paired) == (1, 3)


def test_only_what_is_asked_for_is_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    real = __import__("adaptgan.data.shards", fromlist=["_"]).decode_png
    monkeypatch.setattr("adaptgan.data.shards.decode_png", lambda data, name: decoded.append(name) or real(data, name))
    assert [key for key, _ in ShardReader(folder).images()] == [f"r{i}" for i in range(7)]
    assert len(decoded) == 7 and not any("paired" in name for name in decoded)
    for (_, image), record in zip(ShardReader(folder).images(paired=True), records(), strict=True):
        np.testing.assert_array_equal(image, record.paired)
    assert len(decoded) == 14


def test_the_tar_holds_neighbours_of_one_name_and_the_index_points_to_them(folder: Path) -> None:
    for shard in Manifest.read(folder).shards:
        data = (folder / shard.name).read_bytes()
        with tarfile.open(folder / shard.name) as archive:
            names = archive.getnames()
            wanted = [[f"{key}.json", f"{key}.png", f"{key}.paired.png"] for key, *_ in shard.records]
            assert names == [name for group in wanted for name in group]
            for entry in shard.records:
                assert len(entry) == 7
                member = archive.extractfile(f"{entry[0]}.paired.png")
                assert member is not None and member.read() == data[entry[5] : entry[5] + entry[6]]


def test_writing_twice_gives_the_same_bytes_and_the_digest_follows_the_pair(folder: Path, tmp_path: Path) -> None:
    again = write(tmp_path / "again", records())
    for path in folder.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()
    other = records()
    other[4].paired[5, 4, 2] ^= 1  # type: ignore[index]
    assert Manifest.read(write(tmp_path / "other", other)).digest != Manifest.read(folder).digest


def test_the_card_tells_of_pairs(folder: Path, tmp_path: Path) -> None:
    assert "`<key>.paired.png` (RGB)" in (folder / "README.md").read_text()
    bare = write(tmp_path / "bare", [Record(one.key, one.image, one.label) for one in records()])
    assert "paired" not in (bare / "README.md").read_text()
    assert "paired" not in (bare / "manifest.json").read_text()


OLD = """{
 "schema_version": 1,
 "count": 3,
 "classes": ["a", "ü"],
 "image": {"height": 4, "width": 5, "mode": "L"},
 "labels": "open",
 "origin": {"from": "here"},
 "shards": [
  {"name": "000000.tar", "sha256": "31f2ccc5d960231db26d302632aaa40ca291fae09e3306c95e84e492b8e595d7", "bytes": 10240, "records": [
   ["r0", 1536, 79, 512, 37],
   ["r1", 3584, 80, 2560, 37]
  ]},
  {"name": "000001.tar", "sha256": "0df166b254be0e2d8e64ebca31e57b3534f221df7357fe503ceaa9e3a8404d59", "bytes": 10240, "records": [
   ["r2", 1536, 82, 512, 37]
  ]}
 ]
}
"""  # noqa: E501 - as written before there were pairs


def test_a_manifest_from_before_there_were_pairs_is_read_and_written_the_same(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(OLD, encoding="utf-8")
    manifest = Manifest.read(tmp_path)
    assert manifest.paired is None and manifest.info(tmp_path).paired == 0
    assert manifest.digest == "1e551d70321db939b91257773b7c59c74187c1259edd7b8a3a1885007eada2e1"
    manifest.write(tmp_path)
    assert (tmp_path / "manifest.json").read_text(encoding="utf-8") == OLD


def changed(number: int = 6, **changes: Any) -> list[Record]:
    """All records, of which one is another."""
    made = records()
    for name, value in changes.items():
        setattr(made[number], name, value)
    return made


GREY, SMALL = np.zeros((6, 5), np.uint8), np.zeros((3, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (changed(paired=None), "paired image of r6 is none, that of r0 is 6x5 RGB"),
        (changed(0, paired=None), "paired image of r1 is 6x5 RGB, that of r0 is none"),
        (changed(paired=GREY), "paired image of r6 is 6x5 L, that of r0 is 6x5 RGB"),
        (changed(paired=SMALL), "r6 is 6x5 L, its paired image 3x5 RGB; both must have the same"),
        (changed(0, paired=SMALL), "r0 is 6x5 L, its paired image 3x5 RGB"),
        (changed(paired=np.zeros((6, 5, 3), np.float32)), "float32"),
        (changed(key="k" * 90), "longer than the 89 characters"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(tmp_path: Path, items: list[Record], message: str) -> None:
    with pytest.raises(DataError, match=message):
        write(tmp_path / "d", items)
    assert not (tmp_path / "d" / "manifest.json").exists()


def test_the_longest_key_fits_into_the_tar(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", changed(key="k" * 89))
    np.testing.assert_array_equal(ShardReader(folder).record(6).paired, records()[6].paired)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree["shards"][1]["records"][0].__delitem__(slice(5, 7)), "all records have a paired image"),
        (lambda tree: tree.pop("paired"), "all records have a paired image"),
        (lambda tree: tree["shards"][1]["records"][0].pop(), "shards.1.records.0"),
        (lambda tree: tree["shards"][1]["records"][0].__setitem__(5, 10**9), "outside of 000001.tar"),
        (lambda tree: tree["shards"][1]["records"][0].__setitem__(6, 10**9), "outside of 000001.tar"),
        (lambda tree: tree["shards"][1]["records"][0].__setitem__(5, -1), "outside of 000001.tar"),
        (lambda tree: tree["paired"].update(mode="CMYK"), "paired.mode"),
    ],
)
def test_a_damaged_index_is_refused(folder: Path, change: Callable[[Any], object], message: str) -> None:
    tree = json.loads((folder / "manifest.json").read_text())
    change(tree)
    (folder / "manifest.json").write_text(json.dumps(tree))
    with pytest.raises(DataError, match=message):
        ShardReader(folder)


def test_an_index_that_points_to_other_bytes_names_the_pair(folder: Path) -> None:
    tree = json.loads((folder / "manifest.json").read_text())
    tree["shards"][0]["records"][1][5] += 3
    (folder / "manifest.json").write_text(json.dumps(tree))
    with pytest.raises(DataError, match="r1, its paired image: this is not a PNG"):
        ShardReader(folder).record(1)
    with pytest.raises(DataError, match="r1, its paired image"):
        _ = ShardDataset(folder).paired_NCHW


def test_a_seal_closes_labels_not_pairs(tmp_path: Path) -> None:
    sealed = write(tmp_path / "d", records(), labels="sealed")
    read = list(iter_records(sealed))
    assert {one.label for one in read} == {None} and not any(one.provenance for one in read)
    np.testing.assert_array_equal(ShardDataset(sealed).paired_NCHW[3], np.moveaxis(records()[3].paired, 2, 0))  # type: ignore[arg-type]


# Others who read it


@pytest.mark.parametrize("promised", [True, False])
def test_hugging_face_datasets(folder: Path, tmp_path: Path, promised: bool) -> None:
    if not promised:  # what it makes of the tars by itself
        (folder / "README.md").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import datasets

        datasets.disable_progress_bars()
        loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == 7
    for row, record in zip(loaded, records(), strict=True):
        assert row["__key__"] == record.key and row["json"]["label"] == record.label
        np.testing.assert_array_equal(np.asarray(row["png"]), record.image)
        np.testing.assert_array_equal(np.asarray(row["paired.png"]), record.paired)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves the tar open
def test_webdataset(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import webdataset

        urls = sorted(str(path) for path in folder.glob("*.tar"))
        samples = list(webdataset.WebDataset(urls, shardshuffle=False))
        tuples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil").to_tuple("png", "paired.png"))
    assert len(samples) == 7
    for sample, (image, other), record in zip(samples, tuples, records(), strict=True):
        assert sample["__key__"] == record.key
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(sample["paired.png"]))), record.paired)
        np.testing.assert_array_equal(np.asarray(image.convert("L")), record.image)
        np.testing.assert_array_equal(np.asarray(other), record.paired)


# The data set


def test_decoded_once_beside_the_images(folder: Path, scratch_folder: Path) -> None:
    data = ShardDataset(folder)
    assert data.images_NCHW.shape == (7, 1, 6, 5) and data.paired_NCHW.shape == (7, 3, 6, 5)
    for number, record in enumerate(records()):
        np.testing.assert_array_equal(data.images_NCHW[number, 0], record.image)
        np.testing.assert_array_equal(data.paired_NCHW[number], np.moveaxis(record.paired, 2, 0))  # type: ignore[arg-type]
    names = sorted(path.name for path in (scratch_folder / "cache").glob("*.npy"))
    assert names == sorted([f"{data.digest}.npy", f"{data.digest}-paired.npy"])
    sent = pickle.loads(pickle.dumps(data))  # what a worker gets
    assert not {"images_NCHW", "paired_NCHW"} & sent.__dict__.keys()
    np.testing.assert_array_equal(sent.paired_NCHW, data.paired_NCHW)


def test_a_data_set_without_pairs_says_how_to_get_some(tiny_source: Path) -> None:
    with pytest.raises(DataError, match=r"has no paired images.*side_by_side"):
        _ = load_dataset(tiny_source).paired_NCHW


# The loader


@pytest.fixture
def make(folder: Path) -> Iterator[Any]:
    made: list[Loader] = []
    data = ShardDataset(folder)

    def build(**options: Any) -> Loader:
        made.append(Loader(data, **{"batch_size": 4, "seed": 0, "device": "cpu", "pairs": True, **options}))
        return made[-1]

    yield build
    for loader in made:
        loader.close()


def equal(one: Side, other: Side) -> bool:
    names = ("images_NCHW", "labels_N", "seeds_N", "paired_NCHW")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in names)


def test_a_batch_holds_every_image_beside_its_own_pair(make: Any) -> None:
    side = make(batch_size=7).batch(3)
    numbers = ((side.images_NCHW[:, 0, 0, 0] + 1) * 127.5).round().long().tolist()
    assert sorted(numbers) == list(range(7))
    expected = np.stack([np.moveaxis(records()[i].paired, 2, 0) for i in numbers])  # type: ignore[arg-type]
    assert side.paired.shape == (7, 3, 6, 5) and side.paired.dtype == torch.float32
    np.testing.assert_allclose(side.paired.numpy(), expected / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize("workers", [0, 2])
def test_device_and_stream_give_bit_equal_pairs_in_any_order(make: Any, workers: int) -> None:
    device, stream = make(loading="device"), make(loading="stream", workers=workers)
    assert (device.loading, stream.loading) == ("device", "stream")
    for number in (0, 1, 2, 9, 7, 7, 0, 1000):
        assert equal(stream.batch(number), device.batch(number)), number


@pytest.mark.parametrize("loading", ["device", "stream"])
def test_rank_slices_concatenate_to_the_one_rank_batch(make: Any, loading: str) -> None:
    whole = make(loading=loading, workers=0)
    ranks = [make(loading=loading, workers=0, rank=rank, world_size=2) for rank in range(2)]
    for number in (0, 1, 5):  # batch 1 straddles two epochs of 7
        parts = [rank.batch(number) for rank in ranks]
        assert torch.equal(torch.cat([part.paired for part in parts]), whole.batch(number).paired)


def test_only_the_given_indices_are_drawn(make: Any) -> None:
    side = make(batch_size=2, indices=[2, 5]).batch(0)
    numbers = ((side.paired[:, 1, 0, 0] + 1) * 127.5).round().long().tolist()
    assert sorted(numbers) == [2, 5]


def test_pairs_come_only_where_they_are_asked_for(make: Any) -> None:
    for loading in ("device", "stream"):
        side = make(pairs=False, loading=loading, workers=0).batch(0)
        assert side.paired_NCHW is None
        with pytest.raises(RuntimeError, match="needs_pairs = True"):
            _ = side.paired


@pytest.mark.parametrize("loading", ["device", "stream"])
def test_no_pairs_are_told_when_the_loader_is_made(tiny_source: Path, loading: Any) -> None:
    with pytest.raises(DataError, match="no paired images"):
        Loader(load_dataset(tiny_source), batch_size=4, seed=0, device="cpu", loading=loading, pairs=True)


def test_transforms_would_part_a_pair(make: Any) -> None:
    with pytest.raises(ParamsError, match=r"transforms.*an image and not its pair"):
        make(transforms=[{"name": "HorizontalFlip"}])
