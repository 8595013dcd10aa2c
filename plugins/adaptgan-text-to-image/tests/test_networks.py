from __future__ import annotations

from typing import Any

import pytest
import torch
from adaptgan_text_to_image import grammar
from adaptgan_text_to_image.conditioning import ConditioningAugmentation, drawn
from adaptgan_text_to_image.networks import beside
from adaptgan_text_to_image.text_encoders import masked_mean
from torch.distributions import Normal, kl_divergence

from adaptgan import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.objectives.likelihood import kl_to_standard_normal
from adaptgan.plugins import components
from adaptgan.testing import check_network, check_plugin

INFO = DataInfo(3, 32, 32, tuple(grammar.DIGITS))


def build(config: dict[str, Any], info: DataInfo = INFO) -> Any:
    torch.manual_seed(0)
    return components().build("network", config, "network", [info])


def texts(number: int = 4, length: int = 6) -> torch.Tensor:
    return torch.randint(1, 20, (number, length), generator=torch.Generator().manual_seed(0))


def test_the_plugin_conforms() -> None:
    names = {spec.name for spec in check_plugin("adaptgan-text-to-image")}
    assert names == {
        "captioned_digits",
        "gru_text_encoder",
        "bag_text_encoder",
        "text_generator",
        "text_refiner",
        "text_discriminator",
        "gan_cls",
        "stackgan",
    }


@pytest.mark.parametrize("modulation", ["none", "batch"])
@pytest.mark.parametrize("shrink", [1, 2])
def test_the_generator_conforms(modulation: str, shrink: int) -> None:
    config = {
        "name": "text_generator",
        "text": 8,
        "noise": 6,
        "channels": 4,
        "modulation": modulation,
        "shrink": shrink,
    }
    network = check_network(config, torch.randn(4, 6), torch.randn(4, 8), info=INFO)
    made = network(torch.randn(2, 6), torch.randn(2, 8))
    assert made.shape == (2, 3, 32 // shrink, 32 // shrink) and made.abs().max() <= 1


@pytest.mark.parametrize(("enlarge", "base"), [(2, 8), (2, 4), (4, 4)])
def test_the_refiner_conforms(enlarge: int, base: int) -> None:
    config = {"name": "text_refiner", "text": 8, "channels": 4, "enlarge": enlarge, "base": base, "residual": 1}
    small = torch.rand(4, 3, 32 // enlarge, 32 // enlarge) * 2 - 1
    network = check_network(config, small, torch.randn(4, 8), info=INFO)
    assert network(small, torch.randn(4, 8)).shape == (4, 3, 32, 32)


@pytest.mark.parametrize("norm", ["batch", "spectral", "none"])
@pytest.mark.parametrize("conditional", ["concat", "projection"])
def test_the_discriminator_conforms(norm: str, conditional: str) -> None:
    config = {"name": "text_discriminator", "text": 8, "channels": 4, "norm": norm, "conditional": conditional}
    check_network(config, torch.rand(4, 3, 32, 32) * 2 - 1, torch.randn(4, 8), info=INFO)


@pytest.mark.parametrize("conditional", ["concat", "projection"])
def test_an_image_beside_several_texts_is_judged_as_beside_each(conditional: str) -> None:
    config = {"name": "text_discriminator", "text": 8, "channels": 4, "norm": "spectral", "conditional": conditional}
    network = build(config).eval()
    images, text = torch.rand(3, 3, 32, 32), torch.randn(5, 8)
    rows = torch.tensor([2, 0, 0, 1, 2])
    together = network(images, text, rows)
    apart = torch.cat([network(images[row : row + 1], text[i : i + 1]) for i, row in enumerate(rows.tolist())])
    assert torch.allclose(together, apart, atol=1e-5)
    assert together[0] != together[4]  # one image, two texts


def test_a_projected_text_is_an_inner_product_with_what_is_seen() -> None:
    config = {"name": "text_discriminator", "text": 8, "channels": 4, "norm": "none", "conditional": "projection"}
    network = build(config).eval()
    images, text = torch.rand(3, 3, 32, 32), torch.randn(3, 8)
    seen = network.halved(images).flatten(1)
    expected = seen @ network.head.weight[0] + network.head.bias + (text @ network.expected.weight.T * seen).sum(1)
    assert torch.allclose(network(images, text), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["gru_text_encoder", "bag_text_encoder"])
def test_the_encoders_conform(name: str) -> None:
    check_network({"name": name, "width": 8, "length": 6}, texts(), info=INFO)


@pytest.mark.parametrize("name", ["gru_text_encoder", "bag_text_encoder"])
def test_padding_changes_nothing(name: str) -> None:
    encoder = build({"name": name, "width": 8}).eval()
    words = texts(3, 5)
    assert torch.allclose(encoder(words), encoder(torch.nn.functional.pad(words, (0, 4))), atol=1e-6)


def test_order_matters_to_one_encoder_and_not_to_the_other() -> None:
    one, other = "a red seven on green", "a green seven on red"
    for name, tells in (("gru_text_encoder", True), ("bag_text_encoder", False)):
        encoder = build({"name": name, "width": 8}).eval()
        words = torch.stack([torch.from_numpy(encoder.vocabulary.encode(text)) for text in (one, other)])
        first, second = encoder(words)
        assert torch.allclose(first, second, atol=1e-6) != tells


def test_masked_mean_by_hand() -> None:
    values = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]], [[5.0, 5.0], [7.0, 7.0], [7.0, 7.0]]])
    there = torch.tensor([[True, True, False], [False, False, False]])
    assert masked_mean(values, there).tolist() == [[2.0, 3.0], [0.0, 0.0]]


def test_a_text_stands_at_each_position_behind_the_channels() -> None:
    joined = beside(torch.zeros(2, 3, 4, 5), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert joined.shape == (2, 5, 4, 5) and not joined[:, :3].any()
    assert (joined[0, 3] == 1).all() and (joined[1, 4] == 4).all()


def test_conditioning_is_a_gaussian_and_its_divergence_torchs() -> None:
    torch.manual_seed(0)
    gaussian = ConditioningAugmentation(8, 5)(torch.randn(6, 8))
    mean, log_variance = gaussian.chunk(2, 1)
    assert mean.shape == (6, 5)
    distribution = Normal(mean, (0.5 * log_variance).exp())
    expected = kl_divergence(distribution, Normal(torch.zeros(5), torch.ones(5))).sum(1)
    assert torch.allclose(kl_to_standard_normal(mean, log_variance), expected, atol=1e-5)
    many = torch.stack([drawn(gaussian, torch.randn(6, 5)) for _ in range(4000)])
    assert torch.allclose(many.mean(0), distribution.mean, atol=0.12)
    assert torch.allclose(many.std(0), distribution.stddev, rtol=0.1)
    assert torch.equal(drawn(gaussian, None), mean)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"name": "text_generator", "shrink": 3}, "3 times smaller"),
        ({"name": "text_discriminator", "shrink": 64}, "64 times smaller"),
        ({"name": "text_refiner", "base": 5}, "shorter side of 5"),
        ({"name": "text_refiner", "base": 16}, "shorter side of 16"),
    ],
)
def test_sizes_that_do_not_fit_are_told(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ParamsError, match=told):
        build(config)
