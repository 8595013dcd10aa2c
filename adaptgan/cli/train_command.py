"""`adaptgan train`: train a method on data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptgan.cli.common import PARAMS, ParamsFile, Section, Set


def command(
    section: Section,
    out: Annotated[Path, typer.Option(help="Model folder to write.")],
    source: Annotated[Path | None, typer.Option(help="Labelled data set.")] = None,
    target: Annotated[Path | None, typer.Option(help="Unlabelled real data set; its labels are never opened.")] = None,
    labelled: Annotated[
        Path | None, typer.Option(help="A few labelled images of the real domain, beside --source or in its place.")
    ] = None,
    guard: Annotated[
        Path | None,
        typer.Option(help="A trained classifier: whether labels survive, what a generator makes, unlabelled classes."),
    ] = None,
    oracle: Annotated[
        bool, typer.Option("--oracle", help="Let --source be a sealed data set: an upper bound.")
    ] = False,
    log: Annotated[
        Path | None, typer.Option("--trace", help="Folder for losses and images [reports/runs/SECTION].")
    ] = None,
    params: ParamsFile = PARAMS,
    set_: Set = None,
) -> None:
    """Train the method of a section; interrupted, the same command goes on where it stopped.

    On several devices or processes: `torchrun --nproc-per-node N -m adaptgan train …`.
    """
    from adaptgan.params import load
    from adaptgan.stages.train import train

    train(
        load(params, set_ or ()),
        section,
        source=source,
        out=out,
        target=target,
        labelled=labelled,
        guard=guard,
        oracle=oracle,
        log=log,
    )
