from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptgan import load_dataset
from adaptgan.data.records import Record
from adaptgan.data.shards import iter_records
from adaptgan.data.sources.base import Corrupt
from adaptgan.data.sources.domains import Domains
from adaptgan.data.sources.handwriting import Handwriting
from adaptgan.data.sources.uci_digits import UCIDigits
from adaptgan.errors import DataError, ParamsError


class Few:
    """A source of given records."""

    classes: tuple[str, ...] = ("never", "seen")

    def __init__(self, *records: Record | Corrupt) -> None:
        self.given = records
        self.total: int | None = None

    def records(self, split: str, seed: int) -> Any:
        self.total = len(self.given)
        return iter(self.given)


def record(key: str, value: int, **known: Any) -> Record:
    return Record(key, np.full((4, 4), value, np.uint8), **known)


def test_in_turns_while_each_lasts_and_the_label_tells_which() -> None:
    source = Domains([Few(record("x", 1), record("y", 2), record("z", 3)), Few(record("x", 9))], ["one", "other"])
    records: list[Any] = list(source.records("train", 0))
    assert source.classes == ("one", "other") and source.total == 4
    assert [(one.key, one.label, int(one.image[0, 0])) for one in records] == [
        ("one_x", 0, 1),
        ("other_x", 1, 9),
        ("one_y", 0, 2),
        ("one_z", 0, 3),
    ]


def test_nothing_of_a_record_but_its_image_comes_along() -> None:
    known = record("k", 5, label=1, annotations={"mask": 1}, provenance={"file": "cat/k.png"}, paired=np.zeros((4, 4)))
    first, second = Domains([Few(known), Few(known)], ["a", "b"]).records("train", 0)
    for number, one in enumerate((first, second)):
        assert isinstance(one, Record) and one.label == number
        assert (one.annotations, one.provenance, one.paired) == ({}, {}, None)
        np.testing.assert_array_equal(one.image, known.image)


def test_corrupt_images_tell_their_domain() -> None:
    flow = Domains([Few(Corrupt("x.png", "why")), Few(record("x", 1))], ["a", "b"]).records("train", 0)
    assert next(flow) == Corrupt("a: x.png", "why")


def test_keys_stay_unique_where_names_run_together() -> None:
    one, other = Domains([Few(record("b_c", 1)), Few(record("c", 2))], ["a", "a_b"]).records("train", 0)
    assert isinstance(one, Record) and isinstance(other, Record) and {one.key, other.key} == {"a_b_c", "a_b_c-2"}


def test_ingested_by_name(ingested: Callable[..., Path]) -> None:
    parts = [{"name": "handwriting", "image_size": 28}, {"name": "uci_digits"}]
    section = {"dataset": {"name": "domains", "parts": parts, "names": ["mnist", "uci"]}, "size": [16, 16], "limit": 9}
    folder = ingested(section, "test")
    data = load_dataset(folder)
    assert data.classes == ("mnist", "uci") and data.manifest.labels == "open"
    assert data.labels_N.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0]
    assert all(one.provenance == {} for one in iter_records(folder))
    digits = [next(iter(source.records("test", 0))).key for source in (Handwriting(28), UCIDigits())]
    assert data.keys[:2] == [f"mnist_{digits[0]}", f"uci_{digits[1]}"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": ["uci_digits"], "names": ["a"]}, "two or more `parts`.*found 1 parts and 1 names"),
        ({"parts": ["uci_digits", "handwriting"], "names": ["a"]}, "found 2 parts and 1 names"),
        ({"parts": ["uci_digits", "handwriting"], "names": ["a", "a"]}, "has one twice: a, a"),
        ({}, "found 0 parts"),
        ({"parts": ["uci_digits", "digits"], "names": ["a", "b"]}, r"parts\[1\]: unknown dataset 'digits'"),
    ],
)
def test_wrong_options(ingested: Callable[..., Path], options: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, ParamsError), match=message):
        ingested({"dataset": {"name": "domains", **options}})


def test_domains_of_other_sizes_say_how_to_make_them_alike(ingested: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"mixed sizes: .* is 32x32, .* is 8x8 .*source.size"):
        ingested({"dataset": {"name": "domains", "parts": ["handwriting", "uci_digits"], "names": ["a", "b"]}})
