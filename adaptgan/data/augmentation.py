"""Random changes of a batch on its device: differentiable, and a pure function of each record's seed."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from adaptgan.data.randomness import normal, uniform
from adaptgan.errors import ParamsError

NonNegative = Annotated[float, Field(ge=0)]
Range = tuple[float, float]

# Streams of random numbers inside one view, so that switching one option on leaves the others' draws alone.
_AFFINE, _ELASTIC, _STROKE, _BLUR, _TONE, _NOISE, _CUTOUT, _INVERT = range(8)


class Augmentation(nn.Module):
    """Base of `augmentation` components.

    All randomness must come from `seeds_N` and `view` (see `data.randomness`), so that a record's augmentation does
    not depend on the rest of the batch, the rank, or what was drawn before.
    """

    @property
    def moves_pixels(self) -> bool:
        """Whether values or masks of an image may no longer be true of the changed one; assumed unless denied."""
        return True

    def forward(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        """Changed images, same shape.

        Args:
            images_NCHW: float in [-1, 1].
            seeds_N: int64, from `Side.seeds_N`.
            view: number of an independent draw for the same record: 0 weak, 1 strong, for example.
        """
        raise NotImplementedError

    def observe(self, real_N: torch.Tensor) -> dict[str, torch.Tensor]:
        """Once for each of a discriminator's turns, for an augmentation that adapts to it; most do not.

        Args:
            real_N: D's logits of the augmented real images, without a graph.

        Returns:
            Scalars to log.
        """
        return {}


class Identity(Augmentation):
    """No change."""

    moves_pixels = False

    def forward(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        """The images themselves."""
        return images_NCHW


def check_keeps_geometry(augmentation: object, where: str) -> None:
    """Refuse an augmentation after which a regression's values or a segmentation's masks would be wrong.

    Raises:
        ParamsError: it moves pixels; the message names its place in params.yaml.
    """
    # What does not say is taken to move them: a third party's need not derive from Augmentation.
    if augmentation is not None and getattr(augmentation, "moves_pixels", True):
        raise ParamsError(
            f"{where}: this augmentation moves pixels, and the values or masks to be learned do not move with them. "
            "Use `none`, or `warp` with rotation, shear, translate and elastic 0, scale [1, 1] and stroke [0, 0]."
        )


class Warp(Augmentation):
    """One resampling by a random affine map and a smooth displacement, then pen width, blur, tone, noise and cutout.

    Whatever is left at 0 (or 1, 1) costs nothing.

    Args:
        rotation: largest turn either way, in degrees.
        scale: range of the factor on size; width and height draw their own.
        isotropic: draw one factor for width and height together.
        shear: largest slant either way, in degrees.
        translate: largest shift along each axis, as a share of the image.
        elastic: standard deviation of the displacement at the knots, in pixels.
        elastic_knots: knots along each side of the displacement grid; more make finer waves.
        stroke: range of pen width: -1 erodes, +1 dilates bright strokes by a pixel each side, 0 leaves them; between,
            the images are blended.
        blur: largest standard deviation of a Gaussian blur, in pixels.
        gain: range of the factor on the brightness above `pad`.
        contrast: largest relative change of the contrast about the image's mean, either way.
        brightness: largest shift of all pixels either way; the full range is 2.
        invert: how often a channel's intensities are turned round, x to −x (the intensity flips of French 2018, §4);
            each channel of each image on its own.
        noise: standard deviation of pixel noise.
        cutout: side of a square that is set to `pad`, in pixels.
        pad: the value outside of the image; -1 is black.
    """

    def __init__(
        self,
        rotation: Annotated[float, Field(ge=0, le=180)] = 15.0,
        scale: Range = (0.85, 1.15),
        isotropic: bool = False,
        shear: Annotated[float, Field(ge=0, le=60)] = 15.0,
        translate: NonNegative = 0.08,
        elastic: NonNegative = 0.0,
        elastic_knots: Annotated[int, Field(ge=3, le=32)] = 5,
        stroke: Range = (0.0, 0.0),
        blur: NonNegative = 0.0,
        gain: Range = (1.0, 1.0),
        contrast: Annotated[float, Field(ge=0, le=1)] = 0.0,
        brightness: NonNegative = 0.0,
        invert: Annotated[float, Field(ge=0, le=1)] = 0.0,
        noise: NonNegative = 0.0,
        cutout: Annotated[int, Field(ge=0)] = 0,
        pad: Annotated[float, Field(ge=-1, le=1)] = -1.0,
    ) -> None:
        super().__init__()
        for name, (low, high), least, most in (
            ("scale", scale, 0.05, 20.0),
            ("stroke", stroke, -1.0, 1.0),
            ("gain", gain, 0.0, 10.0),
        ):
            if not least <= low <= high <= most:
                raise ParamsError(f"warp: {name} must be [low, high] within {least}..{most}; found {[low, high]}.")
        self.rotation, self.scale, self.isotropic, self.shear, self.translate = (
            rotation,
            scale,
            isotropic,
            shear,
            translate,
        )
        self.elastic, self.elastic_knots = elastic, elastic_knots
        self.stroke, self.blur, self.cutout, self.pad = stroke, blur, cutout, pad
        self.gain, self.contrast, self.brightness, self.noise = gain, contrast, brightness, noise
        self.invert = invert
        self._moves = bool(rotation or shear or translate or elastic or scale != (1.0, 1.0))
        self._tones = bool(contrast or brightness or gain != (1.0, 1.0))

    @property
    def moves_pixels(self) -> bool:
        """Geometry and pen width do; blur, tones, noise and cutout do not."""
        return self._moves or self.stroke != (0.0, 0.0)

    def forward(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        """Warped images, float in [-1, 1], same shape and type."""
        # Coordinates in bfloat16 would be off by pixels.
        with torch.autocast(images_NCHW.device.type, enabled=False):
            images = images_NCHW.float()
            if self._moves:
                images = self._warped(images, seeds_N, view)
            if self.stroke != (0.0, 0.0):
                images = self._stroked(images, seeds_N, view)
            if self.blur:
                images = self._blurred(images, seeds_N, view)
            if self._tones:
                images = self._toned(images, seeds_N, view)
            if self.invert:
                turned = uniform(seeds_N, view, images.shape[1], _INVERT)[:, :, None, None] < self.invert
                images = torch.where(turned, -images, images)
            if self.noise:
                pixels = normal(seeds_N, view, images[0].numel(), _NOISE).view_as(images)
                images = images + self.noise * pixels
            if self._tones or self.noise:
                images = images.clamp(-1, 1)
            if self.cutout:
                images = self._cut(images, seeds_N, view)
            return images.to(images_NCHW.dtype)

    def affine(self, seeds_N: torch.Tensor, view: int = 0, aspect: float = 1.0) -> torch.Tensor:
        """The drawn maps, (N, 2, 3): from a pixel of the result to where it is read, coordinates in [-1, 1].

        The image is scaled, then slanted, then turned, then shifted; this is the inverse of that.

        Args:
            seeds_N: one per record.
            view: number of the independent draw.
            aspect: height / width of the images: a turn must not squeeze what is not square.
        """
        draws = uniform(seeds_N, view, 6, _AFFINE)
        turn = torch.deg2rad((2 * draws[:, 0] - 1) * self.rotation)
        slant = torch.tan(torch.deg2rad((2 * draws[:, 1] - 1) * self.shear))
        low, high = self.scale
        across = low + (high - low) * draws[:, 2]
        down = across if self.isotropic else low + (high - low) * draws[:, 3]
        right, below = ((2 * draws[:, column] - 1) * 2 * self.translate for column in (4, 5))
        cos, sin = turn.cos(), turn.sin()
        # Inverse of R(turn) · [[1, slant], [0, 1]] · diag(across, down), in units of the image's own half width.
        row_x = [(cos + slant * sin) / across, (sin - slant * cos) / across * aspect]
        row_y = [-sin / down * (1 / aspect), cos / down]
        linear = torch.stack([*row_x, *row_y], 1).view(-1, 2, 2)
        shift = torch.stack([right, below], 1)
        offset = -(linear * shift[:, None, :]).sum(2, keepdim=True)
        return torch.cat([linear, offset], 2)

    def _warped(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int) -> torch.Tensor:
        count, _, height, width = images.shape
        map_ = self.affine(seeds_N, view, height / width)[:, :, :, None, None]
        x = ((torch.arange(width, device=images.device) + 0.5) * 2 / width - 1)[None, None, :]
        y = ((torch.arange(height, device=images.device) + 0.5) * 2 / height - 1)[None, :, None]
        # Written out, not as a matrix product, whose rounding depends on how many records there are.
        grid = map_[:, :, 0] * x + map_[:, :, 1] * y + map_[:, :, 2]
        if self.elastic:
            knots = self.elastic_knots
            field = normal(seeds_N, view, 2 * knots * knots, _ELASTIC).view(count, 2, knots, knots)
            per_pixel = torch.full((1, 2, 1, 1), 2 / width, device=images.device)
            per_pixel[:, 1].fill_(2 / height)
            smooth = F.interpolate(field * self.elastic, (height, width), mode="bicubic", align_corners=True)
            grid = grid + smooth * per_pixel
        # grid_sample fills with zeros, so the images are moved to where `pad` is zero.
        read = F.grid_sample(images - self.pad, grid.permute(0, 2, 3, 1), align_corners=False)
        return read + self.pad

    def _stroked(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int) -> torch.Tensor:
        amount = _between(self.stroke, uniform(seeds_N, view, 1, _STROKE)[:, :, None, None])
        thick, thin = _dilated(images), -_dilated(-images)
        return images + amount.clamp(min=0) * (thick - images) + (-amount).clamp(min=0) * (thin - images)

    def _blurred(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int) -> torch.Tensor:
        from kornia.filters import get_gaussian_kernel1d

        # A standard deviation of 0 has no kernel; 0.05 px changes nothing.
        sigma = (uniform(seeds_N, view, 1, _BLUR) * self.blur).clamp(min=0.05)
        radius = min(max(1, round(3 * self.blur)), min(images.shape[2:]) - 1)
        kernel = get_gaussian_kernel1d(2 * radius + 1, sigma)[:, None, None, None, :]
        # Sums of shifted copies: a grouped convolution rounds differently for other batch sizes.
        padded = F.pad(images, (radius, radius, radius, radius), mode="reflect")
        across = (padded.unfold(3, 2 * radius + 1, 1) * kernel).sum(4)
        return (across.unfold(2, 2 * radius + 1, 1) * kernel).sum(4)

    def _toned(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int) -> torch.Tensor:
        draws = uniform(seeds_N, view, 3, _TONE)[:, :, None, None, None]
        images = (images - self.pad) * _between(self.gain, draws[:, 0]) + self.pad
        if self.contrast:
            mean = images.mean((1, 2, 3), keepdim=True)
            images = mean + (images - mean) * _between((1 - self.contrast, 1 + self.contrast), draws[:, 1])
        return images + (2 * draws[:, 2] - 1) * self.brightness

    def _cut(self, images: torch.Tensor, seeds_N: torch.Tensor, view: int) -> torch.Tensor:
        height, width = images.shape[2:]
        centre = uniform(seeds_N, view, 2, _CUTOUT)
        rows = torch.arange(height, device=images.device) + 0.5
        columns = torch.arange(width, device=images.device) + 0.5
        in_rows = (rows - centre[:, :1] * height).abs() < self.cutout / 2
        in_columns = (columns - centre[:, 1:] * width).abs() < self.cutout / 2
        return torch.where(in_rows[:, None, :, None] & in_columns[:, None, None, :], self.pad, images)


def _dilated(images: torch.Tensor) -> torch.Tensor:
    """The maximum over each pixel's 3×3 neighbourhood: a max-pooling, in a tenth of its time on a CPU."""
    padded = F.pad(images, (1, 1, 0, 0), value=float("-inf"))
    rows = torch.maximum(torch.maximum(padded[..., :-2], padded[..., 2:]), images)
    padded = F.pad(rows, (0, 0, 1, 1), value=float("-inf"))
    return torch.maximum(torch.maximum(padded[..., :-2, :], padded[..., 2:, :]), rows)


def _between(bounds: Range, draws: torch.Tensor) -> torch.Tensor:
    low, high = bounds
    return low + (high - low) * draws
