"""LAPGAN: every level plays its own game, on pyramids of real images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from adaptgan.data.batch import Batch
from adaptgan.errors import ParamsError
from adaptgan.methods.lapgan import LAPGAN
from adaptgan.networks.laplacian import down, up
from adaptgan.plugins import components
from adaptgan.testing import tiny_batch, tiny_info
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine

CONFIG = {
    "name": "lapgan",
    "generator": {"name": "laplacian_generator", "channels": 4, "noise": 8, "widths": [16]},
    "discriminator": {"name": "laplacian_discriminator", "channels": 4, "widths": [16], "dropout": 0.0},
}


def build(**options: Any) -> LAPGAN:
    torch.manual_seed(0)
    method: LAPGAN = components().build("method", CONFIG | options, "method", [tiny_info()])
    method.info = tiny_info()
    return method


def touched(method: LAPGAN, player: str) -> set[int]:
    """The levels whose weights have a gradient other than 0."""
    network: Any = getattr(method, player)
    levels = network.each if player == "discriminator" else [network.coarsest, *network.finer]
    return {
        i
        for i, level in enumerate(levels)
        if any(p.grad is not None and p.grad.abs().max() > 0 for p in level.parameters())
    }


def test_the_losses_are_the_minimax_game_of_each_level() -> None:
    method, batch = build(), tiny_batch(tiny_info())
    d: Any = method.discriminator
    losses = method.discriminator_loss(batch)
    assert list(losses) == ["real_8", "generated_8", "real_16", "generated_16", "real_32", "generated_32"]
    x = batch.source.images_NCHW
    low = up(down(x))
    logits = d(torch.cat([x - low, low], dim=1))
    torch.testing.assert_close(losses["real_32"], -F.logsigmoid(logits).mean())
    torch.testing.assert_close(losses["real_8"], -F.logsigmoid(d(down(down(x)))).mean())
    logits = d(method.fakes(batch)[1])
    torch.testing.assert_close(losses["generated_16"], -torch.log(1 - logits.sigmoid()).mean(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(method.generator_loss(batch)["adversarial_16"], torch.log(1 - logits.sigmoid()).mean())
    assert {"ranking", "diversity"} <= set(batch.measures)


def test_generated_residuals_come_with_the_real_coarse_images() -> None:
    method, batch = build(), tiny_batch(tiny_info())
    for real, fake in list(zip(method.reals(batch), method.fakes(batch), strict=True))[1:]:
        assert torch.equal(real.chunk(2, dim=1)[1], fake.chunk(2, dim=1)[1])
        assert not torch.equal(real.chunk(2, dim=1)[0], fake.chunk(2, dim=1)[0])


@pytest.mark.parametrize("level", [0, 1, 2])
def test_no_gradient_goes_from_one_level_to_another(level: int) -> None:
    for player in ("discriminator", "generator"):
        method, batch = build(), tiny_batch(tiny_info())
        losses = getattr(method, f"{player}_loss")(batch)
        rows = 8 * 2**level
        torch.stack([term for name, term in losses.items() if name.endswith(f"_{rows}")]).sum().backward()
        assert touched(method, player) == {level}


def test_residuals_and_coarse_images_are_augmented_alike() -> None:
    """A mirror of the images is a mirror of both; and h + l is the augmented image whatever it does."""
    method, batch = build(), tiny_batch(tiny_info())

    class Mirror(torch.nn.Module):
        def forward(self, images: torch.Tensor, seeds: torch.Tensor, view: int = 0) -> torch.Tensor:
            return 0.5 * images.flip(3) + 0.25

    method.augmentation = Mirror()
    plain = method.reals(batch)
    seen = method.augmented_levels(batch, plain, 0)
    torch.testing.assert_close(seen[0], 0.5 * plain[0].flip(3) + 0.25)
    residual, low = plain[2].chunk(2, dim=1)
    torch.testing.assert_close(seen[2], torch.cat([0.5 * residual.flip(3), 0.5 * low.flip(3) + 0.25], dim=1))


@pytest.mark.parametrize("every", [1, 2])
def test_penalties_are_those_of_every_level(every: int) -> None:
    method = build(penalties=[{"name": "r1", "every": every}])
    engine = Engine(make_fabric(torch.device("cpu"), "32-true"), method, 2)
    seen = engine.step([tiny_batch(tiny_info())])
    names = {name.rsplit("/", 1)[1] for name in seen if "r1" in name}
    assert names == {"r1_8", "r1_16", "r1_32"}
    assert "generator/image_gradient" in seen


def test_a_lazy_penalty_counts_as_often_as_it_is_skipped() -> None:
    batch, losses = tiny_batch(tiny_info()), {}
    for every in (1, 4):
        method = build(penalties=[{"name": "r1", "every": every}])
        if every == 1:
            losses[every] = method.discriminator_loss(batch)["r1_16"]
        else:
            losses[every] = method.phases()[1].loss(batch)["r1_16"]
    torch.testing.assert_close(losses[4], 4 * losses[1])


def test_classes() -> None:
    options = {
        "generator": CONFIG["generator"] | {"conditional": True},  # type: ignore[operator]
        "discriminator": CONFIG["discriminator"] | {"conditional": "concat"},  # type: ignore[operator]
    }
    method = build(**options)
    assert method.conditional
    engine = Engine(make_fabric(torch.device("cpu"), "32-true"), method, 2)
    engine.step([tiny_batch(tiny_info())])
    method.eval()
    labels = torch.tensor([0, 1, 2])
    images = method.sample(labels, torch.Generator().manual_seed(0))
    assert images.shape == (3, 1, 32, 32)
    assert not torch.allclose(images, method.sample(labels.flip(0), torch.Generator().manual_seed(0)), atol=1e-4)


def test_only_the_first_turns_images_have_a_graph() -> None:
    method = build(repeats=2)
    batches: list[Batch] = [tiny_batch(tiny_info(), step=step) for step in range(2)]
    for turn, batch in enumerate(batches):
        batch.turn = turn
    assert [method.fakes(batch)[2].requires_grad for batch in batches] == [True, False]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ParamsError, match="no pyramids"):
        build(generator={"name": "dcgan_generator", "channels": 8})
    with pytest.raises(ParamsError, match="2 levels above the coarsest, the discriminator 1"):
        build(discriminator={"name": "laplacian_discriminator", "levels": 1, "channels": 4})
