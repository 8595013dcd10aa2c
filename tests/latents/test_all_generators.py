"""Every built-in generator can be sampled, interpolated and inverted."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adaptgan.latents.drawing import as_latent_model, draw, labels_of, sampled
from adaptgan.latents.inversion import invert
from adaptgan.methods.base import Guard
from adaptgan.methods.generative import GenerativeMethod
from adaptgan.plugins import components
from adaptgan.testing import tiny_info
from tests.testing.test_methods import CONFIGS

REGISTRY = components()


def generative(name: str) -> bool:
    method = REGISTRY.load(REGISTRY.find("method", name))
    return isinstance(method, type) and issubclass(method, GenerativeMethod)


@pytest.mark.parametrize("name", [name for name in CONFIGS if generative(name)])
def test_latents_of_a_generator_decide_its_images(name: str) -> None:
    info = tiny_info()
    torch.manual_seed(0)
    method: Any = REGISTRY.build("method", {"name": name, **CONFIGS[name]}, "method", [info, Guard()])
    method.info, method.card = info, {"method": {"name": name}}
    model = as_latent_model(method.eval().requires_grad_(False))
    z, labels = draw(model, 0, range(3)), labels_of(model, range(3))
    images = model.generate(z, labels)
    assert images.shape == (3, info.channels, info.height, info.width)
    assert torch.equal(images, model.generate(z, labels))  # no noise of its own, or the same each time
    alone = torch.cat([sampled(model, 0, [n], None if labels is None else labels[n : n + 1]) for n in range(3)])
    assert torch.allclose(alone, images, atol=1e-4)  # none looks at its neighbours in the batch
    z.requires_grad_()
    (gradient,) = torch.autograd.grad(model.generate(z, labels).square().sum(), z)
    assert torch.isfinite(gradient).all() and (gradient.abs().amax(1) > 0).all()
    start = invert(model, images, labels, steps=1, lr=1e-9, restarts=1)
    found = invert(model, images, labels, steps=6, lr=0.05, restarts=1)
    assert (found.error_N <= start.error_N).all() and (found.error_N < start.error_N).any()
