"""Attribute vectors on a linear generator, where adding one adds exactly the difference of the mean images."""

from __future__ import annotations

import pytest
import torch

from adaptgan.errors import ParamsError
from adaptgan.latents.arithmetic import attribute_vector, read_attribute, shifted
from adaptgan.latents.drawing import draw
from tests.latents.linear import linear


def test_on_a_linear_generator_arithmetic_is_exact() -> None:
    model = linear()
    has, lacks, others = (draw(model, 0, numbers) for numbers in ([3, 7, 12], [1, 5], [20, 21]))
    g = model.generate
    v = attribute_vector(has, lacks)
    changed = g(shifted(others, v, [0.0, 1.0, -2.0]).flatten(0, 1)).unflatten(0, (2, 3))
    difference = g(has).mean(0) - g(lacks).mean(0)
    assert torch.allclose(changed[:, 0], g(others))
    assert torch.allclose(changed[:, 1], g(others) + difference, atol=1e-6)
    assert torch.allclose(changed[:, 2], g(others) - 2 * difference, atol=1e-6)


def test_without_a_counterpart_the_mean_of_all_latents_is_taken() -> None:
    has = torch.randn(4, 5)
    assert torch.allclose(attribute_vector(has, has[:0]), has.mean(0))
    with pytest.raises(ParamsError, match="at least one"):
        attribute_vector(has[:0], has)


def test_an_attribute_that_a_classifier_reads() -> None:
    z = torch.tensor([[2.0, 0.0], [4.0, 0.0], [0.0, 1.0], [0.0, 3.0], [9.0, 9.0]])
    p = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.4, 0.6], [0.55, 0.45]])
    assert torch.equal(read_attribute(z, p, 0, "a", threshold=0.6), torch.tensor([3.0, -2.0]))  # the unsure is left out
    assert torch.equal(read_attribute(z, p, 0, "a"), torch.tensor([5.0, 1.0]))
    with pytest.raises(ParamsError, match="0 of 2 samples as 'b' and 2 as something else"):
        read_attribute(z[:2], p[:2], 1, "b")
