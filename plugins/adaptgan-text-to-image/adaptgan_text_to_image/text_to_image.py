"""What methods that make images from captions share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from adaptgan.data.batch import Batch
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Method
from adaptgan.methods.generative import reports_gradient, watch
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.training.ema import EMA
from adaptgan_text_to_image.matching import matching_losses, wrong_texts
from adaptgan_text_to_image.text_encoders import TextEncoder

SHOWN = 16
"""Images of a sample grid."""

_NOISE = 0x7E87
"""The view of a record's random numbers that z is drawn from; augmentations have the small ones."""


class TextToImage(Method):
    """Base of the methods that learn images x with captions t and make images of captions.

    Captions go through a text encoder φ, which learns with the discriminator: no better judge of words is at hand
    without a second data set. Generators take φ(t) as it is. Averages of φ and of all generators make the images, in
    `translate` and in whatever stage builds on an earlier one.

    Args:
        encoder: φ.
        makers: the networks beside it that images are made with.
        ema: decay of the averages of all of them.
    """

    needs_labels = False
    conditions = ("caption",)
    translates = "conditions"
    moves_pixels = True

    def __init__(self, encoder: nn.Module, makers: Mapping[str, nn.Module], ema: float) -> None:
        super().__init__()
        assert isinstance(encoder, TextEncoder)
        self.encoder, self.vocabulary = encoder, encoder.vocabulary
        for name, network in makers.items():
            self.add_module(name, network)
        self.averages = nn.ModuleDict({name: EMA(one, ema) for name, one in {"encoder": encoder, **makers}.items()})

    def train(self, mode: bool = True) -> TextToImage:
        """The averages are never trained: they normalize by running statistics alone."""
        super().train(mode)
        self.averages.eval()
        return self

    def encode_conditions(self, annotations: dict[str, Any]) -> np.ndarray:
        """A record's caption as word numbers, int64 (L,).

        Raises:
            DataError: it has none, or one with a word that is not in the vocabulary.
        """
        return self.vocabulary.encode(annotations.get("caption"))

    def text(self, batch: Batch) -> torch.Tensor:
        """φ(t), (N, E), once a step; with its graph, for the discriminator's turn."""
        if "text" not in batch.shared:
            batch.shared["text"] = self.encoder(batch.source.conditions)
        text_NE: torch.Tensor = batch.shared["text"]
        return text_NE

    def wrong(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Which text is each image's wrong one, and whether it differs (see `wrong_texts`), once a step."""
        if "wrong" not in batch.shared:
            batch.shared["wrong"] = wrong_texts(batch.source.conditions)
        wrong_N, differs_N = batch.shared["wrong"]
        return wrong_N, differs_N

    def judged(
        self,
        batch: Batch,
        discriminator: nn.Module,
        objective: Adversarial,
        text_NE: torch.Tensor,
        real: torch.Tensor,
        made: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """The matching-aware loss of D (see `matching_losses`); each image is looked at once.

        Args:
            batch: takes what the watchdogs read.
            discriminator: D.
            objective: ℓ.
            text_NE: φ(t).
            real: images of these texts, (N, C, H, W).
            made: generated ones, without a graph.
        """
        wrong_N, differs_N = self.wrong(batch)
        own_N = torch.arange(len(real), device=real.device)
        texts, rows = torch.cat([text_NE, text_NE[wrong_N]]), torch.cat([own_N, own_N])
        if discriminator.by_batch:
            right_N, mismatched_N = discriminator(real, texts, rows).chunk(2)
            made_N = discriminator(made, text_NE)
        else:
            texts, rows = torch.cat([texts, text_NE]), torch.cat([rows, own_N + len(real)])
            right_N, mismatched_N, made_N = discriminator(torch.cat([real, made]), texts, rows).chunk(3)
        watch(batch, right_N, made_N, real, made)
        batch.measure("matching", (right_N > mismatched_N).float().mean())
        return matching_losses(objective, right_N, mismatched_N, made_N, differs_N)

    def told(self, batch: Batch, made: torch.Tensor) -> torch.Tensor:
        """The images, which will say how large their gradient was."""
        if made.requires_grad:
            made.register_hook(reports_gradient(batch))
        return made

    def follow(self, *names: str) -> None:
        """The averages of these networks follow them."""
        for name in names:
            average = self.averages[name]
            assert isinstance(average, EMA)
            average.update(getattr(self, name))

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Images, and what is made of their captions."""
        side = batch.source
        made = self.translate(side.conditions[:SHOWN], side.seeds_N[:SHOWN])
        return {"real": side.images_NCHW[:SHOWN], "generated": made}

    def translate(self, conditions_N: torch.Tensor, seeds_N: torch.Tensor | None = None) -> torch.Tensor:
        """Images (N, C, H, W) in [-1, 1] of captions.

        Args:
            conditions_N: the captions, as `encode_conditions` gives them, int64 (N, L).
            seeds_N: decide each image's noise; without them there is none.
        """
        raise NotImplementedError


def check_widths(method: str, networks: Sequence[tuple[str, nn.Module]], width: int, giver: str) -> None:
    """Networks must take texts as wide as they are given.

    Raises:
        ParamsError: one does not.
    """
    for name, network in networks:
        if getattr(network, "text", width) != width:
            raise ParamsError(
                f"{method}.{name}.text: it takes texts of width {network.text}, and {giver} is {width} wide. "
                "Set both alike."
            )
