"""The conformance check of augmentations: built-ins pass, each kind of mistake is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from adaptgan.data.augmentation import Augmentation
from adaptgan.data.randomness import uniform
from adaptgan.testing import check_augmentation
from tests.testing.parts import built_in, offered

STILL: dict[str, Any] = {"rotation": 0, "shear": 0, "translate": 0, "scale": [1, 1]}
COLOURS = {"blur": 1.5, "noise": 0.3, "contrast": 0.5, "brightness": 0.5, "cutout": 8, "invert": 0.5}
CONFIGS: list[dict[str, Any]] = [
    {"name": "none"},
    {"name": "warp"},
    {"name": "warp", **STILL, **COLOURS},
    {"name": "warp", "elastic": 1.0, "stroke": [-1, 1]},
    {"name": "diff_augment"},
    {"name": "diff_augment", "policy": ["color", "cutout"]},
    {"name": "ada", "start": 0.8, "kimg": 0.01, "interval": 2},
    {"name": "ada", "transforms": ["brightness", "contrast", "invert", "hue", "saturation"], "start": 1.0},
]


def test_all_built_in_augmentations_are_checked() -> None:
    assert set(built_in("augmentation")) == {config["name"] for config in CONFIGS}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config["name"])
def test_built_in_augmentations_conform(config: dict[str, Any]) -> None:
    check_augmentation(config)


class Good(Augmentation):
    """Each image is made brighter or darker; how much grows with what was observed."""

    moves_pixels: Any = False

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("size", torch.tensor(0.2))

    def forward(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        draws = self.draws(images, seeds_N, view).view(-1, 1, 1, 1)
        return (images + self.size * (draws - 0.5)).to(images.dtype)

    def draws(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int) -> torch.Tensor:
        return uniform(seeds_N, view, 1)

    def observe(self, real_N: torch.Tensor) -> dict[str, torch.Tensor]:
        self.size += 0.01
        return {"size": self.size.clone()}


class Shrinks(Good):
    """Another shape."""

    def forward(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        return images[..., 1:]


class Casts(Good):
    """Another type."""

    def forward(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        return images.float()


class InPlace(Good):
    """The images themselves."""

    def forward(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        return images.mul_(0.5)


class Bytes(Good):
    """Another range."""

    def forward(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        return 127.5 * (images + 1)


class Endless(Good):
    """Divides by zero."""

    def forward(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        return images / 0.0


class Global(Good):
    """Draws from the global generator."""

    def draws(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int) -> torch.Tensor:
        return torch.rand(len(images), device=images.device)


class Neighbours(Good):
    """Looks at the whole batch."""

    def draws(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int) -> torch.Tensor:
        return uniform(seeds_N, view, 1) * images.std()


class OneView(Good):
    """The same for every view."""

    def draws(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int) -> torch.Tensor:
        return uniform(seeds_N, 0, 1)


class Detached(Good):
    """Nothing to learn through."""

    def forward(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        return super().forward(images.detach(), seeds_N, view)


class Imprecise(Good):
    """A matrix product, in whatever type is usual."""

    def forward(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        changed = super().forward(images, seeds_N, view)
        whole = torch.eye(images.shape[-1], device=images.device, dtype=images.dtype)
        return changed @ (50 * whole) - changed @ (49 * whole)


class Moves(Good):
    """Shifts images by up to two pixels, and denies it."""

    def forward(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        by = (uniform(seeds_N, view, 1)[:, :, None, None] * 3).long()
        places = (torch.arange(images.shape[-1], device=images.device) + by).clamp(max=images.shape[-1] - 1)
        return images.gather(3, places.expand(images.shape))


class Forgetful(Good):
    """Remembers outside of its state."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def observe(self, real_N: torch.Tensor) -> dict[str, torch.Tensor]:
        self.seen += 1
        self.size.fill_(0.1 * self.seen)
        return {}


class Shouts(Good):
    """Logs what is no scalar."""

    def observe(self, real_N: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": real_N}


class Left(Good):
    """A tensor that does not move along."""

    def __init__(self) -> None:
        super().__init__()
        self.tone = torch.tensor([0.9])

    def forward(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        return super().forward(images, seeds_N, view) * self.tone.to(images.dtype)


class Plain:
    """No module."""


MISTAKES: dict[type[Any], str] = {
    Shrinks: "images (12, 1, 32, 32) became (12, 1, 32, 31)",
    Casts: "images of torch.bfloat16 became torch.float32",
    InPlace: "it changes the images that it is given",
    Bytes: "images lie in [-1, 1]",
    Endless: "not finite",
    Global: "draw all randomness from `seeds_N` and `view`",
    Neighbours: "an image's change depends on its neighbours",
    OneView: "another `view` gives the same draw",
    Detached: "no gradient reaches the images",
    Imprecise: "under autocast (bf16) its images differ",
    Moves: "it says that `moves_pixels` is False",
    Forgetful: "with its state saved and loaded, it goes on differently",
    Shouts: "expected a dict of finite scalar tensors",
    Left: "is given tensors on c",
    Plain: "an augmentation is a torch.nn.Module, this is a Plain",
}


@pytest.fixture(autouse=True)
def _offered() -> Iterator[None]:
    with offered("augmentation", Good, *MISTAKES):
        yield


def test_a_good_one_passes() -> None:
    assert isinstance(check_augmentation("Good"), nn.Module)
    check_augmentation("Detached", differentiable=False)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_each_mistake_is_named(mistake: type[Any]) -> None:
    with pytest.raises(AssertionError, match=re.escape(MISTAKES[mistake])):
        check_augmentation(mistake.__name__)
