"""`adaptgan interpolate`: from one latent to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from adaptgan.cli.latents import Class, Model, Truncation


def command(
    model: Model,
    start: Annotated[str, typer.Option("--from", metavar="SEED/NUMBER", help="Latents to start from: 0/3 or 0/3,0/7.")],
    end: Annotated[str, typer.Option("--to", metavar="SEED/NUMBER", help="As many to end at, or one for all.")],
    out: Annotated[Path, typer.Option(help="The picture: a PNG file, or a GIF.")],
    mode: Annotated[Literal["spherical", "linear"], typer.Option(help="Along the arc, or straight.")] = "spherical",
    steps: Annotated[int, typer.Option(min=2, help="Images of each row, both ends included.")] = 10,
    class_: Class = None,
    truncation: Truncation = None,
) -> None:
    """Show the way between latents, a row each; without --class, once for each class that the generator knows."""
    from adaptgan.stages.latents import interpolate

    rows = interpolate(
        model, out, start=start, end=end, mode=mode, steps=steps, class_name=class_, truncation=truncation
    )
    typer.echo(f"{out}: {rows} way{'s' if rows > 1 else ''} of {steps} images")
