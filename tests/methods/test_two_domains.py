"""What the adaptation methods share."""

from __future__ import annotations

import torch

from adaptgan.data.augmentation import Warp
from adaptgan.methods.two_domains import augment_domains
from adaptgan.testing import tiny_batch, tiny_info


def test_both_domains_are_changed_as_each_alone() -> None:
    """Bit for bit, also where the domains' shares differ in size."""
    source = tiny_batch(tiny_info(size=16), 8).source
    target = tiny_batch(tiny_info(size=16), 5, step=1).real
    warp = Warp(elastic=1.0, stroke=(-0.5, 1.0), blur=1.0, contrast=0.2, noise=0.1, cutout=4)
    x_s, x_t = augment_domains(warp, source, target)
    assert torch.equal(x_s, warp(source.images_NCHW, source.seeds_N))
    assert torch.equal(x_t, warp(target.images_NCHW, target.seeds_N))
