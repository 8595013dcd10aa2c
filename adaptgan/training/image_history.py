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

        While the history fills, images are stored and come back as they are, one after the other.
        """
        n, capacity, device = len(fresh_NCHW), len(self.images), fresh_NCHW.device
        if n > capacity:
            raise ValueError(f"the image history holds {capacity} images, a batch is {n}: enlarge it")
        append = self.filled + torch.arange(n, device=device)
        fills = append < capacity
        # Places of a batch differ: the next free ones, then random ones of the others.
        chance = torch.rand(capacity, device=device)
        chance[append.clamp(max=capacity - 1)] += fills * 2.0  # those that this batch fills are no place to swap with
        places = torch.where(fills, append, chance.argsort()[:n])
        swaps = ~fills & (torch.rand(n, device=device) < 0.5)
        old = self.images[places].to(fresh_NCHW.dtype)
        mixed_NCHW = torch.where(swaps.view(-1, 1, 1, 1), old, fresh_NCHW)
        stored = torch.where((fills | swaps).view(-1, 1, 1, 1), fresh_NCHW.to(self.images.dtype), self.images[places])
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
        append = self.filled + torch.arange(half, device=device)
        random = torch.randperm(capacity, device=device)[:half]
        places = torch.where(append < capacity, append, random)
        self.images.index_copy_(0, places, new)
        self.filled.copy_((self.filled + half).clamp(max=capacity))
        return mixed_NCHW
