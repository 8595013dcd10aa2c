"""The variational autoencoder: its bound against a model whose evidence is known, and what it offers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import distributions, nn

from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.vae import VAE
from adaptgan.plugins import components
from adaptgan.testing import tiny_batch, tiny_info

INFO = DataInfo(1, 2, 3)
SIGMA = 0.4


class Linear(nn.Module):
    """x̂ = W z, with orthogonal columns, so that the posterior of z has a diagonal covariance."""

    n_noise, conditional = 2, False

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linalg.qr(torch.randn(6, 2))[0] * torch.tensor([1.5, 0.5]))

    def forward(self, z_NZ: torch.Tensor) -> torch.Tensor:
        return (z_NZ @ self.weight.T).view(-1, 1, 2, 3)


class Posterior(nn.Module):
    """The exact p(z|x) of `Linear` under N(0, I) and noise of σ."""

    n_noise, conditional = 2, False

    def __init__(self, decoder: Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(decoder.weight.detach().clone())

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        precision_Z = 1 + self.weight.square().sum(0) / SIGMA**2
        mean_NZ = images_NCHW.flatten(1) @ self.weight / SIGMA**2 / precision_Z
        return torch.cat([mean_NZ, -precision_Z.log().expand_as(mean_NZ)], dim=1)


def side(images_NCHW: torch.Tensor) -> Side:
    return Side(images_NCHW, None, torch.arange(len(images_NCHW)))


def test_with_the_exact_posterior_the_bound_is_the_evidence() -> None:
    torch.manual_seed(0)
    decoder = Linear()
    vae = VAE(decoder, Posterior(decoder), likelihood="gaussian", sigma=SIGMA)
    x = torch.randn(1, 6)
    covariance = decoder.weight.detach() @ decoder.weight.detach().T + SIGMA**2 * torch.eye(6)
    evidence = distributions.MultivariateNormal(torch.zeros(6), covariance).log_prob(x).item()
    count = 100_000
    losses = vae.loss(Batch(side(x.view(1, 1, 2, 3).expand(count, -1, -1, -1)), None, 0, 0.0))
    bound = -sum(term.item() for term in losses.values())
    assert bound == pytest.approx(evidence, abs=0.02)
    assert losses["reconstruction"].item() > 0


def test_with_another_posterior_it_is_lower_by_their_divergence() -> None:
    torch.manual_seed(1)
    decoder = Linear()
    encoder = Posterior(decoder)
    with torch.no_grad():
        encoder.weight.mul_(0.7)
    vae = VAE(decoder, encoder, likelihood="gaussian", sigma=SIGMA)
    x = torch.randn(1, 1, 2, 3)

    def posterior(network: nn.Module) -> distributions.Normal:
        mean, log_variance = network(x).chunk(2, dim=1)
        return distributions.Normal(mean, (0.5 * log_variance).exp())

    gap = distributions.kl_divergence(posterior(encoder), posterior(Posterior(decoder))).sum().item()
    covariance = decoder.weight.detach() @ decoder.weight.detach().T + SIGMA**2 * torch.eye(6)
    evidence = distributions.MultivariateNormal(torch.zeros(6), covariance).log_prob(x.flatten(1)).item()
    losses = vae.loss(Batch(side(x.expand(200_000, -1, -1, -1)), None, 0, 0.0))
    assert gap > 0.1
    assert -sum(term.item() for term in losses.values()) == pytest.approx(evidence - gap, abs=0.03)


def test_beta_weighs_the_divergence_and_nothing_else() -> None:
    decoder = Linear()
    x = side(torch.randn(16, 1, 2, 3))
    terms: dict[float, Any] = {}
    for beta in (1.0, 4.0):
        torch.manual_seed(3)
        terms[beta] = VAE(decoder, Posterior(decoder), "gaussian", SIGMA, beta).loss(Batch(x, None, 0, 0.0))
    assert torch.equal(terms[1.0]["reconstruction"], terms[4.0]["reconstruction"])
    torch.testing.assert_close(4 * terms[1.0]["kl"], terms[4.0]["kl"])


def test_gradients_go_through_the_draw() -> None:
    """d/dμ and d/dσ of E (a z)²/2 + KL, z = μ + σ ε, as derived by hand."""
    a, mean, sigma, count = 1.3, 0.8, 0.6, 400_000

    class Encoder(nn.Module):
        n_noise, conditional = 1, False

        def __init__(self) -> None:
            super().__init__()
            self.both = nn.Parameter(torch.tensor([mean, 2 * math.log(sigma)]))

        def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
            return self.both.expand(len(images_NCHW), 2)

    class Decoder(nn.Module):
        n_noise, conditional = 1, False

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(a))

        def forward(self, z_NZ: torch.Tensor) -> torch.Tensor:
            return self.scale * z_NZ.view(-1, 1, 1, 1)

    torch.manual_seed(0)
    encoder = Encoder()
    vae = VAE(Decoder(), encoder, "gaussian", sigma=1.0)
    torch.stack(list(vae.loss(Batch(side(torch.zeros(count, 1, 1, 1)), None, 0, 0.0)).values())).sum().backward()
    # E (a z)²/2 = a²(μ² + σ²)/2; KL = (μ² + σ² − 1 − log σ²)/2; v = log σ², dσ²/dv = σ².
    expected = torch.tensor([(a**2 + 1) * mean, (a**2 * sigma**2 + sigma**2 - 1) / 2])
    torch.testing.assert_close(encoder.both.grad, expected, rtol=0.01, atol=0.01)


def small(conditional: bool = False, **options: Any) -> VAE:
    info = tiny_info()
    config = {
        "name": "vae",
        "generator": {"name": "conv_decoder", "channels": 8, "noise": 8, "conditional": conditional},
        "encoder": {"name": "conv_encoder", "channels": 8, "noise": 8, "conditional": conditional},
        **options,
    }
    torch.manual_seed(0)
    vae: VAE = components().build("method", config, "method", [info])
    vae.info = info
    return vae


@pytest.mark.parametrize("conditional", [False, True])
def test_it_encodes_reconstructs_and_samples(conditional: bool) -> None:
    vae, batch = small(conditional).eval(), tiny_batch(tiny_info())
    assert vae.needs_labels == vae.conditional == conditional
    labels = batch.source.labels if conditional else None
    mean, log_variance = vae.encode(batch.source.images_NCHW, labels)
    assert mean.shape == log_variance.shape == (8, 8)
    again = vae.generate(mean, labels)
    assert torch.equal(vae.reconstruct(batch.source.images_NCHW, labels), again)
    shown = vae.samples(batch)
    assert list(shown)[:2] == ["real", "reconstructed"]
    assert shown["reconstructed"].shape == shown["real"].shape
    if conditional:
        assert not torch.allclose(vae.encode(batch.source.images_NCHW, 2 - batch.source.labels)[0], mean)


def test_bright_pixels_on_a_dark_ground_are_learnt() -> None:
    """With few bright pixels the last layer's weights first turn dark; they must not stay there."""
    torch.manual_seed(0)
    vae, images = small(), -torch.ones(8, 1, 32, 32)
    for i, image in enumerate(images):
        image[0, 3 * i + 2 : 3 * i + 6, 4:28] = 1
    optimizer = torch.optim.Adam([*vae.encoder.parameters(), *vae.generator.parameters()], 1e-3)
    for _ in range(120):
        total = torch.stack(list(vae.loss(Batch(side(images), None, 0, 0.0)).values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    with torch.no_grad():
        decoded = vae.generator(vae.encoder(images).chunk(2, dim=1)[0])
    assert decoded[images > 0].mean() > 0.3
    assert decoded[images < 0].mean() < -0.8


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli", "gaussian"])
def test_a_few_steps_lower_the_loss_of_every_likelihood(likelihood: str) -> None:
    vae, batch = small(likelihood=likelihood), tiny_batch(tiny_info(), 16)
    optimizer = torch.optim.Adam([*vae.encoder.parameters(), *vae.generator.parameters()], 1e-2)
    seen = []
    for _ in range(8):
        total = torch.stack(list(vae.loss(batch).values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        seen.append(total.item())
    assert seen[-1] < seen[0]


def test_what_does_not_fit_is_refused() -> None:
    decoder = Linear()
    encoder = Posterior(decoder)
    encoder.n_noise = 3
    with pytest.raises(ParamsError, match="3 latents and the generator takes 2"):
        VAE(decoder, encoder)
    with pytest.raises(ParamsError, match="sigma"):
        VAE(decoder, Posterior(decoder), sigma=0.0)
    encoder = Posterior(decoder)
    encoder.conditional = True
    with pytest.raises(ParamsError, match="must be"):
        VAE(decoder, encoder)
