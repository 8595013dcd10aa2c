"""Paint on an image, and let the generator make it so: editing that stays on the manifold (Zhu 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from adaptgan.data.images import chw, convert, to_float
from adaptgan.errors import DataError
from adaptgan.latents.descent import descend
from adaptgan.latents.drawing import LatentModel


@dataclass(frozen=True)
class Edit:
    """What came of a scribble.

    Attributes:
        z_Z: the edited latent.
        image_CHW: g(z), float in [-1, 1].
        frames_TCHW: the way there, from g(z0) on.
        missed: root mean squared difference from the scribble where it is, in units of [-1, 1].
        missed_before: the same of g(z0).
        moved: ‖z − z0‖ / √Z, root mean squared change of a coordinate.
    """

    z_Z: torch.Tensor
    image_CHW: torch.Tensor
    frames_TCHW: torch.Tensor
    missed: float
    missed_before: float
    moved: float


def edit(
    model: LatentModel,
    z0_Z: torch.Tensor,
    scribble_CHW: torch.Tensor,
    mask_HW: torch.Tensor,
    label: int | None = None,
    *,
    stay: float = 0.2,
    smooth: float = 0.0,
    steps: int = 200,
    lr: float = 0.05,
    frames: int = 6,
    device: torch.device | str = "cpu",
) -> Edit:
    """Change a latent until its image matches a scribble, and no further (Zhu 2016, §4.2, without its D).

        minimize over z:  ‖M ⊙ (g(z) − s)‖² + λ‖z − z0‖² + μ‖∇(g(z) − g(z0))‖²

    Each term is a mean: over what is marked, over z's coordinates, over neighbouring pixels; so one λ suits all sizes.
    What lies off the scribble is not asked for: it changes as the manifold wants it to.

    Args:
        model: the generator g, frozen and in eval mode.
        z0_Z: where to start and to stay near.
        scribble_CHW: colours s in [-1, 1].
        mask_HW: M, how much each pixel is asked for, 0 to 1.
        label: the image's class, for a conditional model; it does not change.
        stay: λ.
        smooth: μ, keeps the change itself smooth: whole regions move rather than spots.
        steps: of Adam.
        lr: first learning rate; it falls to 0.
        frames: images of the way to keep, evenly spaced, first and last included.
        device: where the model is.

    Raises:
        DataError: nothing is marked.
    """
    if not mask_HW.any():
        raise DataError("the scribble marks nothing: all of it is transparent.")
    wanted_CHW, mask, start_1Z = scribble_CHW.to(device), mask_HW.to(device), z0_Z[None].to(device)
    label_1 = None if label is None else torch.tensor([label], device=device)
    marked = mask.sum() * len(wanted_CHW)
    with torch.no_grad():
        before_1CHW = model.generate(start_1Z, label_1).float()

    def missed(images_1CHW: torch.Tensor) -> torch.Tensor:
        return (mask * (images_1CHW - wanted_CHW).square()).flatten(1).sum(1) / marked

    def objective(z_1Z: torch.Tensor) -> torch.Tensor:
        images_1CHW = model.generate(z_1Z, label_1).float()
        terms_1 = missed(images_1CHW) + stay * (z_1Z - start_1Z).square().mean(1)
        return terms_1 + smooth * roughness(images_1CHW - before_1CHW) if smooth else terms_1

    seen = {round(step) for step in np.linspace(0, steps, max(2, frames))}
    on_the_way: list[torch.Tensor] = []

    def watch(step: int, z_1Z: torch.Tensor) -> None:
        if step in seen:
            on_the_way.append(z_1Z.clone())

    z_1Z, _ = descend(objective, start_1Z, steps, lr, watch)
    on_the_way[-1] = z_1Z  # the best, which may be a step or two before the last
    with torch.no_grad():
        shown = [model.generate(z, label_1).float() for z in on_the_way]
        after_1CHW = shown[-1]
        return Edit(
            z_1Z[0].cpu(),
            after_1CHW[0].clamp(-1, 1).cpu(),
            torch.cat(shown).clamp(-1, 1).cpu(),
            missed=float(missed(after_1CHW).sqrt()),
            missed_before=float(missed(before_1CHW).sqrt()),
            moved=float((z_1Z - start_1Z).square().mean().sqrt()),
        )


def roughness(images_NCHW: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of neighbouring pixels, (N,)."""
    down = images_NCHW.diff(dim=2).square().flatten(1).mean(1)
    return down + images_NCHW.diff(dim=3).square().flatten(1).mean(1)


def read_scribble(rgba_HW4: np.ndarray, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours (C, H, W) in [-1, 1] and where they are asked for, (H, W) from 0 to 1.

    Args:
        rgba_HW4: uint8; what is transparent is left to the generator.
        channels: of the model: 1 turns colours to grey.
    """
    rgb = np.ascontiguousarray(rgba_HW4[:, :, :3])
    colours = convert(rgb, None, "L" if channels == 1 else "RGB")
    alpha = torch.from_numpy(rgba_HW4[:, :, 3].copy())
    return to_float(torch.from_numpy(chw(colours).copy())), alpha.float() / 255
