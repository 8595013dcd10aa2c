"""A latent's number is its address: the same latent in any batch, grid, count or command."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adaptgan.errors import ParamsError
from adaptgan.latents.drawing import BLOCK, as_latent_model, as_sampler, class_index, draw, labels_of, render, sampled
from tests.latents.linear import linear


class Plain:
    """A sampler that shows no latents."""

    conditional = True

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.card = {"method": {"name": "plain"}}

    def sample(
        self, labels_N: torch.Tensor, generator: torch.Generator, truncation: float | None = None
    ) -> torch.Tensor:
        self.asked.append(len(labels_N))
        noise = torch.rand(len(labels_N), 1, 2, 2, generator=generator)
        return noise * (truncation or 1) / (1 + labels_N.view(-1, 1, 1, 1))


def test_latents_do_not_depend_on_what_else_is_asked_for() -> None:
    model = linear(6)
    whole = draw(model, 3, range(2 * BLOCK + 5))
    assert torch.equal(draw(model, 3, [BLOCK + 1, 4, 4]), whole[[BLOCK + 1, 4, 4]])
    assert len(torch.unique(whole, dim=0)) == len(whole)
    assert not torch.equal(draw(model, 4, [4]), whole[[4]])
    many = draw(model, 0, range(4000))
    assert abs(float(many.mean())) < 0.02 and abs(float(many.std()) - 1) < 0.02
    assert draw(model, 0, range(100), 0.5).abs().max() <= 0.5


def test_render_in_batches_is_the_generator() -> None:
    model = linear(conditional=True)
    z, labels = draw(model, 0, range(7)), torch.arange(7) % 3
    expected = model.generate(z, labels).clamp(-1, 1)
    assert torch.allclose(render(model, z, labels, batch_size=3), expected, atol=1e-6)
    assert torch.allclose(sampled(model, 0, range(7), labels), model.generate(z, labels), atol=1e-6)


def test_a_plain_sampler_makes_whole_blocks() -> None:
    model: Any = Plain()
    numbers = [*range(3), BLOCK + 2]
    labels = torch.tensor([0, 1, 0, 1])
    some = sampled(model, 0, numbers, labels, 0.5)
    assert model.asked == [BLOCK, BLOCK]
    each = torch.cat([sampled(model, 0, [n], labels[i : i + 1], 0.5) for i, n in enumerate(numbers)])
    assert torch.equal(some, each) and some.max() <= 0.5
    with pytest.raises(ParamsError, match="does not show its latents"):
        as_latent_model(model)


def test_classes_of_numbers() -> None:
    model = linear(conditional=True)
    assert labels_of(model, range(5)).tolist() == [0, 1, 2, 0, 1]  # type: ignore[union-attr]
    assert labels_of(model, [5, 9], "b").tolist() == [1, 1]  # type: ignore[union-attr]
    assert labels_of(linear(), range(5)) is None
    with pytest.raises(ParamsError, match="no class 'd'. Known: a, b, c"):
        class_index(model, "d")
    with pytest.raises(ParamsError, match="not taught any classes"):
        labels_of(linear(), [0], "a")


def test_what_is_no_sampler_is_named() -> None:
    class Refiner:
        card = {"method": {"name": "simgan"}}  # noqa: RUF012

    with pytest.raises(ParamsError, match="'simgan' makes no images from noise"):
        as_sampler(Refiner())
    assert as_latent_model(linear()).n_noise == 3
