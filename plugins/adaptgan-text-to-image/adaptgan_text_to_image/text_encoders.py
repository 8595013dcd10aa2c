"""Text encoders: captions, as rows of word numbers, to one vector each. They learn with the discriminator."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from adaptgan_text_to_image import grammar
from adaptgan_text_to_image.vocabulary import PADDING, Vocabulary

Positive = Annotated[int, Field(ge=1)]


class TextEncoder(nn.Module):
    """Base of text encoders φ: word numbers (N, L) -> text embeddings (N, E), the mean over a caption's words.

    Layer normalization (Ba 2016) makes every embedding as large as noise of the same width, so that a generator that is
    told both does not begin by looking at the noise alone.

    Args:
        vocabulary: the known words; empty for those of `captioned_digits`.
        length: L, the most words of a caption.
        width: E.
    """

    def __init__(self, vocabulary: tuple[str, ...], length: int, width: int) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(vocabulary or grammar.words(), length)
        self.width = width
        self.norm = nn.LayerNorm(width)

    def forward(self, words_NL: torch.Tensor) -> torch.Tensor:
        """Text embeddings, (N, E), float32 in any precision."""
        with torch.autocast(words_NL.device.type, enabled=False):  # sums of a few words: nothing to gain
            text_NE: torch.Tensor = self.norm(masked_mean(self.read(words_NL), words_NL != PADDING))
            return text_NE

    def read(self, words_NL: torch.Tensor) -> torch.Tensor:
        """What is known after each word, (N, L, E)."""
        raise NotImplementedError


class GRUTextEncoder(TextEncoder):
    """A recurrent network reads a caption word by word; φ(t) is the mean of its states (Cho 2014; Reed 2016, §4.1).

    So "a red seven on green" and "a green seven on red" differ. The words behind the last are never seen: the states
    are of one direction, and padding has no part in the mean.

    Args:
        vocabulary: the known words; empty for those of `captioned_digits`.
        length: L, the most words of a caption.
        word: width of a word's learned vector.
        width: E.
    """

    def __init__(
        self, vocabulary: tuple[str, ...] = (), length: Positive = 12, word: Positive = 64, width: Positive = 128
    ) -> None:
        super().__init__(vocabulary, length, width)
        self.words = nn.Embedding(len(self.vocabulary), word)
        self.states = nn.GRU(word, width, batch_first=True)

    def read(self, words_NL: torch.Tensor) -> torch.Tensor:
        """The state after each word, (N, L, E)."""
        states_NLE: torch.Tensor = self.states(self.words(words_NL))[0]
        return states_NLE


class BagTextEncoder(TextEncoder):
    """A bag of learned words: φ(t) is the mean of their vectors, in whichever order they stand.

    It cannot tell "a red seven on green" from "a green seven on red".

    Args:
        vocabulary: the known words; empty for those of `captioned_digits`.
        length: L, the most words of a caption.
        width: E, of a word's vector too.
    """

    def __init__(self, vocabulary: tuple[str, ...] = (), length: Positive = 12, width: Positive = 128) -> None:
        super().__init__(vocabulary, length, width)
        self.words = nn.Embedding(len(self.vocabulary), width)

    def read(self, words_NL: torch.Tensor) -> torch.Tensor:
        """Each word's vector, (N, L, E)."""
        vectors_NLE: torch.Tensor = self.words(words_NL)
        return vectors_NLE


def masked_mean(values_NLE: torch.Tensor, there_NL: torch.Tensor) -> torch.Tensor:
    """The mean over L of what is there, (N, E); 0 where nothing is."""
    weights_NL1 = there_NL.unsqueeze(2).to(values_NLE.dtype)
    return (values_NLE * weights_NL1).sum(1) / weights_NL1.sum(1).clamp(min=1)
