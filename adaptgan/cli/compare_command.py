"""`adaptgan compare`: several runs of `evaluate` side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="metrics.json files, folders, patterns, or GROUP=PATH and GROUP/RUN=PATH.", show_default=False
        ),
    ] = None,
    level: Annotated[
        int, typer.Option(min=1, help="Which folder above a metrics.json names its group: 2 for GROUP/RUN/….")
    ] = 2,
    out: Annotated[Path, typer.Option(help="Folder for compare.json, compare.md and compare.html.")] = Path(
        "reports/compare"
    ),
    title: Annotated[str, typer.Option(help="Of the page.")] = "Comparison",
) -> None:
    """Compare seeds and pairs of domains: rows, what choosing without labels cost, and which scores to trust."""
    from adaptgan.reporting.compare import summary
    from adaptgan.stages.compare import compare

    result = compare(runs or [], out, level=level, title=title)
    typer.echo(summary(result))
    typer.echo(f"compare: {out / 'compare.html'} (open it in a browser), compare.md and compare.json beside it")
