"""Gradient descent on latents: many at once, each on its own, the best that each ever was."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

Objective = Callable[[torch.Tensor], torch.Tensor]
"""Latents (N, Z) -> what each of them is to make small, (N,); each row must depend on its own latent alone."""


def descend(
    objective: Objective,
    start_NZ: torch.Tensor,
    steps: int,
    lr: float,
    watch: Callable[[int, torch.Tensor], None] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents that make the objective small, and what it is there: (N, Z) and (N,).

    Adam with a learning rate that falls to 0 along a cosine. Adam works coordinate by coordinate and the rows' terms
    are added, so no latent's way depends on the others in the batch. A model in eval mode with frozen weights is
    assumed: gradients are taken with respect to z alone.

    Args:
        objective: one number for each latent.
        start_NZ: where to start.
        steps: how many.
        lr: first learning rate.
        watch: called with the step and the latents before each step, and once after the last.
    """
    z_NZ = start_NZ.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([z_NZ], lr)
    best_NZ, best_N = z_NZ.detach().clone(), torch.full((len(z_NZ),), math.inf, device=z_NZ.device)
    with torch.enable_grad():
        for step in range(steps + 1):
            if watch is not None:
                watch(step, z_NZ.detach())
            terms_N = objective(z_NZ)
            better_N = terms_N.detach() < best_N
            best_N = torch.where(better_N, terms_N.detach(), best_N)
            best_NZ = torch.where(better_N[:, None], z_NZ.detach(), best_NZ)
            if step == steps:
                break
            for group in optimizer.param_groups:
                group["lr"] = lr * (1 + math.cos(math.pi * step / steps)) / 2
            (z_NZ.grad,) = torch.autograd.grad(terms_N.sum(), z_NZ)
            optimizer.step()
    return best_NZ, best_N
