"""`adaptgan sample`: a sheet of a generator's images."""

from __future__ import annotations

from typing import Annotated

import typer

from adaptgan.cli.latents import Class, Model, Png, Seed, Truncation


def command(
    model: Model,
    out: Png,
    count: Annotated[int | None, typer.Option(min=1, help="Images; by default as many as fill the rows.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Of the sheet. [8]")] = None,
    columns: Annotated[int | None, typer.Option(min=1, help="Of the sheet. [one for each class, else 8]")] = None,
    class_: Class = None,
    truncation: Truncation = None,
    seed: Seed = 0,
    numbered: Annotated[
        bool, typer.Option("--numbered", help="Write each latent's number under its image; other commands take it.")
    ] = False,
) -> None:
    """Make images from noise, one for each latent of a seed; classes take turns."""
    from adaptgan.stages.latents import sample

    made = sample(
        model,
        out,
        count=count,
        rows=rows,
        columns=columns,
        class_name=class_,
        truncation=truncation,
        seed=seed,
        numbered=numbered,
    )
    typer.echo(f"{out}: {made} samples")
