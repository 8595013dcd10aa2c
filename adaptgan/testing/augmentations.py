"""The check of an augmentation: whatever it draws comes from each record's seed."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.data.augmentation import Augmentation
from adaptgan.datainfo import DataInfo
from adaptgan.plugins import components
from adaptgan.testing.chance import chance
from adaptgan.testing.checks import check_component
from adaptgan.testing.data import tiny_info, tiny_side
from adaptgan.testing.devices import check_place, elsewhere, moved, other_device
from adaptgan.testing.pickles import check_state

N = 12
FAR = 20.0
"""Beyond it are images in 0..255, or a divergence; colours may leave [-1, 1] by a few."""

WINDOW, REACH, CLEAR = 9, 3, 0.65
"""Parts of an image of this side are looked for after it was changed, so far around, in pixels; they are found where
the correlation is above the last."""


def check_augmentation(config: Any, *, differentiable: bool = True) -> nn.Module:
    """An augmentation keeps its promises: see the messages of the assertions.

    Of grey and of colour images, square or not, it gives finite images of the same shape and type, in bfloat16 too. A
    record's image follows from its seed and the view alone: neither from its neighbours and their number, nor from the
    global generators, nor from what came before; where it is random, other seeds and views give other images. The
    images are left alone. The gradient reaches them. One that denies `moves_pixels` leaves everything where it is.
    Under autocast it is as exact as without; moved to another device, all of it moves; what it remembers of a
    discriminator (`observe`) is in its state_dict, which is tensors only.

    Args:
        config: its name, or `{name: …, option: …}`.
        differentiable: whether a generator learns through it; set it to False for one of classifiers' inputs alone.

    Returns:
        The augmentation.
    """
    name = config if isinstance(config, str) else config["name"]
    check_component("augmentation", name)
    for info in (tiny_info(), DataInfo(3, 32, 24, ("a", "b"))):
        augmentation = _built(config, info)
        side = tiny_side(info, N, 0)
        what = f"{name}, {info.channels}×{info.height}×{info.width}"
        changed = _check_shape(augmentation, side.images_NCHW, side.seeds_N, what)
        _check_chance(augmentation, _built(config, info), side.images_NCHW, side.seeds_N, changed, what)
        if differentiable:
            _check_gradient(augmentation, side.images_NCHW, side.seeds_N, what)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = augmentation(side.images_NCHW, side.seeds_N)
        assert mixed.dtype == torch.float32 and torch.allclose(mixed, changed, atol=0.05), (
            f"{what}: under autocast (bf16) its images differ; compute coordinates with autocast off"
        )
        if not getattr(augmentation, "moves_pixels", True):
            _check_geometry(augmentation, info, what)
        _check_memory(config, info, name)
        augmentation, side = moved(augmentation, other_device()), moved(side, other_device())
        with elsewhere(what):
            check_place(what, augmentation(side.images_NCHW, side.seeds_N))
    return _built(config, tiny_info())


def _built(config: Any, info: DataInfo) -> nn.Module:
    augmentation: nn.Module = components().build("augmentation", config, "augmentation", [info])
    kind = type(augmentation).__name__
    assert isinstance(augmentation, nn.Module), f"{config}: an augmentation is a torch.nn.Module, this is a {kind}"
    return augmentation


def _check_shape(augmentation: nn.Module, images: torch.Tensor, seeds_N: torch.Tensor, what: str) -> torch.Tensor:
    """Finite images of the shape and type that came, for those that came, in both types."""
    for dtype in (torch.bfloat16, torch.float32):
        given = images.to(dtype)
        before = given.clone()
        changed = augmentation(given, seeds_N)
        assert isinstance(changed, torch.Tensor) and changed.shape == images.shape, (
            f"{what}: images {tuple(images.shape)} became {tuple(getattr(changed, 'shape', ()))}"
        )
        assert changed.dtype == dtype, f"{what}: images of {dtype} became {changed.dtype}"
        assert torch.equal(before, given), f"{what}: it changes the images that it is given, in place"
        assert torch.isfinite(changed).all(), f"{what}: values that are not finite ({dtype})"
    far = changed.abs().max().item()
    assert far < FAR, f"{what}: values of {far:.3g}; images lie in [-1, 1], and colours may leave it by a little only"
    return torch.as_tensor(changed)


def _check_chance(
    augmentation: nn.Module,
    twin: nn.Module,
    images: torch.Tensor,
    seeds_N: torch.Tensor,
    changed: torch.Tensor,
    what: str,
) -> None:
    """Seeds and view decide, and nothing else does."""
    for number, one in enumerate((augmentation, twin)):
        with chance(number + 1):
            again = one(images, seeds_N)
        assert torch.equal(changed, again), (
            f"{what}: the same images and seeds give others; draw all randomness from `seeds_N` and `view` "
            "(`adaptgan.data.randomness`)"
        )
    alone = torch.cat([augmentation(images[i : i + 1], seeds_N[i : i + 1]) for i in range(N)])
    assert torch.allclose(changed, alone, atol=1e-4), f"{what}: an image's change depends on its neighbours"
    copies = images[:1].expand_as(images)
    others, views = augmentation(copies, seeds_N), augmentation(copies, seeds_N, view=1)
    if not torch.allclose(others, others[:1].expand_as(others), atol=1e-4):  # it is random
        assert not torch.equal(others, views), f"{what}: another `view` gives the same draw; views must be independent"


def _check_gradient(augmentation: nn.Module, images: torch.Tensor, seeds_N: torch.Tensor, what: str) -> None:
    given = images.clone().requires_grad_(True)
    total = augmentation(given, seeds_N).square().sum()
    assert total.requires_grad, f"{what}: no gradient reaches the images, and a generator learns through them"
    (slope,) = torch.autograd.grad(total, given)
    assert torch.isfinite(slope).all(), f"{what}: the gradient to the images is not finite"
    assert slope.any(), f"{what}: the gradient to the images is 0 everywhere"


def _check_geometry(augmentation: nn.Module, info: DataInfo, what: str) -> None:
    """What denies `moves_pixels` leaves parts of a texture where they are, whatever it does to colours."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(4 * N, 1, info.height, info.width, generator=generator)
    texture = F.avg_pool2d(noise, 3, stride=1, padding=1).mul(2).clamp(-0.9, 0.9)
    seeds_N = torch.randint(2**62, (len(texture),), generator=generator)
    changed = augmentation(texture.expand(-1, info.channels, -1, -1).contiguous(), seeds_N).mean(1, keepdim=True)
    seen = strayed = 0
    for top in range(REACH, info.height - WINDOW - REACH + 1, WINDOW):
        for left in range(REACH, info.width - WINDOW - REACH + 1, WINDOW):
            part = texture[:, 0, top : top + WINDOW, left : left + WINDOW]
            around = changed[:, 0, top - REACH : top + WINDOW + REACH, left - REACH : left + WINDOW + REACH]
            likeness_NS = _likeness(part, around)
            best_N, here_N = likeness_NS.amax(1), likeness_NS[:, likeness_NS.shape[1] // 2]
            seen += int((best_N > CLEAR).sum())
            strayed += int(((best_N > CLEAR) & (here_N < best_N - 0.1)).sum())
    assert seen and strayed < 0.08 * seen, (
        f"{what}: it says that `moves_pixels` is False, and {strayed} of {seen} parts of its images are elsewhere; "
        "masks and values would be wrong"
    )


def _likeness(part_NHW: torch.Tensor, around_NHW: torch.Tensor) -> torch.Tensor:
    """|correlation| of a part with every place around, (N, S); the middle one is its own."""
    windows = F.unfold(around_NHW[:, None], WINDOW)  # (N, H·W, S)
    windows = windows - windows.mean(1, keepdim=True)
    part = part_NHW.flatten(1)[:, :, None]
    part = part - part.mean(1, keepdim=True)
    size = (windows.norm(dim=1) * part.norm(dim=1)).clamp(min=1e-3)
    return torch.as_tensor((windows * part).sum(1).abs() / size)


def _check_memory(config: Any, info: DataInfo, name: str) -> None:
    """What it saw of a discriminator is in its state; from there it goes on the same."""
    augmentation, twin = _built(config, info), _built(config, info)
    generator = torch.Generator().manual_seed(1)
    side = tiny_side(info, N, 1)
    for _ in range(6):
        _observe(augmentation, torch.randn(N, generator=generator) + 2, name)
    check_state(augmentation.state_dict(), name)
    twin.load_state_dict(copy.deepcopy(augmentation.state_dict()))
    for one in (augmentation, twin):
        _observe(one, torch.ones(N), name)
    assert torch.equal(*(one(side.images_NCHW, side.seeds_N) for one in (augmentation, twin))), (
        f"{name}: with its state saved and loaded, it goes on differently; keep what it remembers in buffers"
    )


def _observe(augmentation: nn.Module, real_N: torch.Tensor, name: str) -> None:
    if isinstance(augmentation, Augmentation):
        told: Any = augmentation.observe(real_N)
        scalars = isinstance(told, dict) and all(
            isinstance(value, torch.Tensor) and value.shape == () and torch.isfinite(value) for value in told.values()
        )
        assert scalars, f"{name}.observe: expected a dict of finite scalar tensors to log, found {told!r:.80}"
