"""ClassTranslator: the classes reach the discriminator, the guard reads them, and the noise is each image's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from adaptgan.data.augmentation import Identity
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Guard
from adaptgan.methods.class_translator import ClassTranslator
from adaptgan.networks.dcgan import DCGANDiscriminator
from adaptgan.networks.hourglass import HourglassTranslator
from adaptgan.objectives.adversarial import Hinge
from adaptgan.testing import tiny_batch, tiny_info

INFO = tiny_info()


class Reader(nn.Module):
    """A guard that reads every image as class 2."""

    info = INFO

    def predictor(self) -> nn.Module:
        return self

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(images_NCHW), 3)
        logits[:, 2] = 5.0
        return logits


class Spy(DCGANDiscriminator):
    """Remembers what it was asked."""

    asked: list[tuple[torch.Tensor, torch.Tensor]]

    def forward(self, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None = None, features: bool = False) -> Any:
        assert labels_N is not None
        self.asked.append((images_NCHW, labels_N))
        return super().forward(images_NCHW, labels_N, features)


def build(data: DataInfo = INFO, guard: Any = None, **options: Any) -> ClassTranslator:
    torch.manual_seed(0)
    spy = Spy(data, channels=4, norm="none", conditional="projection")
    spy.asked = []
    generator = HourglassTranslator(data, noise=8, channels=4)
    return ClassTranslator(
        data,
        Guard(guard or Reader()),
        generator,
        spy,
        Hinge(),
        [],
        jitter=Identity(),
        semantic_augmentation=Identity(),
        **options,
    )


def test_the_discriminator_sees_the_source_s_labels_and_what_the_guard_reads() -> None:
    method, batch = build(), tiny_batch(INFO)
    method.discriminator_loss(batch)
    images, labels = method.discriminator.asked[0]
    assert torch.equal(images[:8], batch.real.images_NCHW)
    assert torch.equal(labels, torch.cat([torch.full((8,), 2), batch.source.labels]))
    method.generator_loss(batch)
    fake, labels = method.discriminator.asked[1]
    assert torch.equal(fake, images[8:])  # made once for both
    assert torch.equal(labels, batch.source.labels)


def test_the_losses_are_hinges() -> None:
    method, batch = build(content=0.5), tiny_batch(INFO)
    losses = method.discriminator_loss(batch)
    images, labels = method.discriminator.asked[0]
    with torch.no_grad():
        logits = method.discriminator(images, labels)
    assert losses["real"].item() == pytest.approx((1 - logits[:8]).clamp(min=0).mean().item(), rel=1e-5)
    assert losses["generated"].item() == pytest.approx((1 + logits[8:]).clamp(min=0).mean().item(), rel=1e-5)
    losses = method.generator_loss(batch)
    assert losses["adversarial"].item() == pytest.approx(-logits[8:].mean().item(), rel=1e-4)

    def blocks(x: torch.Tensor) -> torch.Tensor:
        return x.view(8, 1, 8, 4, 8, 4).mean((3, 5))

    away = (blocks(images[8:]) - blocks(batch.source.images_NCHW)).abs().mean()
    assert losses["content"].item() == pytest.approx(0.5 * away.item(), rel=1e-4)


def test_an_image_s_noise_is_its_own() -> None:
    method = build().eval()
    images, seeds = tiny_batch(INFO).source.images_NCHW, torch.arange(8)
    with torch.no_grad():
        together = method.translate(images, seeds)
        alone = method.translate(images[3:4], seeds[3:4])
        assert torch.allclose(together[3:4], alone, atol=1e-5)
        assert not torch.allclose(together, method.translate(images, seeds + 1), atol=1e-5)


def test_it_says_that_the_guard_is_missing() -> None:
    method = build()
    method.guard = Guard()
    with pytest.raises(ParamsError, match="--guard DIR"):
        method.phases()
