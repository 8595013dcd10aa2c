"""The package's commands; each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def caption_grid(
    model: Annotated[Path, typer.Argument(help="A trained text-to-image model.", metavar="MODEL")],
    caption: Annotated[list[str], typer.Option(help="A row of images of this; repeatable.")],
    out: Annotated[Path, typer.Option(help="The picture, a PNG file.")],
    columns: Annotated[int, typer.Option(min=1, max=64, help="Images of each caption.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise; a column has the same in every row.")] = 0,
) -> None:
    """Draw a grid of images by caption."""
    from adaptgan_text_to_image.grid import caption_grid

    caption_grid(model, caption, out, columns=columns, seed=seed)
    typer.echo(f"{out}: {len(caption)} captions, {columns} images each")


def read_back(
    made: Annotated[Path, typer.Argument(help="A data set with `attributes`.", metavar="DATASET")],
    judge: Annotated[
        list[str], typer.Option(metavar="ATTRIBUTE=MODEL", help="A classifier of this attribute; repeatable.")
    ],
    out: Annotated[Path | None, typer.Option(help="The shares, as JSON.")] = None,
) -> None:
    """Have classifiers read from images what their captions say of them."""
    from adaptgan_text_to_image.reading import judges, read_back

    shares = read_back(made, judges(judge), out)
    for name, share in shares["attributes"].items():
        typer.echo(f"{name:<12} {share:.3f}")
    typer.echo(f"{'all':<12} {shares['all']:.3f}   of {shares['images']} images")
