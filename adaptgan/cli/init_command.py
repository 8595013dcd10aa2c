"""`adaptgan init`: a ready project around a user's own images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new project.")],
    source: Annotated[Path, typer.Option(help="Labelled synthetic images: class folders, or with metadata.jsonl.")],
    target: Annotated[Path, typer.Option(help="Real images; they need no labels.")],
    target_test: Annotated[Path | None, typer.Option(help="Labelled real images to measure accuracy on.")] = None,
    size: Annotated[str | None, typer.Option(metavar="HEIGHTxWIDTH", help="Resize all images; else chosen.")] = None,
    mode: Annotated[Literal["L", "RGB"] | None, typer.Option(help="Grey or colour; else chosen.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite params.yaml and dvc.yaml there.")] = False,
) -> None:
    """Look at folders of images and write a pipeline for them, ready for `dvc repro`."""
    from adaptgan.stages.project import create

    for line in create(directory, source, target, target_test, size=size, mode=mode, force=force):
        typer.echo(line)
