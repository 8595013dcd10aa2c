"""Random deformations T of an image, and their derivatives: what keypoints must follow (Siarohin et al. 2019, §3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from adaptgan.data.randomness import normal
from adaptgan_video import affine

_VIEW = 0x7450
"""The view of a record's random numbers that its deformation is drawn from; augmentations have the small ones."""

_EPS = 1e-6


@dataclass(frozen=True)
class Deformation:
    """T(z) = A z + b + Σ_p w_p U(‖z − c_p‖), U(r) = r² log r²: affine, and a thin-plate spline (Bookstein 1989).

    Attributes:
        affine_N23: A and b, for each image.
        weights_NP2: w_p.
        centres_P2: c_p, a regular grid over the image.
    """

    affine_N23: torch.Tensor
    weights_NP2: torch.Tensor
    centres_P2: torch.Tensor

    def __call__(self, places_NM2: torch.Tensor) -> torch.Tensor:
        """T of M places of each image, (N, M, 2)."""
        linear_NM2 = affine.applied(self.affine_N23[:, None, :, :2], places_NM2) + self.affine_N23[:, None, :, 2]
        squared_NMP = (places_NM2[:, :, None] - self.centres_P2).square().sum(-1)
        bent_NMP = squared_NMP * torch.log(squared_NMP + _EPS)
        return linear_NM2 + (bent_NMP[..., None] * self.weights_NP2[:, None]).sum(2)

    def jacobian(self, places_NM2: torch.Tensor) -> torch.Tensor:
        """dT/dz there, (N, M, 2, 2): A + Σ_p w_p ∇Uᵀ, ∇U = 2 (z − c_p) (log r² + 1)."""
        away_NMP2 = places_NM2[:, :, None] - self.centres_P2
        squared_NMP1 = away_NMP2.square().sum(-1, keepdim=True)
        slope_NMP2 = 2 * away_NMP2 * (torch.log(squared_NMP1 + _EPS) + squared_NMP1 / (squared_NMP1 + _EPS))
        bent_NM22 = (self.weights_NP2[:, None, :, :, None] * slope_NMP2[:, :, :, None, :]).sum(2)
        return self.affine_N23[:, None, :, :2] + bent_NM22

    def deformed(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """The images Y with Y(z) = X(T(z)): what was at T(z) is at z now."""
        height, width = images_NCHW.shape[2:]
        z_NM2 = affine.grid(height, width, images_NCHW).flatten(0, 1).expand(len(images_NCHW), -1, 2)
        return affine.warped(images_NCHW, self(z_NM2).unflatten(1, (height, width)))


def random_deformation(seeds_N: torch.Tensor, bend: float, curl: float, points: int = 5) -> Deformation:
    """A deformation for each record, which its own seed decides.

    Args:
        seeds_N: int64.
        bend: standard deviation of A − 1 and of b; the paper's is 0.05.
        curl: standard deviation of the spline's weights; the paper's is 0.005.
        points: c_p are points × points; the paper's is 5.
    """
    draws_NZ = normal(seeds_N, _VIEW, 6 + 2 * points**2)
    identity_23 = torch.eye(2, 3, device=seeds_N.device)
    # From edge to edge, not from pixels' centres: a grid of its own.
    axis = torch.linspace(-1, 1, points, device=seeds_N.device)
    centres_P2 = torch.cartesian_prod(axis, axis)
    weights_NP2 = curl * draws_NZ[:, 6:].unflatten(1, (points**2, 2))
    return Deformation(identity_23 + bend * draws_NZ[:, :6].unflatten(1, (2, 3)), weights_NP2, centres_P2)
