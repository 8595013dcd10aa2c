"""`adaptgan arithmetic`: add an attribute to samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptgan.cli.latents import Class, Model, Png, Seed


def command(
    model: Model,
    to: Annotated[str, typer.Option(metavar="NUMBERS", help="Samples to change, such as 20,21.")],
    out: Png,
    plus: Annotated[str, typer.Option(metavar="NUMBERS", help="Samples that have the attribute.")] = "",
    minus: Annotated[str, typer.Option(metavar="NUMBERS", help="Samples that do not.")] = "",
    attribute: Annotated[
        str | None, typer.Option(metavar="CLASS", help="Instead of --plus and --minus: what --guard reads as CLASS.")
    ] = None,
    guard: Annotated[Path | None, typer.Option(help="The classifier that reads the attribute.")] = None,
    count: Annotated[int, typer.Option(min=2, help="Samples that it reads.")] = 1000,
    strength: Annotated[str, typer.Option(metavar="NUMBERS", help="How much of it; several give a column each.")] = "1",
    class_: Class = None,
    seed: Seed = 0,
) -> None:
    """Add the mean of some latents, less the mean of others, to further ones; a row each, the sample itself first.

    Numbers are those of `adaptgan sample --numbered` with the same seed.
    """
    from adaptgan.stages.latents import arithmetic

    length = arithmetic(
        model,
        out,
        to=to,
        plus=plus,
        minus=minus,
        attribute=attribute,
        guard=guard,
        count=count,
        strengths=strength,
        class_name=class_,
        seed=seed,
    )
    typer.echo(f"{out}: the attribute is a direction of length {length:.2f}")
