"""`adaptgan report`: one page with everything that was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptgan.cli.common import PARAMS, ParamsFile, Set


def command(
    source: Annotated[Path, typer.Option(help="Labelled synthetic images.")],
    target: Annotated[Path, typer.Option(help="Unlabelled real images.")],
    adapted: Annotated[Path | None, typer.Option(help="Refined images.")] = None,
    quarantine: Annotated[Path | None, typer.Option(help="Images that the gate turned away.")] = None,
    test: Annotated[Path | None, typer.Option(help="The test set; only its size and digest are shown.")] = None,
    metrics: Annotated[Path, typer.Option(help="What `adaptgan evaluate` measured.")] = Path("reports/metrics.json"),
    plots: Annotated[Path, typer.Option(help="Its folder of plots.")] = Path("reports/plots"),
    runs: Annotated[Path, typer.Option(help="Folder of training logs.")] = Path("reports/runs"),
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("reports/index.html"),
    beside: Annotated[
        list[str] | None,
        typer.Option(help="Another run to show beside this one, NAME=reports/metrics.json; may be repeated."),
    ] = None,
    params: ParamsFile = PARAMS,
    set_: Set = None,
) -> None:
    """Write one self-contained page: images, results, curves, costs, and all that is needed to reproduce them."""
    from adaptgan.params import load
    from adaptgan.stages.report import report

    report(
        load(params, set_ or ()),
        metrics=metrics,
        plots=plots,
        runs=runs,
        source=source,
        target=target,
        out=out,
        adapted=adapted,
        quarantine=quarantine,
        test=test,
        beside=beside or (),
    )
