"""What can be said of one coloured digit, and how: attributes, words, and a small grammar of captions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

DIGITS = {
    "0": "zero",
    "1": "one",
    "2": "two",
    "3": "three",
    "4": "four",
    "5": "five",
    "6": "six",
    "7": "seven",
    "8": "eight",
    "9": "nine",
}
"""Each digit and its word."""

COLOURS = {
    "red": (214, 38, 40),
    "green": (44, 150, 60),
    "blue": (36, 58, 190),
    "yellow": (240, 215, 50),
    "purple": (168, 62, 190),
    "cyan": (60, 200, 215),
    "black": (20, 20, 20),
    "white": (238, 238, 238),
}
"""Each colour and its middle shade, RGB."""

THICKNESSES = {"thin": ("thin", "slim", "fine"), "thick": ("thick", "bold", "heavy")}
"""Each thickness and the words for it."""

ATTRIBUTES = ("digit", "colour", "background", "thickness")

TEMPLATES = (
    "a {thickness} {colour} {digit} on {background}",
    "{digit}, {thickness} and {colour}, over a {background} ground",
    "a {digit} in {thickness} {colour} strokes on a {background} background",
    "on {background}, a {thickness} {colour} {digit}",
    "over {background} there is a {colour} {digit}, drawn {thickness}",
    "a {colour} {digit} with {thickness} lines against {background}",
    "a {background} ground under a {thickness} {digit} in {colour}",
    "the digit {digit}, {colour} and {thickness}, with {background} behind it",
)
"""Ways to say all four. The background's colour comes first or last, so that who is red lies in the order of words."""


def caption(attributes: Mapping[str, str], draw: np.random.Generator) -> str:
    """A caption of `ATTRIBUTES`, one way to say it drawn at random.

    Args:
        attributes: digit, colour, background and thickness, by the names above.
        draw: decides the phrase and the word for the thickness.
    """
    template = TEMPLATES[int(draw.integers(len(TEMPLATES)))]
    thick = THICKNESSES[attributes["thickness"]]
    said = {
        **attributes,
        "digit": DIGITS[attributes["digit"]],
        "thickness": thick[int(draw.integers(len(thick)))],
    }
    return _with_articles(template.format(**said))


def words() -> tuple[str, ...]:
    """Every word of the grammar, sorted."""
    known: set[str] = {"an"}
    for template in TEMPLATES:
        known.update(tokens(re.sub(r"\{\w+\}", " ", template)))
    for group in (DIGITS.values(), COLOURS, *THICKNESSES.values()):
        known.update(group)
    return tuple(sorted(known))


def tokens(text: str) -> list[str]:
    """A caption's words in order, in lower case; punctuation is dropped."""
    return re.findall(r"[^\W_]+", text.lower())


def combinations(colours: tuple[str, ...]) -> list[tuple[str, str]]:
    """Every pair of two different colours, the digit's and the background's."""
    return [(one, other) for one in colours for other in colours if one != other]


def _with_articles(text: str) -> str:
    def article(match: re.Match[Any]) -> str:
        return "an " if match.group(1)[0] in "aeiou" and match.group(1) != "one" else "a "

    return re.sub(r"\ba (?=(\w+))", article, text)
