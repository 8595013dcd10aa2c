"""A penalty that keeps a critic's values near zero."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from adaptgan.objectives.penalties import Penalty


class Drift(Penalty):
    """ε E[ D(x)² ] over the real images: a Wasserstein loss does not say where zero is (Karras 2018, appendix A.1).

    Args:
        weight: ε.
    """

    def __init__(self, weight: Annotated[float, Field(ge=0)] = 1e-3) -> None:
        super().__init__()
        self.weight = weight

    def terms(
        self,
        network: nn.Module,
        real_NCHW: torch.Tensor,
        fake_NCHW: torch.Tensor,
        labels_N: torch.Tensor | None = None,
        real_logits_N: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """ε E[ D(x)² ]."""
        if real_logits_N is None:
            real_logits_N = network(real_NCHW) if labels_N is None else network(real_NCHW, labels_N)
        return {self.name: self.weight * real_logits_N.float().square().mean()}
