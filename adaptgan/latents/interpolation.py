"""Paths between two latents: straight lines, and arcs that stay where the normal distribution is."""

from __future__ import annotations

from typing import Literal

import torch

Mode = Literal["linear", "spherical"]

_PARALLEL = 1e-4
"""Angle, in radians, below which an arc and its chord agree to float32's last digits."""


def linear(a_NZ: torch.Tensor, b_NZ: torch.Tensor, t_T: torch.Tensor) -> torch.Tensor:
    """(1 − t)·a + t·b, (N, T, Z).

    Half-way between two draws from a normal distribution of many dimensions this is √2 shorter than any draw.

    Args:
        a_NZ: where the paths begin.
        b_NZ: where they end.
        t_T: how far along, from 0 to 1.
    """
    t_T1 = t_T.to(a_NZ)[:, None]
    return (1 - t_T1) * a_NZ[:, None] + t_T1 * b_NZ[:, None]


def spherical(a_NZ: torch.Tensor, b_NZ: torch.Tensor, t_T: torch.Tensor) -> torch.Tensor:
    """Along the arc between a and b, (N, T, Z) (Shoemake 1985; White 2016, §2.1).

        u(t) = [sin((1 − t)·ω)·â + sin(t·ω)·b̂] / sin ω,  cos ω = â·b̂
        z(t) = ((1 − t)·‖a‖ + t·‖b‖)·u(t)

    The directions move evenly along the great circle, the length linearly: between latents of one length all are of
    that length. Nearly parallel ones go straight. Opposite ones have no shortest arc: some great circle through both is
    taken.

    Args:
        a_NZ: where the paths begin.
        b_NZ: where they end.
        t_T: how far along, from 0 to 1.
    """
    t_T1 = t_T.to(a_NZ.dtype).to(a_NZ.device)[:, None]
    a_N1, b_N1 = (z_NZ.norm(dim=1, keepdim=True) for z_NZ in (a_NZ, b_NZ))
    from_NZ, to_NZ = a_NZ / a_N1.clamp(min=1e-12), b_NZ / b_N1.clamp(min=1e-12)
    # Where b̂ points beside â, and how far: exact for small and for large angles, which acos(â·b̂) is not.
    along_N1 = (from_NZ * to_NZ).sum(1, keepdim=True)
    beside_NZ = to_NZ - along_N1 * from_NZ
    sine_N1 = beside_NZ.norm(dim=1, keepdim=True)
    angle_N1 = torch.atan2(sine_N1, along_N1)
    opposite_N1 = (sine_N1 < _PARALLEL) & (along_N1 < 0)
    beside_NZ = torch.where(opposite_N1, _perpendicular(from_NZ), beside_NZ / sine_N1.clamp(min=1e-12))
    turned_NT1 = t_T1 * angle_N1[:, None]
    unit_NTZ = turned_NT1.cos() * from_NZ[:, None] + turned_NT1.sin() * beside_NZ[:, None]
    path_NTZ = ((1 - t_T1) * a_N1[:, None] + t_T1 * b_N1[:, None]) * unit_NTZ
    straight_N1 = (sine_N1 < _PARALLEL) & (along_N1 > 0)
    path_NTZ = torch.where(straight_N1[:, None], linear(a_NZ, b_NZ, t_T), path_NTZ)
    # The ends are the latents themselves, to the last bit.
    path_NTZ = torch.where(t_T1 == 0, a_NZ[:, None], path_NTZ)
    return torch.where(t_T1 == 1, b_NZ[:, None], path_NTZ)


def path(a_NZ: torch.Tensor, b_NZ: torch.Tensor, steps: int, mode: Mode = "spherical") -> torch.Tensor:
    """`steps` latents evenly from each a to its b, both included, (N, steps, Z)."""
    t_T = torch.linspace(0, 1, steps, dtype=a_NZ.dtype, device=a_NZ.device)
    return spherical(a_NZ, b_NZ, t_T) if mode == "spherical" else linear(a_NZ, b_NZ, t_T)


def _perpendicular(unit_NZ: torch.Tensor) -> torch.Tensor:
    """Some unit vectors (N, Z) at right angles to given ones."""
    axis_NZ = torch.zeros_like(unit_NZ).scatter_(1, unit_NZ.abs().argmin(1, keepdim=True), 1.0)
    away_NZ = axis_NZ - (axis_NZ * unit_NZ).sum(1, keepdim=True) * unit_NZ
    unit: torch.Tensor = away_NZ / away_NZ.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return unit
