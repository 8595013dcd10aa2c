"""The heads that CUT compares patches in (Park 2020, §3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F


class PatchHeads(nn.Module):
    """For each of an encoder's maps a network of two layers, applied to places of it: H_l of Park 2020, eq. 2.

    Features are scaled to length 1. Weights start from N(0, 0.02), as in the authors' code.

    Args:
        channels: of the maps.
        width: F, units of both layers.
    """

    def __init__(self, channels: Sequence[int], width: int = 256) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(inside, width), nn.ReLU(), nn.Linear(width, width)) for inside in channels
        )
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, 0.0, 0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, maps: Sequence[torch.Tensor], places: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Features (N, S, F) of each map, float32.

        Args:
            maps: (N, C, h, w) each.
            places: int64 (S,) each, which of its h · w pixels; of all its images the same.
        """
        found = []
        for head, map_NChw, places_S in zip(self.heads, maps, places, strict=True):
            patches_NSC = map_NChw.flatten(2).transpose(1, 2)[:, places_S]
            found.append(F.normalize(head(patches_NSC).float(), dim=2))
        return found


def random_places(maps: Sequence[torch.Tensor], count: int) -> list[torch.Tensor]:
    """Places of each map, int64 (S,), drawn without repetition: `count` of them, or as many as there are."""
    sizes = [found.shape[2] * found.shape[3] for found in maps]
    return [torch.randperm(size, device=found.device)[:count] for size, found in zip(sizes, maps, strict=True)]
