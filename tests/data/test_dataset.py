from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import adaptgan
from adaptgan.data.shards import iter_records
from adaptgan.errors import DataError, SealedLabelsError


def cached(scratch: Path) -> list[Path]:
    return sorted((scratch / "cache").glob("*.npy"))


def test_images_labels_and_items(tiny_source: Path) -> None:
    dataset = adaptgan.load_dataset(tiny_source)
    records = list(iter_records(tiny_source))
    assert len(dataset) == 120 and dataset.keys == [record.key for record in records]
    assert dataset.info == adaptgan.DataInfo(1, 32, 32, tuple("0123456789"))
    np.testing.assert_array_equal(dataset.images_NCHW[:, 0], np.stack([record.image for record in records]))
    np.testing.assert_array_equal(dataset.labels_N, np.arange(120) % 10)
    image, label = dataset[3]
    assert label == 3 and image.dtype == torch.float32 and image.shape == (1, 32, 32)
    assert image.min() == -1 and image.max() <= 1
    assert dataset.record(3).provenance["font"]
    assert len(list(dataset)) == 120
    with pytest.raises(IndexError):
        dataset[120]


def test_it_works_with_torchs_own_loader(tiny_source: Path) -> None:
    images, labels = next(iter(DataLoader(adaptgan.load_dataset(tiny_source), batch_size=8)))
    assert images.shape == (8, 1, 32, 32) and labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_decoded_once_for_a_digest(tiny_source: Path, tmp_path: Path, scratch_folder: Path) -> None:
    adaptgan.load_dataset(tiny_source).images_NCHW[0]
    (file,) = cached(scratch_folder)
    assert file.stem == adaptgan.load_dataset(tiny_source).digest
    before = file.stat().st_mtime_ns
    copy = shutil.copytree(tiny_source, tmp_path / "copy")
    adaptgan.load_dataset(copy).images_NCHW[0]
    assert cached(scratch_folder) == [file] and file.stat().st_mtime_ns == before


def test_a_torn_cache_is_made_again(tiny_source: Path, scratch_folder: Path) -> None:
    whole = np.array(adaptgan.load_dataset(tiny_source).images_NCHW)
    (file,) = cached(scratch_folder)
    for torn in (b"", file.read_bytes()[:5000]):
        file.write_bytes(torn)
        np.testing.assert_array_equal(adaptgan.load_dataset(tiny_source).images_NCHW, whole)


def test_writing_to_the_images_leaves_the_cache_alone(tiny_source: Path) -> None:
    dataset = adaptgan.load_dataset(tiny_source)
    dataset.images_NCHW[:] = 7
    assert not (adaptgan.load_dataset(tiny_source).images_NCHW == 7).all()


def test_a_damaged_shard_is_noticed_and_leaves_no_cache(
    tiny_source: Path, tmp_path: Path, scratch_folder: Path
) -> None:
    copy = shutil.copytree(tiny_source, tmp_path / "copy")
    data = bytearray((copy / "000001.tar").read_bytes())
    data[700] ^= 255
    (copy / "000001.tar").write_bytes(data)
    with pytest.raises(DataError, match=r"000001\.tar: this shard is damaged"):
        _ = adaptgan.load_dataset(copy).images_NCHW
    assert not cached(scratch_folder) and not list((scratch_folder / "cache").glob("*.tmp"))


def test_sealed_labels(tiny_target: Path) -> None:
    shut = adaptgan.load_dataset(tiny_target)
    assert not shut.has_labels and shut[0][1] == -1 and shut.record(0).label is None
    assert shut.images_NCHW.shape == (120, 1, 32, 32)
    with pytest.raises(SealedLabelsError, match="sealed"):
        _ = shut.labels_N
    for who in ("oracle", "evaluate"):
        opened = adaptgan.load_dataset(tiny_target, unseal=who)  # type: ignore[arg-type]
        assert opened.has_labels and opened[0][1] == opened.labels_N[0] == opened.record(0).label
    with pytest.raises(SealedLabelsError, match="'train'"):
        adaptgan.load_dataset(tiny_target, unseal="train")  # type: ignore[arg-type]


def test_keys_of_sealed_records_do_not_give_labels_away(tiny_target: Path) -> None:
    labels = adaptgan.load_dataset(tiny_target, unseal="evaluate").labels_N
    # The file they come from is sorted by digit; here the order must say nothing.
    assert abs(np.corrcoef(np.arange(len(labels)), labels)[0, 1]) < 0.35


def test_it_travels_to_a_worker_without_the_images(tiny_source: Path) -> None:
    dataset = adaptgan.load_dataset(tiny_source)
    images = np.array(dataset.images_NCHW)
    sent = pickle.dumps(dataset)
    assert len(sent) < images.nbytes / 3
    np.testing.assert_array_equal(pickle.loads(sent).images_NCHW, images)


def test_colour_images_are_channels_first(tmp_path: Path) -> None:
    from adaptgan.data.records import Record
    from adaptgan.data.shards import ShardWriter

    image = np.asarray(Image.new("RGB", (4, 5), (255, 0, 128)))
    with ShardWriter(tmp_path, ()) as writer:
        writer.write(Record("a", image))
    dataset = adaptgan.load_dataset(tmp_path)
    assert dataset.images_NCHW.shape == (1, 3, 5, 4)
    assert dataset.images_NCHW[0, :, 0, 0].tolist() == [255, 0, 128]
    with pytest.raises(DataError, match="has no labels"):
        _ = dataset.labels_N
