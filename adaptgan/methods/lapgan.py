"""LAPGAN: deep generative image models using a Laplacian pyramid of adversarial networks (Denton et al. 2015)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Losses, OptimizerOptions
from adaptgan.methods.generative import TwoPlayers, reports_gradient
from adaptgan.networks.laplacian import LaplacianDiscriminator, LaplacianGenerator, laplacian
from adaptgan.objectives.adversarial import Adversarial
from adaptgan.objectives.penalties import Penalty


class LAPGAN(TwoPlayers):
    """A GAN for each level of a Laplacian pyramid: the coarsest image, then what each doubling lacks. §3.1, figure 2:

        I_0 = x;  I_{k+1} = d(I_k),  l_k = u(I_{k+1}),  h_k = I_k − l_k     for k = 0 … K − 1

        min_{G_K} max_{D_K}  E log D_K(I_K) + E log(1 − D_K(G_K(z_K)))
        min_{G_k} max_{D_k}  E log D_k(h_k, l_k) + E log(1 − D_k(G_k(z_k, l_k), l_k))

        sampling:  Ĩ_K = G_K(z_K),  Ĩ_k = u(Ĩ_{k+1}) + G_k(z_k, u(Ĩ_{k+1}))

    d blurs and halves, u doubles and smooths. Every level learns on pyramids of real images and by itself: no gradient
    goes from one to another. All of them play in the same step; the losses are filed by level, `real_8` that of images
    with 8 rows. The learning rate and momentum are the paper's at the start. z is normal here, uniform there.

    Args:
        generator: all the G.
        discriminator: all the D.
        adversarial: what they play for.
        penalties: regularizers of D, at each level; the paper has none.
        augmentation: what is done before D sees them to the images l + h and l, alike; the paper does nothing.
        repeats: D's turns for one of G's.
        ema: decay of the averaged generators, which samples are made with; the paper has none.
        optimizer: how D learns.
        generator_optimizer: how G learns.
    """

    def __init__(
        self,
        generator: nn.Module = nested("network", "laplacian_generator"),
        discriminator: nn.Module = nested("network", "laplacian_discriminator"),
        adversarial: Adversarial = nested("objective", "minimax"),
        penalties: Sequence[Penalty] = nested_list("penalty"),
        augmentation: Augmentation = nested("augmentation", "none"),
        repeats: int = 1,
        ema: float = 0.999,
        optimizer: OptimizerOptions = OptimizerOptions("sgd", lr=0.02, momentum=0.5),
        generator_optimizer: OptimizerOptions = OptimizerOptions("sgd", lr=0.02, momentum=0.5),
    ) -> None:
        if not (isinstance(generator, LaplacianGenerator) and isinstance(discriminator, LaplacianDiscriminator)):
            raise ParamsError(
                f"lapgan: a {type(generator).__name__} and a {type(discriminator).__name__} are no pyramids. "
                "Use laplacian_generator and laplacian_discriminator."
            )
        if generator.levels != discriminator.levels:
            raise ParamsError(
                f"lapgan: the generator has {generator.levels} levels above the coarsest, the discriminator "
                f"{discriminator.levels}. Give both the same `levels` and `smallest`."
            )
        super().__init__(
            generator, discriminator, adversarial, penalties, augmentation, repeats, ema, optimizer, generator_optimizer
        )
        self.levels = generator.levels

    def discriminator_loss(self, batch: Batch) -> Losses:
        """E ℓ_real(D_k(h_k, l_k)) + E ℓ_fake(D_k(G_k(z_k, l_k), l_k)) + penalties, of every level."""
        y = self.labels(batch)
        losses: Losses = {}
        logits = []
        for real, fake in self.pairs(batch):
            real_N, fake_N = self.judge(real, fake, y)
            logits.append(torch.stack([real_N, fake_N]))
            level: Losses = {
                "real": self.adversarial.real(real_N).mean(),
                "generated": self.adversarial.fake(fake_N).mean(),
            }
            for penalty in self._penalties():
                if penalty.every == 1:
                    level |= penalty.terms(self.discriminator, real, fake, y, real_N)
            losses |= filed(level, real)
        real_N, fake_N = torch.cat(logits, dim=1)
        self.watch(batch, real_N, fake_N, self.reals(batch)[0], self.fakes(batch)[0])
        return losses

    def generator_loss(self, batch: Batch) -> Losses:
        """E ℓ_gen(D_k(G_k(z_k, l_k), l_k)) of every level."""
        losses: Losses = {}
        for fake in self.augmented_levels(batch, self.fakes(batch), 2):
            logits_N = self.discriminator(fake, self.labels(batch))
            losses |= filed({"adversarial": self.adversarial.generator(logits_N).mean()}, fake)
        return losses

    def reals(self, batch: Batch) -> list[torch.Tensor]:
        """What each D is to call real, coarse to fine: I_K, then h_k beside l_k (N, 2C, H_k, W_k)."""
        if "reals" not in batch.shared:
            coarsest, finer = laplacian(self.real(batch), self.levels)
            batch.shared["reals"] = [coarsest, *(torch.cat(pair, dim=1) for pair in finer)]
        levels: list[torch.Tensor] = batch.shared["reals"]
        return levels

    def fakes(self, batch: Batch) -> list[torch.Tensor]:
        """The same of generated ones, each of the real l_k; with a graph in the turn that G learns from."""
        if "fakes" not in batch.shared:
            coarse = [real.chunk(2, dim=1)[1] for real in self.reals(batch)[1:]]
            with torch.set_grad_enabled(batch.turn == 0):
                noise_NZ = self.noise(batch.source.images_NCHW)
                coarsest, *residuals = self.generator(noise_NZ, self.labels(batch), coarse)
            if coarsest.requires_grad:
                coarsest.register_hook(reports_gradient(batch))
            pairs = zip(residuals, coarse, strict=True)
            batch.shared["fakes"] = [coarsest, *(torch.cat(pair, dim=1) for pair in pairs)]
        levels: list[torch.Tensor] = batch.shared["fakes"]
        return levels

    def pairs(self, batch: Batch) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Real and generated, of each level, as D learns from them."""
        fakes = [fake.detach() for fake in self.fakes(batch)]
        reals = self.augmented_levels(batch, self.reals(batch), 0)
        return list(zip(reals, self.augmented_levels(batch, fakes, 1), strict=True))

    def augmented_levels(self, batch: Batch, levels: Sequence[torch.Tensor], view: int) -> list[torch.Tensor]:
        """What D sees of each level: l and l + h changed alike, and h their difference again."""
        coarsest, *finer = levels
        changed = [self.augmented(batch, coarsest, view)]
        for level in finer:
            residual, low = level.chunk(2, dim=1)
            seen_low = self.augmented(batch, low, view)
            changed.append(torch.cat([self.augmented(batch, low + residual, view) - seen_low, seen_low], dim=1))
        return changed

    def _lazy(self, penalty: Penalty) -> Callable[[Batch], Losses]:
        def loss(batch: Batch) -> Losses:
            losses: Losses = {}
            for real, fake in self.pairs(batch):
                terms = penalty.terms(self.discriminator, real, fake, self.labels(batch))
                losses |= filed({name: penalty.every * term for name, term in terms.items()}, real)
            return losses

        return loss


def filed(losses: Losses, level_NCHW: torch.Tensor) -> Losses:
    """The terms named by their level: `real_8`, of images with 8 rows."""
    return {f"{name}_{level_NCHW.shape[2]}": term for name, term in losses.items()}
