"""Places, affine maps and warps: plain functions, all in float32.

Places are (x, y) from -1 to 1 over the image: -1 is the outer edge of the first pixel, 1 that of the last, so that they
mean the same at any resolution. Keypoints are one tensor (N, K, 6): x, y, and the four numbers of the Jacobian
d T_{X←R} / dp, row by row (Siarohin 2019, §3.1): how the surroundings of the keypoint lie in the image X, seen from a
reference frame R that is never drawn. Products are written out: matrix products would be rounded to bfloat16 where
training is in mixed precision.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

NUMBERS = 6
"""Of a keypoint: a place and a Jacobian."""

_SMALLEST = 1e-3
"""What a determinant is held away from 0 by: a Jacobian that folds the image flat has no inverse."""


def grid(height: int, width: int, like: torch.Tensor) -> torch.Tensor:
    """The places of pixels' centres, float32 (H, W, 2), on the device of `like`."""
    x_W, y_H = (
        (2 * torch.arange(count, device=like.device, dtype=torch.float32) + 1) / count - 1 for count in (width, height)
    )
    return torch.stack(torch.broadcast_tensors(x_W[None, :], y_H[:, None]), -1)


def places(keypoints_NK6: torch.Tensor) -> torch.Tensor:
    """T_{X←R}(p_k), (N, K, 2)."""
    return keypoints_NK6[..., :2]


def jacobians(keypoints_NK6: torch.Tensor) -> torch.Tensor:
    """Their d T_{X←R} / dp at p_k, (N, K, 2, 2)."""
    jacobians_NK22: torch.Tensor = keypoints_NK6[..., 2:].unflatten(-1, (2, 2))
    return jacobians_NK22


def keypoints(places_NK2: torch.Tensor, jacobians_NK22: torch.Tensor) -> torch.Tensor:
    """Both in one tensor, (N, K, 6)."""
    return torch.cat([places_NK2, jacobians_NK22.flatten(-2)], -1)


def inverse(matrices: torch.Tensor) -> torch.Tensor:
    """Inverses of 2×2 matrices in closed form, (…, 2, 2); determinants nearer to 0 than 0.001 are taken for that."""
    a, b, c, d = matrices.flatten(-2).unbind(-1)
    determinant = a * d - b * c
    held = torch.where(determinant < 0, determinant.clamp(max=-_SMALLEST), determinant.clamp(min=_SMALLEST))
    inverses: torch.Tensor = (torch.stack([d, -b, -c, a], -1) / held[..., None]).unflatten(-1, (2, 2))
    return inverses


def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Matrix products, (…, 2, 2)."""
    return (left[..., :, :, None] * right[..., None, :, :]).sum(-2)


def applied(matrices: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Matrices times vectors, (…, 2)."""
    return (matrices * vectors[..., None, :]).sum(-1)


def warped(images_NCHW: torch.Tensor, places_Nhw2: torch.Tensor) -> torch.Tensor:
    """What is seen at these places, (N, C, h, w), in the images' type: bilinear; beyond the edge, the edge."""
    seen = F.grid_sample(
        images_NCHW.float(), places_Nhw2.float(), mode="bilinear", padding_mode="border", align_corners=False
    )
    return seen.to(images_NCHW.dtype)


def relative(source_NK6: torch.Tensor, driving_NK6: torch.Tensor, first_NK6: torch.Tensor) -> torch.Tensor:
    """Keypoints of the source that move as the driving video's do since its first frame (Siarohin 2019, eq. 14).

    Places are moved by how far the driving ones are from the first, and the Jacobian is J_D J_D1⁻¹ J_S, so that the
    J_k of `dense_motion.candidates` becomes J_D1 J_D⁻¹, as there.

    Args:
        source_NK6: keypoints of the image that is to move.
        driving_NK6: of a frame of the driving video.
        first_NK6: of its first frame, which must show about the source's pose.
    """
    places_NK2 = places(source_NK6) + places(driving_NK6) - places(first_NK6)
    turned_NK22 = product(jacobians(driving_NK6), inverse(jacobians(first_NK6)))
    return keypoints(places_NK2, product(turned_NK22, jacobians(source_NK6)))
