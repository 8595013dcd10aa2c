"""The fully connected players: maxout by hand, dropout, labels, points in the plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.plain import Layer, PlainDiscriminator, PlainGenerator

POINTS = DataInfo(1, 1, 2, tuple("abcdefgh"))
COLOUR = DataInfo(3, 5, 4, ("a", "b"))


def linears(network: nn.Module) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]


def test_the_sizes_are_goodfellows() -> None:
    mnist = DataInfo(1, 28, 28)
    with torch.device("meta"):
        up, down = PlainGenerator(mnist), PlainDiscriminator(mnist)
    assert linears(up) == [(100, 1200), (1200, 1200), (1200, 784)]
    assert linears(down) == [(784, 240 * 5), (240, 240 * 5), (240, 1)]
    assert [m.p for m in down.modules() if isinstance(m, nn.Dropout)] == [0.2, 0.5, 0.5]
    assert not any(m.p for m in up.modules() if isinstance(m, nn.Dropout))


def test_the_conditional_sizes_are_mirzas() -> None:
    mnist = DataInfo(1, 28, 28, tuple("0123456789"))
    with torch.device("meta"):
        up = PlainGenerator(mnist, (1200,), conditional=True, apart=(200, 1000))
        down = PlainDiscriminator(mnist, (240,), conditional="concat", apart=(240, 50))
    assert linears(up) == [(100, 200), (10, 1000), (1200, 1200), (1200, 784)]
    assert linears(down) == [(784, 240 * 5), (10, 50 * 5), (290, 240 * 5), (240, 1)]


@pytest.mark.parametrize("info", [POINTS, COLOUR])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "maxout"])
def test_shapes_and_range(info: DataInfo, activation: Any) -> None:
    up = PlainGenerator(info, (7,), noise=3)
    images = up(10 * torch.randn(6, 3))
    assert images.shape == (6, info.channels, info.height, info.width) and images.abs().max() <= 1
    down = PlainDiscriminator(info, (7, 4), activation)
    logits, features = down(images, features=True)
    assert logits.shape == (6,) and features.shape == (6, 4) and down.n_features == 4 and not down.by_batch


def test_maxout_by_hand() -> None:
    torch.manual_seed(0)
    layer = Layer(3, 4, "maxout", 5)
    x = torch.randn(6, 3)
    w, b = layer.linear.weight.detach().numpy().reshape(4, 5, 3), layer.linear.bias.detach().numpy().reshape(4, 5)
    expected = np.stack(
        [[max(w[unit, j] @ row + b[unit, j] for j in range(5)) for unit in range(4)] for row in x.numpy()]
    )
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_activations_by_hand() -> None:
    x = torch.randn(6, 3)
    for activation, slope in (("relu", 0.0), ("leaky_relu", 0.2)):
        layer = Layer(3, 4, activation, 5)  # type: ignore[arg-type]
        y = x @ layer.linear.weight.T + layer.linear.bias
        assert torch.allclose(layer(x), torch.where(y > 0, y, slope * y), atol=1e-6)


def test_unbounded_images_are_cut_off() -> None:
    torch.manual_seed(0)
    free, bounded = (PlainGenerator(POINTS, (7,), noise=3, bounded=b) for b in (False, True))
    bounded.load_state_dict(free.state_dict())
    z = 20 * torch.randn(50, 3)
    pixels = free.layers(z).view(-1, 1, 1, 2)
    assert pixels.abs().max() > 1
    assert torch.equal(free(z), pixels.clamp(-1, 1)) and torch.allclose(bounded(z), pixels.tanh())


def test_dropout_only_in_training_and_at_its_place() -> None:
    torch.manual_seed(0)
    network = PlainDiscriminator(POINTS, (64,), input_dropout=0.0, dropout=0.5)
    images = torch.randn(4, 1, 1, 2)
    _, features = network(images, features=True)
    assert torch.equal(features, network(images, features=True)[1])  # before the dropout of the last layer
    assert not torch.equal(network(images), network(images))
    assert torch.equal(network.eval()(images), network(images))
    generator = PlainGenerator(POINTS, (64,), noise=3, dropout=0.5)
    z = torch.randn(4, 3)
    assert not torch.equal(generator(z), generator(z)) and torch.equal(generator.eval()(z), generator(z))


def test_scale_is_the_first_layers() -> None:
    plain, scaled = (PlainDiscriminator(POINTS, (7,), "relu", scale=s).eval() for s in (1.0, 8.0))
    scaled.load_state_dict(plain.state_dict())
    images = torch.randn(4, 1, 1, 2)
    assert torch.allclose(scaled(images), plain(8 * images))
    assert not torch.allclose(scaled(images), plain(images))


def test_labels_side_by_side() -> None:
    """W·(x, one-hot y) = W_x·x + the y-th column of W_y."""
    network = PlainDiscriminator(POINTS, (7,), "relu", conditional="concat").eval()
    images, y = torch.randn(4, 1, 1, 2), torch.tensor([5, 0, 7, 5])
    first = network.layers[0].linear
    hidden = (images.flatten(1) @ first.weight[:, :2].T + first.weight[:, 2:].T[y] + first.bias).relu()
    assert torch.allclose(network(images, y), network.head(hidden)[:, 0], atol=1e-6)
    generator = PlainGenerator(POINTS, (9,), noise=3, conditional=True, apart=(4, 5))
    z = torch.randn(4, 3)
    joined = torch.cat([generator.join.inputs(z), generator.join.labels(torch.eye(8)[y])], 1)
    assert torch.allclose(generator(z, y), generator.layers(joined).tanh().view(4, 1, 1, 2))
    assert not torch.allclose(generator(z, y), generator(z, y.flip(0).roll(1)))


def test_an_orthogonal_start_keeps_lengths() -> None:
    torch.manual_seed(0)
    network = PlainGenerator(POINTS, (16, 16), noise=16, start="orthogonal")
    for module in network.modules():
        if isinstance(module, nn.Linear):
            singular = torch.linalg.svdvals(module.weight)
            assert torch.allclose(singular, torch.full_like(singular, 2**0.5), atol=1e-5)
            assert not module.bias.any()


def test_what_cannot_be_is_named() -> None:
    with pytest.raises(ParamsError, match="no label to keep apart"):
        PlainGenerator(POINTS, apart=(4, 5))
    with pytest.raises(ParamsError, match="plain_generator: a conditional network needs classes"):
        PlainGenerator(DataInfo(1, 1, 2), conditional=True)
    with pytest.raises(ParamsError, match="plain_discriminator: a conditional network needs classes"):
        PlainDiscriminator(DataInfo(1, 1, 2), conditional="concat")
    with pytest.raises(ParamsError, match="without labels"):
        PlainDiscriminator(POINTS, (7,), conditional="concat")(torch.randn(2, 1, 1, 2))
