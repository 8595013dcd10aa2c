"""Options that the commands on a generator's latents share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[Path, typer.Argument(help="A trained generator.", metavar="MODEL")]
Png = Annotated[Path, typer.Option(help="The picture, a PNG file.")]
Class = Annotated[str | None, typer.Option("--class", help="Of all images, for a generator that was taught classes.")]
Truncation = Annotated[
    float | None, typer.Option(help="Below 1: less variety, fewer failures, where the generator can.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of the latents.")]
Steps = Annotated[int, typer.Option(min=1, help="Of the descent.")]
Rate = Annotated[float, typer.Option(min=1e-9, help="First learning rate of the descent.")]
