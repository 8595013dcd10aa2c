"""DiffAugment: differentiable augmentation for data-efficient GAN training (Zhao et al. 2020)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch.nn import functional as F

from adaptgan.data.augmentation import Augmentation
from adaptgan.data.randomness import uniform

# Streams of random numbers inside one view, as in data/augmentation.py.
_COLOR, _TRANSLATION, _CUTOUT = range(32, 35)

Change = Literal["color", "translation", "cutout"]


class DiffAugment(Augmentation):
    """All images that D sees, real or generated, are changed by T, through which G's gradient flows (eq. 1 and 2):

        color:        brightness x + U(−½, ½); saturation, the distance from grey · U(0, 2); contrast, the distance from
                      the image's mean · U(½, 1½)
        translation:  by whole pixels, up to 1/8 of the image along each axis, filled with `pad`
        cutout:       a rectangle of half the image's sides, part of it perhaps outside, set to `pad`

    Args:
        policy: the changes, in this order; the paper has all three, and `translation, cutout` where color means much.
        translation: largest shift, as a share of the image.
        cutout: sides of the rectangle, as a share of the image's.
        pad: the value outside of the image and in the rectangle; the paper's 0 is grey here, −1 is black.
    """

    def __init__(
        self,
        policy: tuple[Change, ...] = ("color", "translation", "cutout"),
        translation: Annotated[float, Field(ge=0, lt=1)] = 0.125,
        cutout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
        pad: Annotated[float, Field(ge=-1, le=1)] = 0.0,
    ) -> None:
        super().__init__()
        self.policy, self.translation, self.cutout, self.pad = policy, translation, cutout, pad

    @property
    def moves_pixels(self) -> bool:
        """Translation does."""
        return "translation" in self.policy and self.translation > 0

    def forward(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        """Changed images, same shape and type; colours may leave [-1, 1], as in the paper."""
        images = images_NCHW.float()
        for change in self.policy:
            if change == "color":
                images = colored(images, uniform(seeds_N, view, 3, _COLOR))
            elif change == "translation":
                images = self._translated(images, uniform(seeds_N, view, 2, _TRANSLATION))
            else:
                images = self._cut(images, uniform(seeds_N, view, 2, _CUTOUT))
        return images.to(images_NCHW.dtype)

    def _translated(self, images: torch.Tensor, draws_N2: torch.Tensor) -> torch.Tensor:
        """Read from the padded image at shifted rows and columns."""
        height, width = images.shape[2:]
        most = [int(side * self.translation + 0.5) for side in (height, width)]
        padded = F.pad(images, (most[1], most[1], most[0], most[0]), value=self.pad)
        for axis, side in ((2, height), (3, width)):
            reach = most[axis - 2]
            start_N = (draws_N2[:, axis - 2] * (2 * reach + 1)).long()  # 0 … 2 · reach, where `reach` is no shift
            index = start_N[:, None] + torch.arange(side, device=images.device)
            shape = [len(images), 1, 1, 1]
            shape[axis] = side
            target = list(padded.shape)
            target[axis] = side
            padded = padded.gather(axis, index.view(shape).expand(target))
        return padded

    def _cut(self, images: torch.Tensor, draws_N2: torch.Tensor) -> torch.Tensor:
        """Each corner's place is drawn so that the rectangle's middle may be any pixel."""
        inside = images.new_ones(len(images), 1, 1, 1, dtype=torch.bool)
        for axis, side in ((2, images.shape[2]), (3, images.shape[3])):
            length = int(side * self.cutout + 0.5)
            middle_N = (draws_N2[:, axis - 2] * (side + 1 - length % 2)).long()
            place = torch.arange(side, device=images.device) - middle_N[:, None] + length // 2
            shape = [len(images), 1, 1, 1]
            shape[axis] = side
            inside = inside & ((place >= 0) & (place < length)).view(shape)
        return images.masked_fill(inside, self.pad)


def colored(images_NCHW: torch.Tensor, draws_N3: torch.Tensor) -> torch.Tensor:
    """Brightness, saturation and contrast of the images.

    Args:
        images_NCHW: any C.
        draws_N3: in [0, 1), one for each of the three.
    """
    brightness, saturation, contrast = draws_N3[:, :, None, None, None].unbind(1)
    images = images_NCHW + brightness - 0.5
    if images.shape[1] > 1:
        grey = images.mean(1, keepdim=True)
        images = grey + (images - grey) * 2 * saturation
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (contrast + 0.5)
