"""Adaptive discriminator augmentation: training generative networks with limited data (Karras et al. 2020a)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Literal, get_args

import torch
from pydantic import Field
from torch import distributed
from torch.nn import functional as F

from adaptgan.data.augmentation import Augmentation
from adaptgan.data.randomness import normal, uniform

Transform = Literal[
    "flip",
    "rotate90",
    "translate",
    "scale",
    "rotate",
    "stretch",
    "shift",
    "brightness",
    "contrast",
    "invert",
    "hue",
    "saturation",
]
ALL: tuple[Transform, ...] = get_args(Transform)
GEOMETRIC = ALL[:7]
_FIRST_STREAM = 64
"""Streams of random numbers inside one view: three for each transform, beyond those of data/augmentation.py."""

Affine = tuple[torch.Tensor, torch.Tensor]
"""Linear part (N, 2, 2) and offset (N, 2), in pixels from the middle of the image; x before y."""


class AdaptiveAugmentation(Augmentation):
    """Each transform changes each image that D sees with probability p, and p follows how much D overfits:

        every `interval` of D's turns:  r = E sign(D(x)) over the real images of these turns
                                        p ← clamp(p + sign(r − target) · images / (1000 · kimg), 0, 1)

    Below p ≈ 0.8 the generator does not learn the augmentation itself. The transforms, in this order (appendix B):

        flip         left and right, every second time       brightness   x + N(0, 0.2²)
        rotate90     by 0, 90, 180 or 270 degrees            contrast     x · 2^N(0, 0.5²)
        translate    whole pixels, up to 1/8 of the sides    invert       light and dark, every second time
        scale        by 2^N(0, 0.2²)                         hue          turned about grey by U(−180, 180) degrees
        rotate       before and after `stretch`              saturation   the distance from grey · 2^N(0, 1)
        stretch      one side by 2^N(0, 0.2²), the other by its inverse
        shift        N(0, 0.125²) of the sides

    The geometric ones are one bilinear reading with mirrored borders; an image that none of them was drawn for is left
    as it is. Beside the paper: there is no wavelet filter against aliasing, and R1 is taken at the augmented images.

    Args:
        transforms: which of them; the paper's best set, all, when left alone. Take out what changes what an image
            means: `flip`, `rotate90` and `invert` for digits.
        rotation: largest turn of `rotate` either way, in degrees.
        target: what r is steered to.
        interval: D's turns between two changes of p.
        kimg: thousands of images in which p can go from 0 to 1.
        start: p at first.
        adapt: let p follow; else it stays at `start`.
    """

    p: torch.Tensor
    signs: torch.Tensor
    turns: torch.Tensor

    def __init__(
        self,
        transforms: tuple[Transform, ...] = ALL,
        rotation: Annotated[float, Field(ge=0, le=180)] = 180.0,
        target: Annotated[float, Field(ge=-1, le=1)] = 0.6,
        interval: Annotated[int, Field(ge=1)] = 4,
        kimg: Annotated[float, Field(gt=0)] = 500.0,
        start: Annotated[float, Field(ge=0, le=1)] = 0.0,
        adapt: bool = True,
    ) -> None:
        super().__init__()
        self.transforms, self.rotation = frozenset(transforms), rotation
        self.target, self.interval, self.kimg, self.adapt = target, interval, kimg, adapt
        self.register_buffer("p", torch.tensor(float(start)))
        self.register_buffer("signs", torch.zeros(()))
        self.register_buffer("turns", torch.zeros(()))

    @property
    def moves_pixels(self) -> bool:
        """Geometric transforms do."""
        return not self.transforms.isdisjoint(GEOMETRIC)

    def forward(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        """Changed images, same shape and type; colours may leave [-1, 1], as in the paper."""
        # Coordinates in bfloat16 would be off by pixels.
        with torch.autocast(images_NCHW.device.type, enabled=False):
            draws = Draws(self.transforms, self.p, seeds_N, view)
            images = images_NCHW.float()
            if self.moves_pixels:
                images = _read(images, self.affine(draws, images.shape[2], images.shape[3]), draws.any_of(GEOMETRIC))
            return _colored(images, draws).to(images_NCHW.dtype)

    @torch.no_grad()
    def observe(self, real_N: torch.Tensor) -> dict[str, torch.Tensor]:
        """One of D's turns: p follows. What is counted lies in buffers and on the device.

        Args:
            real_N: D's logits of the augmented real images.

        Returns:
            `augmentation`, p, and `overfitting`, E sign(D(x)) of this turn.
        """
        sign, count = real_N.float().sign().mean(), len(real_N)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(sign)
            sign, count = sign / distributed.get_world_size(), count * distributed.get_world_size()
        if self.adapt:
            self.signs += sign
            self.turns += 1
            due = (self.turns == self.interval).float()
            step = count * self.interval / (1000 * self.kimg)
            self.p += due * step * (self.signs / self.interval - self.target).sign()
            self.p.clamp_(0, 1)
            self.signs *= 1 - due
            self.turns *= 1 - due
        return {"augmentation": self.p.clone(), "overfitting": sign}

    def affine(self, draws: Draws, height: int, width: int) -> Affine:
        """The maps that were drawn: from a pixel of the result to where it is read.

        Each transform's inverse, the first one's leftmost: what was done last is undone first.

        Args:
            draws: of the batch.
            height: of the images.
            width: of the images.
        """
        zero_N = torch.zeros_like(draws.seeds_N, dtype=torch.float32)
        one_N, sides = zero_N + 1, (width, height)

        def linear(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, d: torch.Tensor) -> Affine:
            return torch.stack([a, b, c, d], 1).view(-1, 2, 2), torch.stack([zero_N, zero_N], 1)

        def shift(x: torch.Tensor, y: torch.Tensor) -> Affine:
            return linear(one_N, zero_N, zero_N, one_N)[0], -torch.stack([x, y], 1)

        def turn(angle: torch.Tensor) -> Affine:
            return linear(angle.cos(), angle.sin(), -angle.sin(), angle.cos())

        def flip() -> Affine:
            mirrored = draws.on("flip") * (2 * draws.uniform("flip", 1)[:, 0]).floor()
            return linear(1 - 2 * mirrored, zero_N, zero_N, one_N)

        def rotate90() -> Affine:
            return turn(draws.on("rotate90") * (4 * draws.uniform("rotate90", 1)[:, 0]).floor() * (math.pi / 2))

        def translate() -> Affine:
            share = draws.on("translate")[:, None] * (2 * draws.uniform("translate", 2) - 1) * 0.125
            return shift(*((share[:, axis] * sides[axis]).round() for axis in (0, 1)))

        def scale() -> Affine:
            size = _doubled(-0.2 * draws.on("scale") * draws.normal("scale", 1)[:, 0])
            return linear(size, zero_N, zero_N, size)

        def rotate(time: int) -> Affine:
            angles = torch.deg2rad((2 * draws.uniform("rotate", 2) - 1) * self.rotation)
            return turn(draws.halves("rotate")[:, time] * angles[:, time])

        def stretch() -> Affine:
            wide = _doubled(-0.2 * draws.on("stretch") * draws.normal("stretch", 1)[:, 0])
            return linear(wide, zero_N, zero_N, 1 / wide)

        def drift() -> Affine:
            share = 0.125 * draws.on("shift")[:, None] * draws.normal("shift", 2)
            return shift(share[:, 0] * width, share[:, 1] * height)

        order: list[tuple[Transform, Callable[[], Affine]]] = [
            ("flip", flip),
            ("rotate90", rotate90),
            ("translate", translate),
            ("scale", scale),
            ("rotate", lambda: rotate(0)),
            ("stretch", stretch),
            ("rotate", lambda: rotate(1)),
            ("shift", drift),
        ]
        whole = linear(one_N, zero_N, zero_N, one_N)
        for name, inverse in order:
            if name in self.transforms:
                whole = _composed(whole, inverse())
        return whole


class Draws:
    """A batch's random numbers for each transform; a function of seeds and view alone, but for what p lets through.

    Args:
        chosen: the transforms that may be drawn.
        p: their probability, a scalar on the device.
        seeds_N: one per record.
        view: number of the independent draw.
    """

    def __init__(self, chosen: Collection[str], p: torch.Tensor, seeds_N: torch.Tensor, view: int) -> None:
        self.chosen, self.p, self.seeds_N, self.view = chosen, p, seeds_N, view

    def on(self, name: Transform) -> torch.Tensor:
        """1.0 for the records that it was drawn for, (N,)."""
        return (uniform(self.seeds_N, self.view, 1, self._stream(name))[:, 0] < self.p).float()

    def halves(self, name: Transform) -> torch.Tensor:
        """The same for a transform in two parts (N, 2), at least one of which was drawn with probability p."""
        gates_N2 = uniform(self.seeds_N, self.view, 2, self._stream(name))
        return (gates_N2 < 1 - (1 - self.p).sqrt()).float()

    def uniform(self, name: Transform, n: int) -> torch.Tensor:
        """In [0, 1), (N, n)."""
        return uniform(self.seeds_N, self.view, n, self._stream(name) + 1)

    def normal(self, name: Transform, n: int) -> torch.Tensor:
        """Standard normal, (N, n)."""
        return normal(self.seeds_N, self.view, n, self._stream(name) + 2)

    def any_of(self, names: Sequence[Transform]) -> torch.Tensor:
        """Whether any of them was drawn, bool (N,)."""
        gates = [
            self.halves(name) if name == "rotate" else self.on(name)[:, None] for name in names if name in self.chosen
        ]
        return torch.cat(gates, dim=1).amax(1) > 0

    def _stream(self, name: Transform) -> int:
        return _FIRST_STREAM + 3 * ALL.index(name)


def _doubled(times: torch.Tensor) -> torch.Tensor:
    """2 to the power of them; torch.exp2 rounds differently for other batch sizes."""
    return (math.log(2) * times).exp()


def _composed(outer: Affine, inner: Affine) -> Affine:
    """The map x -> outer(inner(x)). Written out: a matrix product rounds differently for other batch sizes."""
    linear = (outer[0][:, :, :, None] * inner[0][:, None, :, :]).sum(2)
    return linear, (outer[0] * inner[1][:, None, :]).sum(2) + outer[1]


def _read(images: torch.Tensor, affine: Affine, changed_N: torch.Tensor) -> torch.Tensor:
    """Images read at the mapped places, bilinearly, mirrored at the borders; those not changed as they are."""
    (linear, offset), (height, width) = affine, images.shape[2:]
    x = (torch.arange(width, device=images.device) + 0.5 - width / 2)[None, None, :]
    y = (torch.arange(height, device=images.device) + 0.5 - height / 2)[None, :, None]
    a = linear[:, :, :, None, None]
    place = a[:, :, 0] * x + a[:, :, 1] * y + offset[:, :, None, None]
    grid = torch.stack([place[:, 0] * (2 / width), place[:, 1] * (2 / height)], 3)
    read = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return torch.where(changed_N[:, None, None, None], read, images)


def _colored(images: torch.Tensor, draws: Draws) -> torch.Tensor:
    """The transforms of colours; the mean of the channels is a colour's part along the axis of grey."""

    def wide(values_N: torch.Tensor) -> torch.Tensor:
        return values_N[:, None, None, None]

    def bell(name: Transform) -> torch.Tensor:
        return wide(draws.on(name) * draws.normal(name, 1)[:, 0])

    chosen, colors = draws.chosen, images.shape[1] > 1
    if "brightness" in chosen:
        images = images + 0.2 * bell("brightness")
    if "contrast" in chosen:
        images = images * _doubled(0.5 * bell("contrast"))
    if "invert" in chosen:
        turned = wide(draws.on("invert") * (2 * draws.uniform("invert", 1)[:, 0]).floor())
        images = images - 2 * turned * images.mean(1, keepdim=True)
    if "hue" in chosen and colors:
        angle = wide(draws.on("hue") * (2 * draws.uniform("hue", 1)[:, 0] - 1) * math.pi)
        across = (images.roll(1, 1) - images.roll(-1, 1)) / math.sqrt(3)
        grey = images.mean(1, keepdim=True)
        images = angle.cos() * images + angle.sin() * across + (1 - angle.cos()) * grey
    if "saturation" in chosen and colors:
        factor = _doubled(bell("saturation"))
        images = images + (factor - 1) * (images - images.mean(1, keepdim=True))
    return images
