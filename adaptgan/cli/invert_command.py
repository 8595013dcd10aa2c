"""`adaptgan invert`: which latents make given images, and were they memorized?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptgan.cli.latents import Class, Model, Rate, Seed, Steps


def command(
    model: Model,
    images: Annotated[Path, typer.Option(help="Data set that the generator was trained on.")],
    out: Annotated[Path, typer.Option(help="Folder for pictures, errors and latents.")],
    held_out: Annotated[
        Path | None,
        typer.Option(help="Data set of the same kind that it was not; else the images its training kept aside."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Images of each.")] = 16,
    class_: Class = None,
    steps: Steps = 300,
    lr: Rate = 0.1,
    restarts: Annotated[int, typer.Option(min=1, help="Starts for each image, side by side; the best is kept.")] = 4,
    prior: Annotated[float, typer.Option(min=0, help="Weight of the latent's mean square.")] = 0.0,
    seed: Seed = 0,
) -> None:
    """Find latents whose images come nearest to given ones, and compare training images with held-out ones."""
    from adaptgan.stages.inversion import invert

    text = invert(
        model,
        images,
        out,
        held_out=held_out,
        count=count,
        class_name=class_,
        steps=steps,
        lr=lr,
        restarts=restarts,
        prior=prior,
        seed=seed,
    )
    typer.echo(text, nl=False)
