"""StarGAN: unified generative adversarial networks for multi-domain image-to-image translation (Choi et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from adaptgan.components import nested, nested_list
from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError, nearest
from adaptgan.methods.base import Guard, Losses, Method, OptimizerOptions, Phase
from adaptgan.methods.generative import reports_gradient, watch
from adaptgan.methods.semantic import SemanticTerm
from adaptgan.objectives.adversarial import Adversarial, precise
from adaptgan.objectives.penalties import Penalty
from adaptgan.training.ema import EMA

Weight = Annotated[float, Field(ge=0)]


class StarGAN(Method):
    """One generator G(x, c) takes an image x of any domain to any domain c; D also tells the domains apart.

        repeat n_critic times:
            x of the domains c', and random domains c
            D minimizes  E ℓ_real(D(x)) + E ℓ_fake(D(G(x, c))) + penalties + λ_cls · CE(D_cls(x), c')       eq. 2, 5, 8
        then:
            G minimizes  E ℓ_gen(D(G(x, c))) + λ_cls · CE(D_cls(G(x, c)), c)                                eq. 3, 6
                         + λ_rec · ‖x − G(G(x, c), c')‖₁                                                    eq. 4

    The labels of the source are the domains: class folders, or the dataset `domains`, which joins several data sets.
    Each image has one of them, so D_cls is a softmax; the paper's attributes, of which an image has several at a time,
    are not for this. Distances are means over pixels and channels. D_cls is a linear layer, `head`, over D's last maps;
    it learns with D. c is uniform; the authors' code shuffles the batch's own c', and its penalty is on the gradient of
    the patches' sum, where here it is on that of their mean, which is what the loss has. G's images of the first of D's
    turns are made once and serve G's turn too.

    Beyond the paper: `semantic` · CE(f(augment(G(x, c))), argmax f(x)), f a frozen classifier of what all domains show,
    so that a translation keeps it (Hoffman 2018, eq. 4); and an average of G that translates.

    Args:
        data: the images' shape and the domains.
        guard: f; only needed when `semantic` > 0. Its classes are others than the domains.
        generator: G, called with images and domains.
        discriminator: D, a logit or a map of them, with `n_features`.
        adversarial: ℓ.
        penalties: regularizers of D; λ_gp is the `weight` of `gradient_penalty`. One with `every` n counts n times in
            each n-th step.
        domain_weight: λ_cls.
        cycle: λ_rec.
        semantic: weight of the semantic term.
        semantic_augmentation: what f sees translations through.
        repeats: n_critic, D's turns for one of G's.
        ema: decay of the averaged generator; 0 for G itself, the paper's.
        optimizer: how D and the head learn.
        generator_optimizer: how G learns.
    """

    labels_are_domains = True
    training_only = ("generator", "discriminator", "head", "penalties")

    def __init__(
        self,
        data: DataInfo,
        guard: Guard,
        generator: nn.Module = nested("network", "stargan_generator"),
        discriminator: nn.Module = nested("network", "stargan_discriminator"),
        adversarial: Adversarial = nested("objective", "wasserstein"),
        penalties: Sequence[Penalty] = nested_list("penalty", {"name": "gradient_penalty", "weight": 10.0}),
        domain_weight: Weight = 1.0,
        cycle: Weight = 10.0,
        semantic: Weight = 0.0,
        semantic_augmentation: Augmentation = nested("augmentation", "none"),
        repeats: Annotated[int, Field(ge=1)] = 5,
        ema: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        optimizer: OptimizerOptions = OptimizerOptions("adam", lr=1e-4, betas=(0.5, 0.999), schedule="linear"),
        generator_optimizer: OptimizerOptions = OptimizerOptions(
            "adam", lr=1e-4, betas=(0.5, 0.999), schedule="linear"
        ),
    ) -> None:
        super().__init__()
        if data.n_classes < 2:
            raise ParamsError(
                f"stargan goes between two or more domains, the labels of the images; here are {data.n_classes}. Join "
                "data sets with the dataset `domains`, or put each domain into a class folder."
            )
        for penalty in penalties:
            penalty.prepare(discriminator)
        self.domains = data.classes
        self.generator, self.discriminator, self.adversarial = generator, discriminator, adversarial
        self.head = nn.Linear(int(discriminator.n_features), data.n_classes, bias=False)  # type: ignore[arg-type]
        self.average = EMA(generator, ema)
        self.penalties = nn.ModuleList(penalties)
        self.domain_weight, self.cycle = domain_weight, cycle
        self.semantic = SemanticTerm(guard, semantic, semantic_augmentation)
        self.repeats = repeats
        self.optimizer, self.generator_optimizer = optimizer, generator_optimizer
        if any(penalty.differentiates_twice for penalty in penalties):
            self.eager = ("discriminator",)

    def phases(self) -> Sequence[Phase]:
        """D's turns, then G's."""
        self.semantic.check()
        tell = Phase(
            "discriminator",
            ("discriminator", "head"),
            self.discriminator_loss,
            self.optimizer,
            repeats=self.repeats,
            keeps=("generator",),
            after=self.constrain,
        )
        return [
            tell,
            Phase("generator", ("generator",), self.generator_loss, self.generator_optimizer, after=self.follow),
        ]

    def discriminator_loss(self, batch: Batch) -> Losses:
        """E ℓ_real(D(x)) + E ℓ_fake(D(G(x, c))) + penalties + λ_cls · CE(D_cls(x), c')."""
        x, made = batch.source.images_NCHW, self.made(batch).detach()
        (real_logits, real_NK), (made_logits, _) = self.read_both(x, made)
        watch(batch, real_logits, made_logits, x, made)
        losses = {
            "real": self.adversarial.real(real_logits).mean(),
            "translated": self.adversarial.fake(made_logits).mean(),
            "domain": self.domain_weight * F.cross_entropy(real_NK, batch.source.labels),
        }
        for penalty in self._penalties():
            if batch.step % penalty.every == 0:
                terms = penalty.terms(self.discriminator, x, made, None, real_logits)
                losses |= {name: penalty.every * term for name, term in terms.items()}
        return losses

    def generator_loss(self, batch: Batch) -> Losses:
        """E ℓ_gen(D(G(x, c))) + λ_cls · CE(D_cls(G(x, c)), c) + λ_rec · ‖x − G(G(x, c), c')‖₁ + semantic term."""
        x, made, c = batch.source.images_NCHW, self.made(batch), self.asked(batch)
        logits, logits_NK = self.read(made)
        back = self.generator(made, batch.source.labels)
        losses = {
            "adversarial": self.adversarial.generator(logits).mean(),
            "domain": self.domain_weight * F.cross_entropy(logits_NK, c),
            "cycle": self.cycle * (back.float() - x.float()).abs().mean(),
        }
        # The labels are domains, so f itself must read what x shows.
        return losses | self.semantic.terms(made, replace(batch.source, labels_N=None))

    def asked(self, batch: Batch) -> torch.Tensor:
        """c: random domains, int64 (N,), one draw for a batch."""
        if "asked" not in batch.shared:
            x = batch.source.images_NCHW
            batch.shared["asked"] = torch.randint(len(self.domains), (len(x),), device=x.device)
        c_N: torch.Tensor = batch.shared["asked"]
        return c_N

    def made(self, batch: Batch) -> torch.Tensor:
        """G(x, c), made once for both players; with its graph in the turn whose images G learns from."""
        if "made" not in batch.shared:
            with torch.set_grad_enabled(batch.turn == 0):
                made = self.generator(batch.source.images_NCHW, self.asked(batch))
            if made.requires_grad:
                made.register_hook(reports_gradient(batch))
            batch.shared["made"] = made
        made_NCHW: torch.Tensor = batch.shared["made"]
        return made_NCHW

    def read(self, images_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of real against made, and logits (N, K) of the domains, from one forward."""
        logits, features_NF = self.discriminator(images_NCHW, features=True)
        return precise(logits), precise(self.head(features_NF))

    def read_both(
        self, real: torch.Tensor, made: torch.Tensor
    ) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
        """What D says of real and of made images, in one forward unless it normalizes by the batch."""
        if self.discriminator.by_batch:
            return self.read(real), self.read(made)
        logits, logits_NK = self.read(torch.cat([real, made]))
        n = len(real)
        return (logits[:n], logits_NK[:n]), (logits[n:], logits_NK[n:])

    def constrain(self, batch: Batch) -> None:
        """What penalties do after D's step."""
        for penalty in self._penalties():
            penalty.constrain(self.discriminator)

    def follow(self, batch: Batch) -> None:
        """The averaged generator follows G."""
        self.average.update(self.generator)

    def translate(
        self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor | None = None, to: str | None = None
    ) -> torch.Tensor:
        """Images of one domain, NCHW in [-1, 1].

        Args:
            images_NCHW: of any domain.
            seeds_N: not used: there is no noise in it.
            to: the domain's name; the first one's when not given.

        Raises:
            ParamsError: there is no such domain.
        """
        if to is not None and to not in self.domains:
            raise ParamsError(f"stargan knows no domain {to!r}. {nearest(to, self.domains)}")
        number = 0 if to is None else self.domains.index(to)
        c_N = torch.full((len(images_NCHW),), number, dtype=torch.int64, device=images_NCHW.device)
        made_NCHW: torch.Tensor = self.average(images_NCHW, c_N)
        return made_NCHW

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Images of all domains, taken to each of them."""
        x = batch.source.images_NCHW[:16]
        return {"source": x} | {f"to {name}": self.translate(x, to=name) for name in self.domains}

    def _penalties(self) -> list[Penalty]:
        return list(self.penalties)  # type: ignore[arg-type]
