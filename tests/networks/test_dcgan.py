"""DCGAN's networks: the paper's sizes and rules, labels in both, any base · 2^n."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from adaptgan.networks.labels import one_hot

LSUN = DataInfo(3, 64, 64)
GREY = DataInfo(1, 16, 16, ("a", "b", "c"))
SHAPES = [(1, 8, 8, 4, 4), (1, 28, 28, 7, 7), (3, 32, 48, 4, 6), (3, 12, 20, 6, 10), (1, 64, 16, 16, 4)]


def kinds(network: nn.Module) -> list[str]:
    return [type(m).__name__ for m in network.modules() if not list(m.children())]


def test_the_generator_is_that_of_figure_1() -> None:
    with torch.device("meta"):
        network = DCGANGenerator(LSUN)
    assert network.n_noise == 100 and not network.conditional
    assert network.project.weight.shape == (1024 * 4 * 4, 100)
    convs = [m for m in network.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [(m.in_channels, m.out_channels) for m in convs] == [(1024, 512), (512, 256), (256, 128), (128, 3)]
    assert all((m.kernel_size, m.stride, m.padding) == ((4, 4), (2, 2), (1, 1)) for m in convs)
    block = ["BatchNorm2d", "ReLU", "ConvTranspose2d"]
    assert kinds(network) == ["Linear", *4 * block]  # no norm after the last, tanh in forward


def test_the_discriminator_is_its_mirror() -> None:
    with torch.device("meta"):
        network = DCGANDiscriminator(LSUN)
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels) for m in convs] == [(3, 128), (128, 256), (256, 512), (512, 1024)]
    assert all((m.kernel_size, m.stride, m.padding) == ((4, 4), (2, 2), (1, 1)) for m in convs)
    assert kinds(network) == ["Conv2d", "LeakyReLU", *3 * ["Conv2d", "BatchNorm2d", "LeakyReLU"], "Linear"]
    assert all(m.negative_slope == 0.2 for m in network.modules() if isinstance(m, nn.LeakyReLU))
    assert network.head.weight.shape == (1, network.n_features) == (1, 1024 * 16)
    assert network.by_batch


def test_channels_are_capped() -> None:
    with torch.device("meta"):
        up = DCGANGenerator(LSUN, channels=16, max_channels=40)
        down = DCGANDiscriminator(LSUN, channels=16, max_channels=40)
    widths = [m.in_channels for m in up.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert widths == [40, 40, 32, 16]
    assert [m.out_channels for m in down.modules() if isinstance(m, nn.Conv2d)] == [16, 32, 40, 40]


@pytest.mark.parametrize(("channels", "height", "width", "h", "w"), SHAPES)
@pytest.mark.parametrize("upsample", ["transposed", "nearest"])
def test_any_base_times_a_power_of_two(channels: int, height: int, width: int, h: int, w: int, upsample: Any) -> None:
    info = DataInfo(channels, height, width)
    network = DCGANGenerator(info, noise=5, channels=4, upsample=upsample)
    assert network.base[1:] == (h, w)
    assert ("ConvTranspose2d" in kinds(network)) == (upsample == "transposed")
    images = network(torch.randn(3, 5))
    assert images.shape == (3, channels, height, width) and images.abs().max() <= 1
    logits, features = DCGANDiscriminator(info, channels=4)(images, features=True)
    assert logits.shape == (3,) and features.shape[0] == 3


def test_a_size_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ParamsError, match="31×32"):
        DCGANGenerator(DataInfo(1, 31, 32))
    with pytest.raises(ParamsError, match="31×32"):
        DCGANDiscriminator(DataInfo(1, 31, 32))


@pytest.mark.parametrize("kind", [DCGANGenerator, DCGANDiscriminator])
def test_weights_start_from_a_normal_of_002(kind: Any) -> None:
    torch.manual_seed(0)
    network = kind(DataInfo(1, 32, 32), channels=64)
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            weight = module.weight.detach()
            error = 5 * 0.02 / weight.numel() ** 0.5
            assert abs(weight.std() - 0.02) < error and abs(weight.mean()) < error
            assert module.bias is None or not module.bias.any()
        if isinstance(module, nn.BatchNorm2d):
            assert abs(module.weight.mean() - 1) < 0.01 and 0.01 < module.weight.std() < 0.03


def test_without_norm_there_are_biases_instead() -> None:
    for network in (DCGANGenerator(GREY, channels=4, norm="none"), DCGANDiscriminator(GREY, channels=4, norm="none")):
        assert not any("Norm" in kind for kind in kinds(network))
        assert all(m.bias is not None for m in network.modules() if hasattr(m, "weight"))


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_only_batch_norm_ties_the_images_of_a_batch_together(norm: Any) -> None:
    torch.manual_seed(0)
    network = DCGANDiscriminator(GREY, channels=4, norm=norm)
    images = torch.randn(6, 1, 16, 16)
    alone, together = network(images[:2]), network(images)[:2]
    assert network.by_batch == (norm == "batch")
    assert torch.allclose(alone, together, atol=1e-6) != network.by_batch


def test_the_head_reads_the_features() -> None:
    network = DCGANDiscriminator(GREY, channels=4)
    logits, features = network(torch.randn(5, 1, 16, 16), features=True)
    assert features.shape == (5, network.n_features)
    assert torch.allclose(features @ network.head.weight[0] + network.head.bias, logits, atol=1e-6)


def test_a_conditional_generators_label_has_a_projection_of_its_own() -> None:
    """W·(z, one-hot y) = W_z·z + the y-th column of W_y."""
    network = DCGANGenerator(GREY, noise=5, channels=4, norm="none", conditional=True).eval()
    z, y = torch.randn(4, 5), torch.tensor([2, 0, 1, 2])
    w, b = network.project.weight, network.project.bias
    projected = z @ w[:, :5].T + w[:, 5:].T[y] + b
    expected = network.layers(projected.view(4, *network.base)).tanh()
    assert torch.allclose(network(z, y), expected, atol=1e-6)
    assert not torch.allclose(network(z, y), network(z, (y + 1) % 3))


def test_a_conditional_discriminators_label_is_a_map_of_ones() -> None:
    network = DCGANDiscriminator(GREY, channels=4, norm="none", conditional="concat").eval()
    images, y = torch.randn(4, 1, 16, 16), torch.tensor([2, 0, 1, 2])
    planes = torch.zeros(4, 3, 16, 16)
    for row, label in enumerate(y.tolist()):
        planes[row, label] = 1
    assert torch.allclose(
        network(images, y), network.head(network.layers(torch.cat([images, planes], 1)).flatten(1))[:, 0]
    )
    assert not torch.allclose(network(images, y), network(images, (y + 1) % 3))


def test_what_is_not_conditional_lets_labels_be() -> None:
    y = torch.tensor([2, 0])
    up, down = DCGANGenerator(GREY, channels=4).eval(), DCGANDiscriminator(GREY, channels=4).eval()
    z = torch.randn(2, 100)
    assert torch.equal(up(z, y), up(z)) and torch.equal(down(up(z), y), down(up(z)))


def test_labels_that_are_missing_are_named() -> None:
    nameless = DataInfo(1, 16, 16)
    with pytest.raises(ParamsError, match="dcgan_generator: a conditional network needs classes"):
        DCGANGenerator(nameless, conditional=True)
    with pytest.raises(ParamsError, match="dcgan_discriminator: a conditional network needs classes"):
        DCGANDiscriminator(nameless, conditional="concat")
    with pytest.raises(ParamsError, match="without labels"):
        DCGANGenerator(GREY, channels=4, conditional=True)(torch.randn(2, 100))


class Waits(TorchDispatchMode):
    """Counts the values that are read from tensors, for which a device must be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_one_hot_is_torchs_but_looks_at_no_value() -> None:
    labels = torch.tensor([2, 0, 1, 2])
    with Waits() as waits:
        found = one_hot(labels, 4)
    assert waits.count == 0
    assert torch.equal(found, F.one_hot(labels, 4).float())
    with Waits() as waits:
        F.one_hot(labels, 4)
    assert waits.count > 0
