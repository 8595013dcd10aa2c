"""AdaIN and the layers of StyleGAN."""

from __future__ import annotations

import torch

from adaptgan.datainfo import DataInfo
from adaptgan.networks.layers import level_channels
from adaptgan.networks.stylegan import StyledLayer, StyleGANGenerator, adaptive_instance_norm


def test_adain_is_the_formula() -> None:
    torch.manual_seed(0)
    x, scale, shift = 3 + 2 * torch.randn(4, 3, 5, 6), torch.randn(4, 3), torch.randn(4, 3)
    found = adaptive_instance_norm(x, scale, shift)
    for n in range(4):
        for c in range(3):
            values = x[n, c].double()
            centred = values - values.sum() / 30
            sigma = (centred.square().sum() / 30).sqrt()
            expected = scale[n, c] * centred / sigma + shift[n, c]
            assert torch.allclose(found[n, c].double(), expected, atol=1e-5)
    assert adaptive_instance_norm(x.bfloat16(), scale, shift).dtype == torch.bfloat16


def test_a_layer_has_the_statistics_that_its_style_says() -> None:
    torch.manual_seed(0)
    layer = StyledLayer(None, 4, (8, 8), 5).train()
    torch.nn.init.normal_(layer.noise.strength)
    x, w = torch.randn(3, 4, 8, 8), torch.randn(3, 5)
    y = layer(x, w)
    scale, shift = layer.style(w).chunk(2, 1)
    assert torch.allclose(y.mean((2, 3)), shift, atol=1e-5)
    assert torch.allclose(y.std((2, 3), correction=0), (1 + scale).abs(), atol=1e-4)


def test_an_untrained_style_leaves_features_normalized() -> None:
    layer = StyledLayer(None, 4, (8, 8), 5).eval()
    y = layer(torch.randn(3, 4, 8, 8), torch.zeros(3, 5))
    assert torch.allclose(y.mean((2, 3)), torch.zeros(3, 4), atol=1e-5)
    assert torch.allclose(y.var((2, 3), correction=0), torch.ones(3, 4), atol=1e-3)


def test_two_layers_a_resolution_and_channels_that_halve() -> None:
    info = DataInfo(3, 64, 64)
    assert level_channels(4, 4, 512, 2048) == [512, 256, 128, 64, 32]
    assert level_channels(4, 3, 100, 1600) == [100, 100, 100, 50]
    generator = StyleGANGenerator(info, 8, 8, 2, channels=16, capacity=128)
    assert generator.n_styles == len(generator.layers) == 10
    assert generator.constant.shape == (1, 16, 4, 4)
    assert [layer.bias.numel() for layer in generator.layers[::2]] == [16, 16, 8, 4, 2]
