"""Path length regularization: a step in the styles changes the image by the same amount everywhere (Karras 2020)."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from adaptgan.errors import ParamsError
from adaptgan.objectives.adversarial import precise
from adaptgan.objectives.penalties import Penalty, inside_forward


class PathLength(Penalty):
    """E_{w, y ~ N(0, I)} ( ‖J_wᵀ y‖₂ − a )², a the running mean of ‖J_wᵀ y‖₂ (Karras 2020, eq. 4). Of a generator.

        z = fresh latents, fewer than the batch;  x, w = G(z);  y = N(0, I) / √(height · width)
        ℓ_n = √( mean over layers of ‖∂⟨x_n, y_n⟩/∂w_n‖² );   a ← a + decay (E ℓ − a);   weight · E (ℓ_n − a)²

    y shares out unit variance over the pixels, so that the weight means the same at every resolution (appendix B).

    Args:
        weight: γ_pl.
        every: steps between two of its turns, each of which counts as many times.
        decay: share of each turn's mean in a.
        share: latents as a share of the batch: half of it saves memory.
        mixing: share of the latents whose styles are mixed, as in the generator's own turn.
    """

    differentiates_twice = True
    mean: torch.Tensor

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 2.0,
        every: Annotated[int, Field(ge=1)] = 4,
        decay: Annotated[float, Field(gt=0, le=1)] = 0.01,
        share: Annotated[float, Field(gt=0, le=1)] = 0.5,
        mixing: Annotated[float, Field(ge=0, le=1)] = 0.9,
    ) -> None:
        super().__init__()
        self.weight, self.every, self.decay, self.share, self.mixing = weight, every, decay, share, mixing
        self.register_buffer("mean", torch.zeros(()))

    def prepare(self, network: nn.Module) -> None:
        """Nothing is changed.

        Raises:
            ParamsError: the network has no styles.
        """
        if not hasattr(network, "n_styles"):
            raise ParamsError(
                f"penalties: path_length regularizes a generator's styles, and this {type(network).__name__} has none. "
                "List it under `generator_penalties` of `stylegan2`, with a generator of the StyleGAN family."
            )

    def terms(
        self,
        network: nn.Module,
        real_NCHW: torch.Tensor,
        fake_NCHW: torch.Tensor,
        labels_N: torch.Tensor | None = None,
        real_logits_N: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """γ_pl E (ℓ − a)².

        Args:
            network: G, as wrapped for training.
            real_NCHW: only say how many and where.
            fake_NCHW: not looked at.
            labels_N: classes, for a conditional G.
            real_logits_N: not looked at.
        """
        count = max(1, int(len(real_NCHW) * self.share))
        z_NZ = torch.randn(count, int(network.n_noise), device=real_NCHW.device)  # type: ignore[arg-type]
        labels_N = None if labels_N is None else labels_N[:count]
        lengths_N = precise(inside_forward(network, self.lengths, z_NZ, labels_N))
        with torch.no_grad():
            self.mean.lerp_(lengths_N.mean(), self.decay)
        return {self.name: self.weight * (lengths_N - self.mean).square().mean()}

    def lengths(self, network: Any, z_NZ: torch.Tensor, labels_N: torch.Tensor | None) -> torch.Tensor:
        """ℓ (N,) of the latents, differentiable.

        Args:
            network: G, plain.
            z_NZ: latents.
            labels_N: classes, for a conditional G.
        """
        images_NCHW, styles_NLW = network(z_NZ, labels_N, mixing=self.mixing, return_styles=True)
        y_NCHW = torch.randn_like(images_NCHW) / math.sqrt(images_NCHW[0, 0].numel())
        (gradient_NLW,) = torch.autograd.grad((images_NCHW * y_NCHW).sum(), styles_NLW, create_graph=True)
        # ε: the root's slope would be infinite where a length is 0.
        return (precise(gradient_NLW).square().sum(2).mean(1) + 1e-12).sqrt()
