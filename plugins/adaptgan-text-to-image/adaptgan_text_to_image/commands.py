"""The package's commands; each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Params = Annotated[Path | None, typer.Option(help="Of the pipeline whose stage this is, to be tracked with it.")]


def caption_grid(
    model: Annotated[Path, typer.Argument(help="A trained text-to-image model.", metavar="MODEL")],
    caption: Annotated[list[str], typer.Option(help="A row of images of this; repeatable.")],
    out: Annotated[Path, typer.Option(help="The picture, a PNG file.")],
    columns: Annotated[int, typer.Option(min=1, max=64, help="Images of each caption.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise; a column has the same in every row.")] = 0,
    params: Params = None,
) -> None:
    """Draw a grid of images by caption."""
    from adaptgan.stages.base import Stage
    from adaptgan_text_to_image.grid import caption_grid

    options = {"caption": caption, "columns": columns, "seed": seed}
    with Stage.of_command("caption-grid", params, options, {"model": model}, {"out": out}).running():
        caption_grid(model, caption, out, columns=columns, seed=seed)
    typer.echo(f"{out}: {len(caption)} captions, {columns} images each")


def read_back(
    made: Annotated[Path, typer.Argument(help="A data set with `attributes`.", metavar="DATASET")],
    judge: Annotated[
        list[str], typer.Option(metavar="ATTRIBUTE=MODEL", help="A classifier of this attribute; repeatable.")
    ],
    out: Annotated[Path | None, typer.Option(help="The shares, as JSON.")] = None,
    params: Params = None,
) -> None:
    """Have classifiers read from images what their captions say of them."""
    from adaptgan.stages.base import Stage
    from adaptgan_text_to_image.reading import judges, read_back

    by = judges(judge)
    inputs = {"data": made, **{f"judge {attribute}": model for attribute, model in by.items()}}
    stage = Stage.of_command("read-back", params, {}, inputs, {"out": out})
    with stage.running():
        shares = read_back(made, by, out)
        stage.results = {**shares["attributes"], "all": shares["all"]}
    for name, share in shares["attributes"].items():
        typer.echo(f"{name:<12} {share:.3f}")
    typer.echo(f"{'all':<12} {shares['all']:.3f}   of {shares['images']} images")
