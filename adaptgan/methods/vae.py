"""VAE: auto-encoding variational Bayes (Kingma & Welling 2014), convolutional."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from adaptgan.components import nested
from adaptgan.data.batch import Batch
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Losses, OptimizerOptions, Phase
from adaptgan.methods.generative import ROW, GenerativeMethod, given
from adaptgan.objectives.likelihood import (
    bernoulli_nll,
    continuous_bernoulli_nll,
    gaussian_nll,
    kl_to_standard_normal,
)
from adaptgan.training.ema import EMA


class VAE(GenerativeMethod):
    """An encoder q(z|x) and a decoder p(x|z) that raise a lower bound of log p(x). Algorithm 1 and eq. 10:

        for each step:
            x;  μ, σ = encoder(x);  ε ~ N(0, I);  z = μ + σ ε
            minimize  −E log p(x|z)  +  β · ½ Σ (μ² + σ² − 1 − log σ²)

    Both terms are in nats per image, summed over pixels and latents; with β = 1 their sum is −ELBO. No adversary:
    steadier than a GAN, every image has a code, and what z does not say is averaged away, which blurs.

    `bernoulli`, the paper's for grey images, is the exact bound only where pixels are 0 or 1; `continuous_bernoulli`
    has the constant that grey values need; `gaussian` is a normal distribution around the decoded image.

    Args:
        generator: the decoder; its images are the mean of p(x|z). Any generator of the GANs will do.
        encoder: images -> μ and log σ², side by side.
        likelihood: p(x|z).
        sigma: standard deviation of `gaussian`, in units of pixels in [-1, 1]; a smaller one weighs the images more.
        beta: β (Higgins 2017); 1 is the paper's bound.
        ema: decay of the averaged decoder and encoder, which sample, reconstruct and encode; the paper has none.
        optimizer: how both learn.
    """

    training_only = ("generator", "encoder")

    def __init__(
        self,
        generator: nn.Module = nested("network", "conv_decoder"),
        encoder: nn.Module = nested("network", "conv_encoder"),
        likelihood: Literal["bernoulli", "continuous_bernoulli", "gaussian"] = "bernoulli",
        sigma: float = 0.1,
        beta: float = 1.0,
        ema: float = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-3),
    ) -> None:
        super().__init__(generator, ema)
        if encoder.n_noise != self.n_noise:
            raise ParamsError(
                f"vae: the encoder gives {encoder.n_noise} latents and the generator takes {self.n_noise}. "
                "Give both the same `noise`."
            )
        if not sigma > 0:
            raise ParamsError(f"vae: sigma must be above 0; found {sigma}.")
        if encoder.conditional and not generator.conditional:
            raise ParamsError(
                "vae: the encoder is conditional, so the generator must be. Give both `conditional: true`."
            )
        self.encoder = encoder
        self.average_encoder = EMA(encoder, ema)
        self.encodes_labels = bool(encoder.conditional)
        self.likelihood, self.sigma, self.beta = likelihood, sigma, beta
        self.optimizer = optimizer

    def phases(self) -> Sequence[Phase]:
        """Encoder and decoder together."""
        return [Phase("vae", ("encoder", "generator"), self.loss, self.optimizer, after=self.follow)]

    def loss(self, batch: Batch) -> Losses:
        """−E log p(x|z) + β KL(q(z|x) ‖ p(z))."""
        x, y = batch.source.images_NCHW, self.labels(batch)
        mean_NZ, log_variance_NZ = self.encoder(x, *self._encoder_labels(y)).chunk(2, dim=1)
        z_NZ = mean_NZ + torch.exp(0.5 * log_variance_NZ) * torch.randn_like(mean_NZ)
        decoded = self.generator(z_NZ, *given(y))
        return {
            "reconstruction": self.negative_log_likelihood(x, decoded).mean(),
            "kl": self.beta * kl_to_standard_normal(mean_NZ, log_variance_NZ).mean(),
        }

    def negative_log_likelihood(self, images_NCHW: torch.Tensor, decoded_NCHW: torch.Tensor) -> torch.Tensor:
        """−log p(x|z) in nats, (N,)."""
        if self.likelihood == "gaussian":
            return gaussian_nll(images_NCHW, decoded_NCHW, self.sigma)
        if self.likelihood == "continuous_bernoulli":
            return continuous_bernoulli_nll(images_NCHW, decoded_NCHW)
        return bernoulli_nll(images_NCHW, decoded_NCHW)

    def encode(
        self, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of q(z|x), (N, Z) each, by the averaged encoder."""
        both_N2Z: torch.Tensor = self.average_encoder(images_NCHW, *self._encoder_labels(labels_N))
        mean_NZ, log_variance_NZ = both_N2Z.chunk(2, dim=1)
        return mean_NZ, log_variance_NZ

    def reconstruct(self, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        """What the decoder makes of each image's mean code, (N, C, H, W) in [-1, 1]."""
        mean_NZ, _ = self.encode(images_NCHW, labels_N)
        return self.generate(mean_NZ, labels_N if self.conditional else None)

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Real images, the same reconstructed, and generated ones."""
        shown = super().samples(batch)
        y = self.labels(batch)
        reconstructed = self.reconstruct(shown["real"], None if y is None else y[:ROW])
        return {"real": shown.pop("real"), "reconstructed": reconstructed} | shown

    def follow(self, batch: Batch) -> None:
        """The averages follow."""
        super().follow(batch)
        self.average_encoder.update(self.encoder)

    def _encoder_labels(self, labels_N: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        return given(labels_N) if self.encodes_labels else ()
