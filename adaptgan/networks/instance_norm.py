"""A network behind an instance normalization of its images."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class InstanceNormalized(nn.Module):
    """network(x′), x′ = (x − μ) / σ with the mean and deviation of each image's own channels.

    What a domain does to all pixels alike (light, contrast) is gone before the network looks.

    Args:
        network: takes images, and `features=True`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.n_features: int = network.n_features  # type: ignore[assignment]

    def forward(
        self, images_NCHW: torch.Tensor, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """What the network gives."""
        result: torch.Tensor | tuple[torch.Tensor, torch.Tensor]
        result = self.network(F.instance_norm(images_NCHW), features=features)
        return result
