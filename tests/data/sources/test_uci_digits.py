from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_digits

from adaptgan.data.images import convert
from adaptgan.data.records import Record
from adaptgan.data.sources.uci_digits import UCIDigits
from adaptgan.errors import DataError


def read(split: str, seed: int = 0) -> list[Record]:
    return list(UCIDigits().records(split, seed))


def test_every_digit_is_there_once_with_its_own_label() -> None:
    bunch = load_digits()
    train, test = read("train"), read("test")
    rows = [record.provenance["row"] for record in train + test]
    assert sorted(rows) == list(range(1797))
    for record, row in zip(train + test, rows, strict=True):
        assert record.label == bunch.target[row]
        assert record.image.dtype == np.uint8 and record.image.shape == (8, 8)
        np.testing.assert_allclose(record.image / 255, bunch.images[row] / 16, atol=0.5 / 255)


def test_the_split_is_stratified_and_fixed() -> None:
    train, test = read("train"), read("test")
    assert abs(len(test) - 500) <= 5
    totals = Counter(load_digits().target.tolist())
    for label, count in Counter(record.label for record in test).items():
        assert count / totals[label] == pytest.approx(len(test) / 1797, abs=0.005)
    assert [record.key for record in read("test", 7)] == [record.key for record in test]
    assert [record.provenance for record in read("train", 7)] == [record.provenance for record in train]


def test_neither_keys_nor_order_tell_labels() -> None:
    """In the file, very often the next digit comes next."""
    records = read("train") + read("test")
    assert len({record.key for record in records}) == 1797
    numbers = np.array([int(record.key.split("_")[1]) for record in records])
    labels = np.array([record.label for record in records])
    rows = np.array([record.provenance["row"] for record in records])

    def counts_up(order: np.ndarray) -> float:
        return float(np.mean(np.diff(labels[np.argsort(order)]) % 10 == 1))

    assert counts_up(rows) > 0.3
    assert counts_up(numbers) < 0.13 and counts_up(np.arange(1797)) < 0.13


def test_a_margin_keeps_the_pixels() -> None:
    for small, large in zip(UCIDigits().records("test", 0), UCIDigits(image_size=11).records("test", 0), strict=True):
        assert large.image.shape == (11, 11) and large.image.sum() == small.image.sum()
        np.testing.assert_array_equal(large.image[1:9, 1:9], small.image)


def test_enlarging_is_smooth_and_true_to_the_pixels() -> None:
    for record in read("test")[:50]:
        large = convert(record.image, (16, 16), None)
        back = convert(large, (8, 8), None)  # areas of 2×2: the originals, a little softer, if nothing was moved
        assert np.corrcoef(back.ravel(), record.image.ravel())[0, 1] > 0.97
        nearest = record.image.repeat(2, 0).repeat(2, 1)
        assert np.square(np.diff(large.astype(int))).sum() < 0.7 * np.square(np.diff(nearest.astype(int))).sum()


def test_wrong_split_and_size() -> None:
    with pytest.raises(DataError, match="no split 'valid'"):
        UCIDigits().records("valid", 0)
    with pytest.raises(DataError, match="at least 8"):
        UCIDigits(image_size=4)
