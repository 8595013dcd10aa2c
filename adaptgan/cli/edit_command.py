"""`adaptgan edit`: paint on an image, and let the generator make it so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptgan.cli.latents import Class, Model, Png, Rate, Steps


def command(
    model: Model,
    scribble: Annotated[
        Path, typer.Option(help="PNG of the images' size: where it is opaque, its colour is asked for.")
    ],
    out: Png,
    start: Annotated[str | None, typer.Option(metavar="SEED/NUMBER", help="The sample to edit, such as 0/12.")] = None,
    image: Annotated[Path | None, typer.Option(help="Instead: an image file; it is inverted first.")] = None,
    class_: Class = None,
    stay: Annotated[float, typer.Option(min=0, help="Weight of staying near the start.")] = 0.2,
    smooth: Annotated[float, typer.Option(min=0, help="Weight of a smooth change.")] = 0.0,
    steps: Steps = 200,
    lr: Rate = 0.05,
    gif: Annotated[Path | None, typer.Option(help="Also show the way as a GIF.")] = None,
) -> None:
    """Change an image until it matches a coloured scribble, as far as the generator can."""
    from adaptgan.stages.inversion import edit

    done = edit(
        model,
        scribble,
        out,
        start=start,
        image=image,
        class_name=class_,
        stay=stay,
        smooth=smooth,
        steps=steps,
        lr=lr,
        gif=gif,
    )
    typer.echo(
        f"{out}: differed from the scribble by {done.missed_before:.3f}, now by {done.missed:.3f} (of 2, root mean "
        f"square); the latent moved by {done.moved:.2f}"
    )
