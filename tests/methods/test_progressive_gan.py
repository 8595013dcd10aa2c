"""Progressive GAN: the schedule, what is real at each growth, and the average's growth."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.progressive_gan import ProgressiveGAN, at_growth, growth
from adaptgan.models import load_model, save_model
from adaptgan.plugins import components
from adaptgan.testing import tiny_batch, tiny_info
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine

CONFIG = {
    "name": "progressive_gan",
    "generator": {"name": "progressive_generator", "channels": 8, "noise": 8},
    "discriminator": {"name": "progressive_discriminator", "channels": 8},
}


def build(info: DataInfo | None = None, **options: Any) -> ProgressiveGAN:
    info = info or tiny_info(size=16)
    torch.manual_seed(0)
    method: ProgressiveGAN = components().build("method", CONFIG | options, "method", [info])
    method.info = info
    return method


def at(progress: float, info: DataInfo | None = None) -> Batch:
    return dataclasses.replace(tiny_batch(info or tiny_info(size=16), 4), progress=progress)


def test_the_schedule_holds_the_base_then_fades_and_holds() -> None:
    shares = [0, 0.24, 0.25, 0.375, 0.499999, 0.5, 0.74, 0.75, 0.875, 1.0, 1.2]
    expected = [0, 0, 0, 0.5, 1, 1, 1, 1, 1.5, 2, 2]
    assert [growth(share, 2) for share in shares] == pytest.approx(expected, abs=1e-4)


def test_the_schedule_of_one_resolution() -> None:
    assert [growth(share, 1) for share in (0.0, 0.4, 0.75, 1.0)] == [0.0, 0.0, 0.5, 1.0]


@pytest.mark.parametrize("levels", [1, 3, 8])
def test_the_schedule_rises_without_jumps_and_in_equal_parts(levels: int) -> None:
    values = np.array([growth(share, levels) for share in np.linspace(0, 1, 10_001)])
    steps = np.diff(values)
    assert steps.min() >= 0
    assert steps.max() <= 2 * levels / 10_000 * 1.01
    for level in range(1, levels + 1):
        fading = ((values > level - 1) & (values < level)).mean()
        assert fading == pytest.approx(1 / (2 * levels), abs=2e-3)


def test_real_images_are_faded_as_the_generated_ones() -> None:
    images = torch.rand(2, 3, 16, 8) * 2 - 1
    pixels = images.double().numpy()

    def mean(x: np.ndarray, times: int) -> np.ndarray:
        n, c, h, w = x.shape
        return x.reshape(n, c, h // times, times, w // times, times).mean((3, 5))

    def twice(x: np.ndarray) -> np.ndarray:
        return x.repeat(2, 2).repeat(2, 3)

    np.testing.assert_allclose(at_growth(images, 0.0, 2).numpy(), mean(pixels, 4), atol=1e-6)
    np.testing.assert_allclose(at_growth(images, 1.0, 2).numpy(), mean(pixels, 2), atol=1e-6)
    np.testing.assert_allclose(at_growth(images, 2.0, 2).numpy(), pixels, atol=1e-6)
    faded = 0.3 * pixels + 0.7 * twice(mean(pixels, 2))
    np.testing.assert_allclose(at_growth(images, 1.3, 2).numpy(), faded, atol=1e-6)
    faded = 0.5 * mean(pixels, 2) + 0.5 * twice(mean(pixels, 4))
    np.testing.assert_allclose(at_growth(images, 0.5, 2).numpy(), faded, atol=1e-6)


def test_a_training_goes_through_all_sizes_and_ends_at_the_full_one() -> None:
    method = build(growing=0.8)
    engine = Engine(make_fabric(torch.device("cpu"), "32-true"), method, 10)
    sizes, learnt = [], []
    for step in range(10):
        batch = dataclasses.replace(at(step / 10), step=step)
        engine.step([batch])
        sizes.append(batch.shared["fake"].shape[2])
        assert method.real(batch).shape == batch.shared["fake"].shape
        assert method.average.network.growth.item() == pytest.approx(growth(step / 10 / 0.8, 2))
        full = method.generate(torch.randn(2, 8))
        assert full.shape == (2, 1, 16, 16)
        if sizes[-1] == 4:
            assert torch.equal(full[:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3), full)
        learnt.append(len(engine.optimizers[0].state))
    assert sizes == [4, 4, 4, 8, 8, 8, 8, 16, 16, 16]
    assert method.average.network.growth.item() == 2.0
    # Adam has met the last layers only in the end, and by then all of them.
    assert learnt[0] < learnt[3] < learnt[-1] == len(list(method.discriminator.parameters()))


def test_a_model_remembers_how_far_it_had_grown(tmp_path: Any) -> None:
    method = build()
    method.average.network.grow(0.5)  # type: ignore[operator]
    card = {"data": {"channels": 1, "height": 16, "width": 16, "classes": ["a", "b", "c"]}}
    save_model(method, card | {"method": CONFIG}, tmp_path)
    loaded = load_model(tmp_path)
    z = torch.randn(2, 8)
    with torch.no_grad():
        images = loaded.generate(z)  # type: ignore[operator]
        torch.testing.assert_close(images, method.eval().generate(z))
    assert images.shape == (2, 1, 16, 16)
    assert torch.equal(images[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3), images)


def test_the_penalty_and_the_drift_are_the_papers() -> None:
    method, batch = build(), at(0.999)
    torch.manual_seed(1)
    losses = method.discriminator_loss(batch)
    assert set(losses) == {"real", "generated", "gradient_penalty", "drift"}
    logits = method.discriminator(batch.source.images_NCHW)
    assert losses["real"].item() == pytest.approx(-logits.mean().item(), abs=1e-5)
    assert losses["drift"].item() == pytest.approx(1e-3 * logits.square().mean().item(), rel=1e-4)


def test_every_phase_says_that_it_leaves_layers_without_a_gradient() -> None:
    phases = build(penalties=["gradient_penalty", {"name": "r1", "every": 4}]).phases()
    assert [phase.name for phase in phases] == ["discriminator", "r1", "generator"]
    assert all(phase.partial for phase in phases)


def test_networks_that_do_not_grow_are_refused() -> None:
    with pytest.raises(ParamsError, match="do not both grow"):
        build(generator={"name": "dcgan_generator", "channels": 8})
