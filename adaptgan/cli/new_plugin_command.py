"""`adaptgan new-plugin`: a package of one's own around one component."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptgan.components import KINDS


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits and hyphens, such as `two-critics`.")],
    kind: Annotated[str, typer.Option(help="What it provides: " + ", ".join(KINDS) + ".")] = "method",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="New folder of the package. [adaptgan-NAME]")] = None,
) -> None:
    """Write a package with one working component, its tests, a pipeline and a CI script."""
    from adaptgan.stages.new_plugin import new_plugin

    for line in new_plugin(name, kind, out):
        typer.echo(line)
