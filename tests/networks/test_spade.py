"""SPADE's layers against the paper's equation, and what its generator does with map and style."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.residual import Layers
from adaptgan.networks.spade import SPADE, SPADEBlock, SPADEGenerator

CLASSES = tuple("abcd")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def maps(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    drawn = torch.randint(4, (count, height, width), generator=torch.Generator().manual_seed(seed))
    return F.one_hot(drawn, 4).permute(0, 3, 1, 2).float()


def generator(height: int = 32, width: int = 32, **options: Any) -> SPADEGenerator:
    torch.manual_seed(0)
    info = DataInfo(3, height, width, CLASSES, "segmentation")
    return SPADEGenerator(info, **{"channels": 4, "widest": 2, "hidden": 8, **options})


def by_hand(spade: SPADE, x: torch.Tensor, m: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    """Equation 1, with the statistics of the given axes."""
    normed = (x - x.mean(axes, keepdim=True)) / (x.var(axes, keepdim=True, unbiased=False) + 1e-5).sqrt()
    hidden = F.conv2d(m, spade.shared.weight, spade.shared.bias, padding=1).relu()
    both = F.conv2d(hidden, spade.modulation.weight, spade.modulation.bias, padding=1)
    gamma, beta = both[:, : x.shape[1]], both[:, x.shape[1] :]
    return normed * (1 + gamma) + beta


@pytest.mark.parametrize(("norm", "axes"), [("batch", (0, 2, 3)), ("instance", (2, 3))])
def test_the_layer_is_equation_1(norm: Any, axes: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    spade = SPADE(6, 4, 8, norm)
    x, m = 3 * noise(5, 6, 8, 8) + 2, maps(5, 8, 8)
    torch.testing.assert_close(spade(x, m), by_hand(spade, x, m, axes), rtol=1e-4, atol=1e-4)
    assert not list(spade.norm.parameters()), "the norm itself has nothing to learn"


@pytest.mark.parametrize("outside", [6, 4, 9])
def test_the_block_is_figure_4(outside: int) -> None:
    torch.manual_seed(0)
    block = SPADEBlock(6, outside, Layers("glorot"), lambda count: SPADE(count, 4, 8, "instance"))
    x, m = noise(3, 6, 8, 8), maps(3, 8, 8)
    axes = (2, 3)

    def stage(spade: nn.Module, conv: nn.Module, y: torch.Tensor) -> torch.Tensor:
        active = F.leaky_relu(by_hand(spade, y, m, axes), 0.2)  # type: ignore[arg-type]
        return F.conv2d(active, conv.weight, conv.bias, padding=1)  # type: ignore[arg-type]

    between = stage(block.first_norm, block.first, x)
    assert between.shape[1] == min(6, outside)
    expected = stage(block.second_norm, block.second, between)
    expected = expected + (
        x if outside == 6 else F.conv2d(by_hand(block.shortcut_norm, x, m, axes), block.shortcut.weight)
    )
    torch.testing.assert_close(block(x.clone(), m), expected, rtol=1e-4, atol=1e-4)


def test_the_papers_sizes() -> None:
    """Appendix A at 256×256: seven blocks, 1024 channels four times, then half as many at each size, from 8×8."""
    network = generator(256, 256, channels=1, widest=16, levels=5, hidden=2)
    sizes: list[tuple[int, int]] = []
    blocks = [module for module in network.modules() if isinstance(module, SPADEBlock)]
    for block in blocks:
        block.register_forward_hook(lambda _, __, y: sizes.append((y.shape[1], y.shape[2])))
    network.eval()(maps(1, 256, 256))
    assert sizes == [(16, 8), (16, 16), (16, 16), (8, 32), (4, 64), (2, 128), (1, 256)]
    spectral = {name for name, _ in network.named_buffers() if name.endswith(".u")}
    assert len(spectral) == 2 * 7 + 4  # both convolutions of each block, and the shortcuts that change the channels


@pytest.mark.parametrize(("height", "width"), [(32, 32), (48, 48), (24, 40)])
@pytest.mark.parametrize("latents", [0, 5])
def test_images_of_any_base(height: int, width: int, latents: int) -> None:
    network = generator(height, width, noise=latents).eval()
    images = network(maps(2, height, width), *([noise(2, 5)] if latents else []))
    assert images.shape == (2, 3, height, width) and images.abs().max() <= 1


def test_a_map_that_is_the_same_all_over_still_tells_its_class() -> None:
    """What an ordinary norm washes away (§3.1): two uniform maps of different classes."""
    network = generator(norm="instance").eval()
    planes = torch.zeros(2, 4, 32, 32)
    planes[0, 1], planes[1, 2] = 1, 1
    first, second = network(planes)
    middle = (slice(None), slice(12, 20), slice(12, 20))  # borders know where they are
    assert (first[middle] - second[middle]).abs().mean() > 0.01


def test_a_pixel_of_the_map_is_felt_around_it() -> None:
    network = generator().eval()
    one, other = maps(1, 32, 32), maps(1, 32, 32)
    other[0, :, 9, 11] = torch.roll(other[0, :, 9, 11], 1)
    change = (network(one) - network(other))[0].abs().sum(0)
    assert change[9, 11] > 0 and change[9, 11] > 10 * change[-4:, -4:].max()


def test_a_style_is_another_image_of_the_same_map() -> None:
    network = generator(noise=6).eval()
    m = maps(2, 32, 32)
    z = noise(2, 6)
    assert (network(m, z) - network(m, z + 1)).abs().mean() > 1e-3
    assert torch.equal(network(m), network(m, torch.zeros(2, 6)))


def test_bfloat16_is_close() -> None:
    network = generator(noise=6)
    m, z = maps(4, 32, 32), noise(4, 6)
    exact = network(m, z)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(m, z)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().mean() < 0.05


def test_what_it_cannot_be_built_for() -> None:
    with pytest.raises(ParamsError, match="needs classes"):
        SPADEGenerator(DataInfo(3, 32, 32))
    with pytest.raises(ParamsError, match="can be halved"):
        generator(30, 32, levels=3)
