"""Words as numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adaptgan.errors import DataError, ParamsError, nearest
from adaptgan_text_to_image.grammar import tokens

PADDING = 0
"""What stands behind a caption's last word."""


class Vocabulary:
    """Captions as rows of word numbers, all of one length: 1, 2, … for the words, then `PADDING`.

    Args:
        words: the known ones, in lower case.
        length: L, the most words that a caption may have.

    Raises:
        ParamsError: a word is given twice, or is none.
    """

    def __init__(self, words: Sequence[str], length: int) -> None:
        if wrong := [word for word in words if tokens(word) != [word]]:
            raise ParamsError(f"vocabulary: {wrong[0]!r} is no single word in lower case.")
        if len(set(words)) < len(words):
            twice = next(word for word in words if list(words).count(word) > 1)
            raise ParamsError(f"vocabulary: {twice!r} is given more than once.")
        self.words, self.length = tuple(words), length
        self._numbers = {word: number for number, word in enumerate(words, start=1)}

    def __len__(self) -> int:
        """How many numbers there are, `PADDING` included."""
        return len(self.words) + 1

    def encode(self, caption: object) -> np.ndarray:
        """A caption's word numbers, int64 (L,).

        Raises:
            DataError: it is no text, has no word or too many, or one that is not known.
        """
        if not isinstance(caption, str):
            raise DataError(f"caption: expected a text; found {caption!r}. Ingest a data set that has captions.")
        said = tokens(caption)
        for word in said:
            if word not in self._numbers:
                raise DataError(
                    f"caption {caption!r}: unknown word {word!r}. {nearest(word, self.words)} Other words than these "
                    "must be in the text encoder's `vocabulary` when the model is trained."
                )
        if not 1 <= len(said) <= self.length:
            raise DataError(
                f"caption {caption!r} has {len(said)} words; expected 1 to {self.length}, the text encoder's `length`."
            )
        numbers_L = np.full(self.length, PADDING, np.int64)
        numbers_L[: len(said)] = [self._numbers[word] for word in said]
        return numbers_L

    def decode(self, numbers_L: Sequence[int] | np.ndarray) -> str:
        """The words of a row of numbers."""
        return " ".join(self.words[int(number) - 1] for number in numbers_L if number != PADDING)
