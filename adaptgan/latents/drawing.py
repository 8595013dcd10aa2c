"""Numbered latents: seed s and number n name one latent, in whatever batch, grid or command it appears."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from adaptgan.errors import ParamsError, nearest
from adaptgan.methods.base import Sampler
from adaptgan.training.seeding import derive

BLOCK = 64
"""Latents that share a generator. As whole blocks are drawn, none depends on which others are asked for."""


@runtime_checkable
class LatentModel(Sampler, Protocol):
    """A sampler whose latents can be had: drawn, changed, and turned into images (see `methods.generative`)."""

    n_noise: int

    def latents(self, count: int, generator: torch.Generator, truncation: float | None = None) -> torch.Tensor:
        """Latents z (N, Z)."""
        ...

    def generate(
        self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None = None, truncation: float | None = None
    ) -> torch.Tensor:
        """Images (N, C, H, W) in [-1, 1], differentiable in z."""
        ...


def as_sampler(model: Any) -> Sampler:
    """The model itself, when it makes images from noise.

    Raises:
        ParamsError: it does not.
    """
    if not isinstance(model, Sampler):
        raise ParamsError(
            f"the method {model.card['method']['name']!r} makes no images from noise. Give a trained generator, such "
            "as `dcgan`; `adaptgan components method` lists what there is."
        )
    return model


def as_latent_model(model: Any) -> LatentModel:
    """The model itself, when its latents can be had.

    Raises:
        ParamsError: it makes no images from noise, or keeps its latents to itself.
    """
    as_sampler(model)
    if not isinstance(model, LatentModel):
        raise ParamsError(
            f"the method {model.card['method']['name']!r} makes images from noise, but does not show its latents: that "
            "takes `n_noise`, `latents` and `generate`, as of adaptgan.methods.generative.GenerativeMethod."
        )
    return model


def class_index(model: Any, name: str) -> int:
    """Which class of a conditional model has that name.

    Raises:
        ParamsError: the model is not conditional, or knows no such class.
    """
    if not model.conditional:
        raise ParamsError(f"class {name!r}: the method {model.card['method']['name']!r} was not taught any classes.")
    if name not in model.info.classes:
        raise ParamsError(f"there is no class {name!r}. {nearest(name, model.info.classes)}")
    return int(model.info.classes.index(name))


def labels_of(model: Any, numbers: Sequence[int], chosen: str | None = None) -> torch.Tensor | None:
    """The classes that numbered latents are shown as, int64 (N,); None for a model without classes.

    Without a chosen one the classes take turns: number n is of class n mod K.

    Raises:
        ParamsError: a class is chosen that the model does not know.
    """
    if chosen is not None:
        return torch.full((len(numbers),), class_index(model, chosen))
    return torch.tensor(list(numbers)) % len(model.info.classes) if model.conditional else None


def draw(model: LatentModel, seed: int, numbers: Sequence[int], truncation: float | None = None) -> torch.Tensor:
    """The latents of a seed with these numbers, float32 (N, Z), on the CPU.

    Args:
        model: decides their distribution.
        seed: any whole number.
        numbers: each from 0.
        truncation: largest absolute value of a coordinate, for models that truncate so.
    """
    blocks: dict[int, torch.Tensor] = {}
    for number in numbers:
        block = number // BLOCK
        if block not in blocks:
            blocks[block] = model.latents(BLOCK, _generator(seed, block), truncation)
    return torch.stack([blocks[number // BLOCK][number % BLOCK] for number in numbers])


@torch.no_grad()
def render(
    model: LatentModel,
    z_NZ: torch.Tensor,
    labels_N: torch.Tensor | None = None,
    truncation: float | None = None,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
) -> torch.Tensor:
    """Images of latents, float32 (N, C, H, W) in [-1, 1], on the CPU; a batch at a time."""
    images = []
    for start in range(0, len(z_NZ), batch_size):
        part = slice(start, start + batch_size)
        labels = None if labels_N is None else labels_N[part].to(device)
        images.append(model.generate(z_NZ[part].to(device), labels, truncation).float().clamp(-1, 1).cpu())
    return torch.cat(images)


@torch.no_grad()
def sampled(
    model: Sampler,
    seed: int,
    numbers: Sequence[int],
    labels_N: torch.Tensor | None,
    truncation: float | None = None,
    *,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Images (N, C, H, W) in [-1, 1] of a seed's numbers, on the device; the same in whatever batch they are made.

    The noise is the same bit for bit; a network's arithmetic may round otherwise in another batch.

    Args:
        model: any sampler; one that does not show its latents makes whole blocks.
        seed: of the latents.
        numbers: each from 0.
        labels_N: their classes, for a conditional model.
        truncation: what the model makes of it.
        device: where the model is.
    """
    if isinstance(model, LatentModel):
        z_NZ = draw(model, seed, numbers, truncation).to(device)
        return model.generate(z_NZ, None if labels_N is None else labels_N.to(device), truncation)
    wanted: dict[int, list[int]] = {}
    for place, number in enumerate(numbers):
        wanted.setdefault(number // BLOCK, []).append(place)
    images: dict[int, torch.Tensor] = {}
    for block, places in wanted.items():
        labels = torch.zeros(BLOCK, dtype=torch.int64)
        for place in places:
            if labels_N is not None:
                labels[numbers[place] % BLOCK] = labels_N[place]
        made_NCHW = model.sample(labels.to(device), _generator(seed, block), truncation)
        images |= {place: made_NCHW[numbers[place] % BLOCK] for place in places}
    return torch.stack([images[place] for place in range(len(numbers))])


def _generator(seed: int, block: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive(seed, "latents", block))
