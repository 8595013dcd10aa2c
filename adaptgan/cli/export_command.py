"""`adaptgan export`: write a data set in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    dataset: Annotated[Path, typer.Argument(help="Data set folder, such as data/adapted.")],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="New folder to write.")],
    to: Annotated[str, typer.Option("--to", help="Format: image_folder, parquet, coco, or a plugin's exporter.")],
) -> None:
    """Write a data set as an image folder, Parquet or COCO; sealed labels are left out."""
    from adaptgan.stages.export import export

    count = export(dataset, to, out)
    typer.echo(f"{out}: {count} records as {to}")
