"""What translators share whose generator takes noise beside the image."""

from __future__ import annotations

import torch
from torch import nn

from adaptgan.data.batch import Batch
from adaptgan.data.randomness import normal, uniform
from adaptgan.methods.generative import reports_gradient
from adaptgan.methods.jittered import Jittered
from adaptgan.training.ema import EMA

NOISE = 78
"""The view of a record's seed that its noise is drawn from; augmentations have the small numbers."""


class Noisy(Jittered):
    """Mixed into a method that has `jitter`, a `generator` called with images and noise, and its `average`.

    Attributes:
        n_noise: how many numbers the noise has.
        uniform_noise: whether they are uniform in [-1, 1); else standard normal.
    """

    generator: nn.Module
    average: EMA
    n_noise: int
    uniform_noise = False

    def noise(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor | None = None) -> torch.Tensor:
        """Z for each image, (N, Z): of its own seed, or of the global generator."""
        size = (len(images_NCHW), self.n_noise)
        if self.uniform_noise:
            draw = torch.rand(size, device=images_NCHW.device) if seeds_N is None else uniform(seeds_N, NOISE, size[1])
            return 2 * draw - 1
        return torch.randn(size, device=images_NCHW.device) if seeds_N is None else normal(seeds_N, NOISE, size[1])

    def fake(self, batch: Batch) -> torch.Tensor:
        """G(x, z), made once for all who look at it."""
        if "fake" not in batch.shared:
            x = self.synthetic(batch)
            fake = self.generator(x, self.noise(x))
            if fake.requires_grad:
                fake.register_hook(reports_gradient(batch))
            batch.shared["fake"] = fake
        fake_NCHW: torch.Tensor = batch.shared["fake"]
        return fake_NCHW

    def translate(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor | None = None) -> torch.Tensor:
        """G(x, z), NCHW in [-1, 1].

        `seeds_N` decide jitter and noise; without them there is no jitter, and noise of the global generator.
        """
        if seeds_N is not None:
            images_NCHW = self.jitter(images_NCHW, seeds_N)
        translated_NCHW: torch.Tensor = self.average(images_NCHW, self.noise(images_NCHW, seeds_N))
        return translated_NCHW

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Source images, each with two draws of the noise, and real ones."""
        x, seeds = batch.source.images_NCHW[:16], batch.source.seeds_N[:16]
        return {
            "source": x,
            "translated": self.translate(x, seeds),
            "other noise": self.translate(x, seeds + 1),
            "real": batch.real.images_NCHW[:16],
        }
