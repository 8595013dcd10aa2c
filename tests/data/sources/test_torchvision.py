from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from adaptgan.data.sources.torchvision import Torchvision
from adaptgan.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)


def write_mnist(root: Path) -> None:
    """Two tiny files each in MNIST's own idx format."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for stem, images in (("train", IMAGES), ("t10k", IMAGES[:4])):
        header = struct.pack(">iiii", 0x803, *images.shape)
        (raw / f"{stem}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = bytes(range(len(images))).translate(bytes([i % 10 for i in range(256)]))
        (raw / f"{stem}-labels-idx1-ubyte").write_bytes(struct.pack(">ii", 0x801, len(images)) + labels)


def test_mnist_from_its_own_files(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    source = Torchvision("MNIST", root=str(tmp_path))
    records = list(source.records("train", 0))
    assert len(source.classes) == 10 and source.classes[3] == "3 - three" and source.total == 12
    np.testing.assert_array_equal(np.stack([record.image for record in records]), IMAGES)
    assert [record.label for record in records] == [i % 10 for i in range(12)]
    assert records[5].key == "mnist_000005" and records[5].provenance["split"] == "train"
    assert len(list(source.records("test", 0))) == 4


def test_svhn_takes_split_and_colour(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3, 5), np.uint8)
    savemat(tmp_path / "test_32x32.mat", {"X": pixels, "y": np.array([[10], [1], [2], [3], [4]], np.uint8)})
    # The class checks the MD5 of the real file; a file of the user's own must not match it.
    with pytest.raises(DataError, match="SVHN could not be opened"):
        Torchvision("SVHN", root=str(tmp_path)).records("test", 0)


def test_fake_data_has_options_of_its_own() -> None:
    source = Torchvision("FakeData", options={"size": 6, "image_size": [3, 8, 8], "num_classes": 4})
    records = list(source.records("train", 0))
    assert source.classes == ("0", "1", "2", "3") and len(records) == 6
    assert records[0].image.shape == (8, 8, 3) and all(record.label in range(4) for record in records)
    with pytest.raises(DataError, match="FakeData is not divided into train and test, so it has no split 'test'"):
        source.records("test", 0)  # the same images again


def test_missing_files_are_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        Torchvision("MNIST", root=str(tmp_path)).records("train", 0)
    text = str(caught.value)
    assert "train-images-idx3-ubyte" in text and str(tmp_path / "MNIST" / "raw") in text
    assert "dataset.download: true" in text and "dataset.root" in text


def test_wrong_names_and_options() -> None:
    with pytest.raises(DataError, match="no data set 'MNISTT'.*'MNIST'"):
        Torchvision("MNISTT").records("train", 0)
    with pytest.raises(DataError, match="no data set 'ImageFolders'"):
        Torchvision("ImageFolders").records("train", 0)
    with pytest.raises(DataError, match="no option 'sizes'.*'size'"):
        Torchvision("FakeData", options={"sizes": 3}).records("train", 0)
    with pytest.raises(DataError, match="splits train and test; found 'validation'"):
        Torchvision("MNIST").records("validation", 0)
