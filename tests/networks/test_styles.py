"""Mapping, truncation, mixing and noise of the style-based generators."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.stylegan import StyleGANDiscriminator, StyleGANGenerator
from adaptgan.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from adaptgan.networks.styles import MeanStyle, Noise, StyleGenerator

INFO = DataInfo(1, 16, 16, ("a", "b", "c"))
SMALL: dict[str, Any] = {"noise": 8, "styles": 12, "mapping_layers": 2, "channels": 6}
BOTH = pytest.mark.parametrize("network", [StyleGANGenerator, StyleGAN2Generator])


def build(network: type[StyleGenerator], info: DataInfo = INFO, **options: Any) -> StyleGenerator:
    """With noise that does something: its strengths start at 0."""
    torch.manual_seed(0)
    generator = network(info, **{**SMALL, **options})  # type: ignore[call-arg]
    for module in generator.modules():
        if isinstance(module, Noise):
            torch.nn.init.constant_(module.strength, 0.1)
    return generator


def latents(count: int = 5, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))


@BOTH
def test_mapping_by_hand(network: type[StyleGenerator]) -> None:
    generator = build(network)
    z = latents().double()
    x = z / z.square().mean(1, keepdim=True).sqrt()
    for layer in generator.mapping.layers[::2]:
        # Weights start with a standard deviation of 100 and count a hundredth: their learning rate is a hundredth.
        x = x @ (layer.weight.double() * 0.01 * (2 / layer.in_features) ** 0.5).T + 0.01 * layer.bias.double()
        x = torch.where(x > 0, x, 0.2 * x)
    assert torch.allclose(generator.mapping(latents()), x.float(), rtol=1e-4, atol=1e-5)
    assert 70 < generator.mapping.layers[0].weight.std() < 130


@BOTH
def test_truncation(network: type[StyleGenerator]) -> None:
    generator = build(network)
    for seed in range(5):
        generator.train()(latents(64, seed))
    generator.eval()
    with torch.no_grad():
        plain, mean = generator(latents()), generator(latents(), truncation=0.0)
        assert torch.allclose(generator(latents(), truncation=1.0), plain)
        assert torch.allclose(mean, mean[:1].expand_as(mean), atol=1e-6)
        assert torch.allclose(mean, generator(latents(5, seed=9), truncation=0.0), atol=1e-6)
        assert (plain - plain[:1]).abs().max() > 0.01
        half, styles = generator(latents(), truncation=0.5, return_styles=True)
        w = generator.mapping(latents())
        expected = generator.mean.mean_KW + 0.5 * (w - generator.mean.mean_KW)
        assert torch.allclose(styles, expected[:, None].expand_as(styles), atol=1e-6)
        assert torch.allclose(half, generator.synthesize(styles))


def test_the_mean_style_follows_each_class_by_itself() -> None:
    mean = MeanStyle(2, 3)
    w, labels = torch.tensor([[1.0, 2.0], [3.0, 4.0], [10.0, 0.0]]), torch.tensor([0, 0, 2])
    for _ in range(2):
        mean.update(w, labels)
    share = 1 - 0.995**2
    assert torch.allclose(mean.mean_KW, share * torch.tensor([[2.0, 3.0], [0.0, 0.0], [10.0, 0.0]]))
    assert torch.allclose(mean(torch.tensor([2, 0])), share * torch.tensor([[10.0, 0.0], [2.0, 3.0]]))
    alone = MeanStyle(2)
    alone.update(w)
    assert torch.allclose(alone(), 0.005 * w.mean(0, keepdim=True))


@BOTH
def test_the_mean_style_moves_in_training_alone(network: type[StyleGenerator]) -> None:
    generator = build(network)
    generator.eval()(latents())
    assert not generator.mean.mean_KW.any()
    generator.train()(latents())
    assert torch.allclose(generator.mean.mean_KW[0], 0.005 * generator.mapping(latents()).mean(0), atol=1e-7)


@BOTH
def test_mixing_takes_the_styles_of_two_latents(network: type[StyleGenerator]) -> None:
    generator = build(network).eval()
    w = generator.mapping(latents(400))[:, None]
    torch.manual_seed(0)
    _, styles = generator(latents(400), mixing=0.7, return_styles=True)
    kept = (styles == w).all(2)  # (N, L)
    count = kept.sum(1)
    assert kept[:, 0].all()  # from some layer on, for the rest of the layers
    assert (kept == (torch.arange(generator.n_styles) < count[:, None])).all()
    assert set(count.tolist()) == set(range(1, generator.n_styles + 1))
    assert abs((count < generator.n_styles).float().mean() - 0.7) < 0.07
    other = styles[:, -1]
    torch.manual_seed(0)
    expected = generator.mapping(torch.randn(400, 8))  # one other latent for each image
    assert torch.allclose(other[count < generator.n_styles], expected[count < generator.n_styles], atol=1e-6)
    _, styles = generator(latents(), return_styles=True)
    assert torch.equal(styles, generator.mapping(latents())[:, None].expand_as(styles))


@BOTH
def test_noise_is_new_in_training_and_the_same_when_evaluated(network: type[StyleGenerator]) -> None:
    generator, z = build(network), latents()
    with torch.no_grad():
        assert not torch.equal(generator.train()(z), generator(z))
        torch.manual_seed(0)
        first = generator(z)
        torch.manual_seed(0)
        assert torch.equal(generator(z), first)
        assert torch.equal(generator.eval()(z), generator(z))


def test_noise_by_hand() -> None:
    noise = Noise(2, 3, strengths=4).eval()
    x = torch.randn(5, 4, 2, 3)
    assert torch.equal(noise(x), x)
    with torch.no_grad():
        noise.strength.copy_(torch.tensor([0.5, -1.0, 2.0, 0.7]).view(4, 1, 1))
    for channel in range(4):
        expected = x[:, channel] + noise.strength[channel] * noise.constant[0, 0]
        assert torch.allclose(noise(x)[:, channel], expected)
    added = noise.train()(x) - x
    ratio = added / noise.strength
    assert torch.allclose(ratio, ratio[:, :1].expand_as(ratio), atol=1e-5)  # one map for all channels
    assert (ratio[0] - ratio[1]).abs().max() > 0.1


@BOTH
@pytest.mark.parametrize("shape", [(3, 24, 48), (1, 28, 28), (3, 5, 10)])
def test_any_base_and_any_channels(network: type[StyleGenerator], shape: tuple[int, int, int]) -> None:
    if shape[1] == 5:
        with pytest.raises(ParamsError, match="halved 0 times"):
            build(network, DataInfo(*shape))
        return
    generator = build(network, DataInfo(*shape))
    discriminator = StyleGANDiscriminator if network is StyleGANGenerator else StyleGAN2Discriminator
    images = generator(latents())
    assert images.shape == (5, *shape) and images.abs().max() <= 1
    critic = discriminator(DataInfo(*shape), channels=6)
    logits, features = critic(images, features=True)
    assert logits.shape == (5,) and features.shape == (5, critic.n_features)
    assert torch.equal(critic.eval()(images), critic(images))


@BOTH
def test_classes_decide_and_must_be_given(network: type[StyleGenerator]) -> None:
    generator, z = build(network, conditional=True).eval(), latents()[:1].expand(3, -1)
    images = generator(z, torch.arange(3))
    assert (images[0] - images[1]).abs().max() > 1e-4 and (images[1] - images[2]).abs().max() > 1e-4
    with pytest.raises(ParamsError, match="without labels"):
        generator(z)
    with pytest.raises(ParamsError, match="needs classes"):
        build(network, DataInfo(1, 16, 16), conditional=True)


@pytest.mark.parametrize("discriminator", [StyleGANDiscriminator, StyleGAN2Discriminator])
def test_projection_by_hand(discriminator: type[StyleGANDiscriminator]) -> None:
    torch.manual_seed(0)
    critic = discriminator(INFO, channels=6, conditional="projection").eval()
    images, labels = torch.rand(3, 1, 16, 16), torch.tensor([0, 2, 2])
    logits, features = critic(images, labels, features=True)
    mapped = critic.head.mapping(None, labels)
    assert torch.equal(mapped[1], mapped[2]) and not torch.allclose(mapped[0], mapped[1])
    outputs = critic.head.dense(features)
    expected = [sum(outputs[i] * mapped[i]).item() / 6**0.5 for i in range(3)]
    assert logits.tolist() == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ParamsError, match="without labels"):
        critic(images)


@pytest.mark.parametrize("discriminator", [StyleGANDiscriminator, StyleGAN2Discriminator])
def test_a_discriminator_sees_that_a_batch_is_all_alike(discriminator: type[StyleGANDiscriminator]) -> None:
    torch.manual_seed(0)
    critic, images = discriminator(INFO, channels=6).train(), torch.rand(4, 1, 16, 16)
    assert critic.by_batch
    repeated = critic(images[:1].expand(4, -1, -1, -1))
    assert not torch.isclose(critic(images)[0], repeated[0], rtol=1e-3)
