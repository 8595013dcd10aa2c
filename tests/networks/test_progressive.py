"""The growing networks: what is used at which growth, and that fading in has no jumps."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.layers import level_channels
from adaptgan.networks.progressive import ProgressiveDiscriminator, ProgressiveGenerator
from adaptgan.training.ema import EMA

INFO = DataInfo(3, 16, 32, ("a", "b"))
EPS = 1e-6


def generator(conditional: bool = False) -> ProgressiveGenerator:
    torch.manual_seed(0)
    return ProgressiveGenerator(INFO, noise=6, channels=8, conditional=conditional)


def discriminator() -> ProgressiveDiscriminator:
    torch.manual_seed(0)
    return ProgressiveDiscriminator(INFO, channels=8)


def used(network: nn.Module) -> set[str]:
    return {name.rsplit(".", 1)[0] for name, p in network.named_parameters() if p.grad is not None}


def test_new_networks_are_fully_grown() -> None:
    g = generator()
    assert (g.levels, g.level, g.fading) == (2, 2, False)
    assert g(torch.randn(2, 6)).shape == (2, 3, 16, 32)


def test_channels_are_the_papers() -> None:
    assert level_channels(4, 8, 512, 16384) == [512, 512, 512, 512, 256, 128, 64, 32, 16]


@pytest.mark.parametrize(("growth", "size"), [(0.0, (4, 8)), (0.3, (8, 16)), (1.0, (8, 16)), (1.5, (16, 32))])
def test_images_have_the_size_grown_to(growth: float, size: tuple[int, int]) -> None:
    g, d = generator(), discriminator()
    g.grow(growth)
    d.grow(growth)
    images = g(torch.randn(2, 6))
    assert images.shape == (2, 3, *size)
    assert d(images).shape == (2,)


@pytest.mark.parametrize("level", [0, 1])
def test_a_new_resolution_starts_as_the_old_one_doubled_and_ends_as_itself(level: int) -> None:
    g, z = generator(), torch.randn(3, 6)
    images = {}
    for name, growth in {"old": level, "start": level + EPS, "half": level + 0.5, "end": level + 1 - EPS}.items():
        g.grow(growth)
        images[name] = g(z)
    g.grow(level + 1)
    fine, coarse = g(z), images["old"].repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(images["start"], coarse, atol=1e-4, rtol=0)
    torch.testing.assert_close(images["end"], fine, atol=1e-4, rtol=0)
    assert not torch.allclose(fine, coarse, atol=0.01)
    # The mean before the tanh.
    torch.testing.assert_close(images["half"], ((coarse.atanh() + fine.atanh()) / 2).tanh(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("level", [0, 1])
def test_a_discriminator_has_no_jumps_either(level: int) -> None:
    d = discriminator()
    images = torch.rand(4, 3, 4 * 2 ** (level + 1), 8 * 2 ** (level + 1)) * 2 - 1
    d.grow(level + EPS)
    start = d(images)
    d.grow(level + 1 - EPS)
    end = d(images)
    d.grow(level)
    torch.testing.assert_close(start, d(F.avg_pool2d(images, 2)), atol=1e-4, rtol=0)
    d.grow(level + 1)
    torch.testing.assert_close(end, d(images), atol=1e-4, rtol=0)
    assert not torch.allclose(start, end, atol=1e-2)


def test_images_larger_than_grown_to_are_averaged_down() -> None:
    d, images = discriminator(), torch.rand(4, 3, 16, 32)
    for growth, times in ((0.0, 4), (0.5, 2), (1.0, 2), (1.5, 1)):
        d.grow(growth)
        torch.testing.assert_close(d(images), d(F.avg_pool2d(images, times)))


def test_only_what_is_in_use_learns() -> None:
    g = generator()
    g.grow(0.0)
    g(torch.randn(2, 6)).sum().backward()
    assert used(g) == {"project", "first.2", "to_image.0"}
    g = generator()
    g.grow(1.5)
    g(torch.randn(2, 6)).sum().backward()
    assert used(g) == {"project", "first.2", "blocks.0.1", "blocks.0.4", "blocks.1.1", "blocks.1.4"} | {
        "to_image.1",
        "to_image.2",
    }
    d = discriminator()
    d.grow(1.0)
    d(torch.randn(2, 3, 8, 16)).sum().backward()
    assert {name for name in used(d) if "image" in name} == {"from_image.1.0"}
    assert not any(name.startswith("blocks.1") for name in used(d))


def test_growth_is_in_the_state() -> None:
    g, z = generator(), torch.randn(2, 6)
    g.grow(0.75)
    twin = generator()
    twin.load_state_dict(g.state_dict())
    assert (twin.level, twin.fading) == (1, True)
    assert torch.equal(twin(z), g(z))
    average = EMA(g)
    average.load_state_dict(average.state_dict())
    assert torch.equal(average(z), g(z))


def test_growth_may_change_between_a_forward_and_its_backward() -> None:
    g = generator()
    g.grow(1.5)
    images = g(torch.randn(2, 6))
    g.grow(1.75)
    images.sum().backward()


def test_the_critic_tells_a_batch_of_copies() -> None:
    d, images = discriminator(), torch.randn(4, 3, 16, 32)
    alone = d.eval()(images[:1])
    torch.testing.assert_close(d.train()(images[:1].expand(4, -1, -1, -1)), alone.expand(4), atol=1e-3, rtol=0)
    assert not torch.allclose(d(images)[:1], alone, atol=1e-3)
    assert d.by_batch


def test_conditional_networks() -> None:
    g, z = generator(conditional=True), torch.randn(2, 6)
    assert not torch.allclose(g(z, torch.tensor([0, 0])), g(z, torch.tensor([1, 1])), atol=1e-3)
    d = ProgressiveDiscriminator(INFO, channels=8, conditional="projection")
    images = g(z, torch.tensor([0, 0]))
    assert not torch.allclose(d(images, torch.tensor([0, 0])), d(images, torch.tensor([1, 1])), atol=1e-3)
    logits, features = d(images, torch.tensor([0, 1]), features=True)
    assert logits.shape == (2,)
    assert features.shape == (2, d.n_features)
    for network in (ProgressiveGenerator, ProgressiveDiscriminator):
        with pytest.raises(ParamsError, match="needs classes"):
            network(DataInfo(1, 16, 16), conditional=True if network is ProgressiveGenerator else "projection")
