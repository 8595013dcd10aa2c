from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptgan.errors import ParamsError
from adaptgan.networks.stargan import StarGANDiscriminator, StarGANGenerator
from adaptgan.testing import tiny_info


def convolutions(network: nn.Module) -> list[tuple[int, ...]]:
    """In, out, kernel and stride of each."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    found = [module for module in network.modules() if isinstance(module, kinds)]
    return [(layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0]) for layer in found]


def test_the_generator_is_table_4() -> None:
    """Three colours and, as an example, 5 domains at 128 pixels."""
    with torch.device("meta"):
        network = StarGANGenerator(tiny_info(3, 128, 5))
    blocks = [(256, 256, 3, 1)] * 12
    assert convolutions(network) == [
        (3 + 5, 64, 7, 1),
        (64, 128, 4, 2),
        (128, 256, 4, 2),
        *blocks,
        (256, 128, 4, 2),
        (128, 64, 4, 2),
        (64, 3, 7, 1),
    ]


def test_the_discriminator_is_table_5() -> None:
    with torch.device("meta"):
        network = StarGANDiscriminator(tiny_info(3, 128, 5))
    widths = [64, 128, 256, 512, 1024, 2048]
    halving = [(inside, outside, 4, 2) for inside, outside in zip([3, *widths], widths, strict=False)]
    assert convolutions(network) == [*halving, (2048, 1, 3, 1)]
    assert network.n_features == 2048 * 2 * 2
    slopes = {module.negative_slope for module in network.modules() if isinstance(module, nn.LeakyReLU)}
    assert slopes == {0.01}


@pytest.mark.parametrize(("size", "depth", "side"), [(32, None, 2), (64, None, 2), (32, 2, 8), (8, 3, 1)])
def test_a_logit_for_each_patch(size: int, depth: int | None, side: int) -> None:
    network = StarGANDiscriminator(tiny_info(1, size), channels=4, depth=depth)
    logits_NHW, features_NF = network(torch.randn(3, 1, size, size), features=True)
    assert logits_NHW.shape == (3, side, side) and features_NF.shape == (3, network.n_features)


def stem(network: StarGANGenerator, images_NCHW: torch.Tensor, domain: int) -> torch.Tensor:
    """What the first convolution, its norm and its ReLU make of images and a domain."""
    planes = torch.zeros(len(images_NCHW), network.n_classes, *images_NCHW.shape[2:])
    planes[:, domain] = 1
    first: torch.Tensor = network.layers[:3](torch.cat([images_NCHW, planes], 1))
    return first


@torch.no_grad()
def test_a_norm_behind_the_planes_leaves_the_domain_to_the_border() -> None:
    """Where the border adds nothing of its own, two domains differ in no pixel; without the norm they do in each."""
    torch.manual_seed(0)
    images_NCHW = torch.randn(2, 1, 32, 32)
    inside = (..., slice(3, -3), slice(3, -3))
    for first, found in ((True, False), (False, True)):
        network = StarGANGenerator(tiny_info(1, 32, 2), channels=8, norm_first=first)
        # Borders that go on as they are: then a plane is the same everywhere.
        network.layers[0].padding_mode = "replicate"  # type: ignore[assignment]
        network.layers[0]._reversed_padding_repeated_twice = [3, 3, 3, 3]  # type: ignore[assignment]
        difference = stem(network, images_NCHW, 0) - stem(network, images_NCHW, 1)
        assert bool((difference[inside].abs() > 1e-3).any()) == found
    network = StarGANGenerator(tiny_info(1, 32, 2), channels=8)
    assert (stem(network, images_NCHW, 0) - stem(network, images_NCHW, 1)).abs().max() > 1e-3  # zeros at the border


@torch.no_grad()
@pytest.mark.parametrize("first", [True, False])
def test_another_domain_makes_another_image(first: bool) -> None:
    torch.manual_seed(0)
    network = StarGANGenerator(tiny_info(1, 32, 3), channels=8, blocks=2, norm_first=first)
    image = torch.randn(1, 1, 32, 32).expand(3, -1, -1, -1)
    made = network(image, torch.arange(3))
    assert made.shape == (3, 1, 32, 32) and made.abs().max() <= 1
    assert (made[0] - made[1]).abs().max() > 1e-3 and (made[1] - made[2]).abs().max() > 1e-3


def test_sizes_and_classes_that_do_not_do() -> None:
    with pytest.raises(ParamsError, match="multiples of 4"):
        StarGANGenerator(tiny_info(1, 30))
    with pytest.raises(ParamsError, match="needs classes"):
        StarGANGenerator(tiny_info(1, 32, 0))
    with pytest.raises(ParamsError, match="can be halved 5 times, not 6"):
        StarGANDiscriminator(tiny_info(1, 32), depth=6)
