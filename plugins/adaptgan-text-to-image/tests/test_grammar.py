from __future__ import annotations

import numpy as np
import pytest
from adaptgan_text_to_image import grammar
from adaptgan_text_to_image.vocabulary import PADDING, Vocabulary

from adaptgan.errors import DataError, ParamsError

SEVEN = {"digit": "7", "colour": "red", "background": "green", "thickness": "thick"}


def said(attributes: dict[str, str], times: int = 400) -> set[str]:
    draw = np.random.default_rng(0)
    return {grammar.caption(attributes, draw) for _ in range(times)}


def test_the_same_thing_is_said_in_several_ways() -> None:
    captions = said(SEVEN)
    assert len(captions) == len(grammar.TEMPLATES) * len(grammar.THICKNESSES["thick"])
    assert "a thick red seven on green" in captions
    assert "seven, thick and red, over a green ground" in captions


def test_every_caption_says_all_four_and_nothing_else() -> None:
    for caption in said(SEVEN):
        words = set(grammar.tokens(caption))
        assert {"seven", "red", "green"} <= words
        assert words & set(grammar.THICKNESSES["thick"]) and not words & set(grammar.THICKNESSES["thin"])
        assert not words & (set(grammar.COLOURS) - {"red", "green"})
        assert not words & (set(grammar.DIGITS.values()) - {"seven"})


def test_who_has_which_colour_lies_in_the_order_of_words() -> None:
    other = said({**SEVEN, "colour": "green", "background": "red"})
    assert not said(SEVEN) & other
    assert {tuple(sorted(grammar.tokens(one))) for one in said(SEVEN)} & {
        tuple(sorted(grammar.tokens(one))) for one in other
    }


def test_articles_fit_the_word_behind_them() -> None:
    text = " / ".join(said({**SEVEN, "digit": "8"}) | said({**SEVEN, "digit": "1"}))
    assert "an eight in" in text and "a eight" not in text
    assert "a one in" in text and "an one" not in text


def test_the_vocabulary_has_every_word_that_is_ever_said() -> None:
    draw, known = np.random.default_rng(0), set(grammar.words())
    used: set[str] = set()
    for _ in range(4000):
        attributes = {
            "digit": str(draw.integers(10)),
            "colour": str(draw.choice(list(grammar.COLOURS))),
            "background": str(draw.choice(list(grammar.COLOURS))),
            "thickness": str(draw.choice(list(grammar.THICKNESSES))),
        }
        used.update(grammar.tokens(grammar.caption(attributes, draw)))
    assert used == known


def test_captions_become_rows_of_numbers() -> None:
    vocabulary = Vocabulary(("a", "red", "seven"), 5)
    numbers = vocabulary.encode("A red, red seven!")
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [1, 2, 2, 3, PADDING]
    assert vocabulary.decode(numbers) == "a red red seven"
    assert len(vocabulary) == 4


@pytest.mark.parametrize(
    ("caption", "told"),
    [
        ("a thick rad seven", r"unknown word 'rad'\. Did you mean 'red'"),
        ("zebra", "unknown word 'zebra'"),
        (" ?! ", "has 0 words; expected 1 to 6"),
        ("red red red red red red red", "has 7 words; expected 1 to 6"),
        (None, "expected a text; found None"),
        (["red"], "expected a text"),
    ],
)
def test_what_cannot_be_encoded_is_told(caption: object, told: str) -> None:
    with pytest.raises(DataError, match=told):
        Vocabulary(grammar.words(), 6).encode(caption)


@pytest.mark.parametrize(("words", "told"), [(("red", "red"), "more than once"), (("Red",), "no single word")])
def test_a_vocabulary_is_checked(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(ParamsError, match=told):
        Vocabulary(words, 4)
