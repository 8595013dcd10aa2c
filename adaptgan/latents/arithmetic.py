"""Attributes as directions: the mean of the latents that have one, less the mean of those that do not."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from adaptgan.errors import ParamsError


def attribute_vector(with_NZ: torch.Tensor, without_MZ: torch.Tensor) -> torch.Tensor:
    """The direction v = mean z(with) − mean z(without), (Z,) (Radford 2016, §6.3.2).

    Averages of a few latents each are what makes it steady: single ones give poor directions.

    Args:
        with_NZ: latents whose images have the attribute.
        without_MZ: latents whose images do not; without any, 0 stands for them: the mean of all latents.

    Raises:
        ParamsError: there are none with it.
    """
    if not len(with_NZ):
        raise ParamsError("an attribute needs at least one latent that has it.")
    direction_Z = with_NZ.mean(0)
    return direction_Z - without_MZ.mean(0) if len(without_MZ) else direction_Z


def shifted(z_NZ: torch.Tensor, direction_Z: torch.Tensor, strengths: Sequence[float]) -> torch.Tensor:
    """Latents z' = z + α·v for each strength α, (N, strengths, Z)."""
    strength_S1 = torch.tensor(strengths, dtype=z_NZ.dtype, device=z_NZ.device)[:, None]
    return z_NZ[:, None] + strength_S1 * direction_Z


def read_attribute(
    z_NZ: torch.Tensor, probabilities_NK: torch.Tensor, wanted: int, name: str, threshold: float = 0.0
) -> torch.Tensor:
    """The direction towards what a classifier reads as one class, (Z,).

    Args:
        z_NZ: latents.
        probabilities_NK: what a classifier says of their images.
        wanted: k; an image has the attribute when its likeliest class is k with at least `threshold`, and has it not
            when its likeliest class is another.
        name: of the class, for the message.
        threshold: smallest probability.

    Raises:
        ParamsError: no image, or every image, is read so.
    """
    sure_N, read_N = probabilities_NK.max(1)
    has_N = (read_N == wanted) & (sure_N >= threshold)
    other_N = read_N != wanted
    if not has_N.any() or not other_N.any():
        raise ParamsError(
            f"the classifier reads {int(has_N.sum())} of {len(z_NZ)} samples as {name!r} and {int(other_N.sum())} as "
            "something else; a direction needs both. Draw more samples, or choose another class."
        )
    return attribute_vector(z_NZ[has_N], z_NZ[other_N])
