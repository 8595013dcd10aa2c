from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
from adaptgan_text_to_image import grammar
from adaptgan_text_to_image.captioned_digits import CaptionedDigits

from adaptgan.data.records import Record
from adaptgan.errors import DataError
from adaptgan.testing import check_dataset

FEW = ("red", "green", "white")


def records(split: str = "train", seed: int = 0, number: int = 40, **options: Any) -> list[Record]:
    return list(islice(CaptionedDigits(count=number, **options).records(split, seed), number))


def test_the_dataset_conforms() -> None:
    check_dataset({"name": "captioned_digits", "count": 24})


def test_images_captions_and_attributes() -> None:
    made = records()
    assert [one.label for one in made[:12]] == [*range(10), 0, 1]
    for one in made:
        assert one.image.shape == (32, 32, 3) and one.image.dtype == np.uint8
        attributes = one.annotations["attributes"]
        assert attributes["digit"] == str(one.label) and attributes["colour"] != attributes["background"]
        words = set(grammar.tokens(one.annotations["caption"]))
        assert {grammar.DIGITS[attributes["digit"]], attributes["colour"], attributes["background"]} <= words
    assert len({one.annotations["caption"] for one in made}) > 35


def test_the_ground_has_the_colour_that_is_said_and_the_ink_its_own() -> None:
    for one in records(shade=0, number=100):
        attributes = one.annotations["attributes"]
        corner, middle = (
            np.array(grammar.COLOURS[attributes["background"]]),
            np.array(grammar.COLOURS[attributes["colour"]]),
        )
        assert np.array_equal(one.image[0, 0], corner)
        nearest = np.abs(one.image.astype(int) - middle).sum(2).min()
        assert nearest <= 45, one.annotations["caption"]


def test_shades_stay_near_their_colour() -> None:
    for one in records(shade=16):
        corner = one.image[0, 0].astype(int)
        middle = np.array(grammar.COLOURS[one.annotations["attributes"]["background"]])
        assert np.abs(corner - middle).max() <= 16
    assert len({tuple(one.image[0, 0]) for one in records(shade=16)}) > 30


def test_thick_strokes_cover_more_than_thin_ones() -> None:
    made = records(number=400, shade=0)
    ink = {"thin": [], "thick": []}
    for one in made:
        ground = np.array(grammar.COLOURS[one.annotations["attributes"]["background"]])
        share = (np.abs(one.image.astype(int) - ground).sum(2) > 40).mean()
        ink[one.annotations["attributes"]["thickness"]].append(share)
    assert np.mean(ink["thick"]) > 1.4 * np.mean(ink["thin"])


def test_every_record_depends_on_seed_split_and_number_alone() -> None:
    first, second = records(number=30), records(number=8)
    for one, other in zip(first, second, strict=False):
        assert one.annotations == other.annotations and np.array_equal(one.image, other.image)
    assert any(
        one.annotations != other.annotations for one, other in zip(records(seed=1), records(seed=0), strict=True)
    )


def test_held_out_combinations_occur_in_test_alone() -> None:
    source = CaptionedDigits(held_out=0.25)
    for digit in grammar.DIGITS:
        train, test = source.pairs["train"][digit], source.pairs["test"][digit]
        assert not set(train) & set(test)
        assert set(train) | set(test) == set(grammar.combinations(tuple(grammar.COLOURS)))
        assert len(test) == 14 and len(train) == 42
    seen = {
        split: {
            (
                one.annotations["attributes"]["digit"],
                one.annotations["attributes"]["colour"],
                one.annotations["attributes"]["background"],
            )
            for seed in (0, 1)
            for one in records(split, seed, 300, images=False)
        }
        for split in ("train", "test")
    }
    assert not seen["train"] & seen["test"]
    captions = {
        split: {one.annotations["caption"] for one in records(split, 0, 300, images=False)}
        for split in ("train", "test")
    }
    assert not captions["train"] & captions["test"]


@pytest.mark.parametrize("label", ["colour", "background", "thickness"])
def test_the_label_can_be_another_attribute(label: Any) -> None:
    source = CaptionedDigits(count=30, label=label, colours=FEW)
    for one, plain in zip(
        source.records("train", 0), CaptionedDigits(count=30, colours=FEW).records("train", 0), strict=True
    ):
        assert source.classes[one.label or 0] == one.annotations["attributes"][label]
        assert np.array_equal(one.image, plain.image)


def test_fonts_can_be_chosen() -> None:
    used = {one.provenance["font"] for one in records(fonts="hershey", number=60)}
    assert used and used < {one.provenance["font"] for one in records(number=400)}


def test_captions_alone_are_those_of_the_images() -> None:
    for blank, seen in zip(records(images=False), records(), strict=True):
        assert blank.annotations == seen.annotations and blank.label == seen.label
        assert not blank.image.any() and blank.image.shape == seen.image.shape


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"colours": ("red", "grean")}, "Did you mean 'green'"),
        ({"colours": ("red",)}, "two or more"),
        ({"colours": ("red", "red", "green")}, "each once"),
        ({"height": (0.9, 0.5)}, "height"),
    ],
)
def test_wrong_options_are_told(options: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        CaptionedDigits(**options)


def test_another_split_is_refused() -> None:
    with pytest.raises(DataError, match="validation"):
        records("validation")
