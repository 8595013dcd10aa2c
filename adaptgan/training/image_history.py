"""The history of generated images that a discriminator trains on (SimGAN's buffer, CycleGAN's pool)."""

from __future__ import annotations

import torch
from torch import nn


class ImageHistory(nn.Module):
    """A fixed-size store of generated images, on the device and part of the state_dict.

    Shrivastava 2017, §2.3: half of the discriminator's batch of refined images comes from the buffer, half from the
    current refiner; then half of the batch's new images replace random entries. While the buffer fills, new images
    are appended and as many of the batch as there are not enough stored ones for stay new.

    Args:
        capacity: images it holds, B.
        shape: (C, H, W) of one image.
    """

    images: torch.Tensor
    filled: torch.Tensor

    def __init__(self, capacity: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(capacity, *shape))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def swap(self, fresh_NCHW: torch.Tensor) -> torch.Tensor:
        """Each image with p = ½ exchanged for a stored one, whose place it takes (Zhu 2017, §4). Same shape as given.

        While the history fills, images are stored and come back as they are, one after the other. The images of one
        call meet different places; more images than there are places come in turns.
        """
        n, capacity = len(fresh_NCHW), len(self.images)
        if n > capacity:
            return torch.cat([self.swap(part) for part in fresh_NCHW.split(capacity)])
        places, fills = self._places(n)
        swaps = ~fills & (torch.rand(n, device=fresh_NCHW.device) < 0.5)
        kept = self.images[places]
        mixed_NCHW = torch.where(swaps.view(-1, 1, 1, 1), kept.to(fresh_NCHW.dtype), fresh_NCHW)
        stored = torch.where((fills | swaps).view(-1, 1, 1, 1), fresh_NCHW.to(kept.dtype), kept)
        self.images.index_copy_(0, places, stored)
        self.filled.copy_((self.filled + n).clamp(max=capacity))
        return mixed_NCHW

    @torch.no_grad()
    def mix(self, fresh_NCHW: torch.Tensor) -> torch.Tensor:
        """Half of `fresh` replaced by stored images; then store half of the fresh ones. Same shape as given."""
        n, capacity, device = len(fresh_NCHW), len(self.images), fresh_NCHW.device
        half = n // 2
        if half > capacity:
            raise ValueError(f"the image history holds {capacity} images, half a batch is {half}: enlarge it")
        order_N = torch.randperm(n, device=device)
        # Which of the first `half` places take a stored image: none while the buffer is empty. No host round trip.
        draws = torch.rand(half, device=device)
        slots = (draws * self.filled.clamp(min=1)).long()
        old = self.images[slots].to(fresh_NCHW.dtype)
        usable = (torch.arange(half, device=device) < self.filled).view(-1, 1, 1, 1)
        mixed_NCHW = fresh_NCHW[order_N].clone()
        mixed_NCHW[:half] = torch.where(usable, old, mixed_NCHW[:half])
        # The images that went in fresh are stored: at the end while there is room, over random entries after.
        new = fresh_NCHW[order_N[n - half :]].to(self.images.dtype)
        places, _ = self._places(half)
        self.images.index_copy_(0, places, new)
        self.filled.copy_((self.filled + half).clamp(max=capacity))
        return mixed_NCHW

    def _places(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Where n ≤ capacity images go, all different, and which of them fill a free place.

        The next free places; when there are no more, random ones of those that were full before.
        """
        capacity, device = len(self.images), self.images.device
        append = self.filled + torch.arange(n, device=device)
        fills = append < capacity
        random = torch.randperm(capacity, device=device)
        full_first = random[(random >= self.filled).int().argsort(stable=True)]
        return torch.where(fills, append, full_first[(append - capacity).clamp(min=0)]), fills
