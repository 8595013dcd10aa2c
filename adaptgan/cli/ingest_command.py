"""`adaptgan ingest`: bring a data set in as shards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptgan.cli.common import PARAMS, ParamsFile, Section, Set


def command(
    section: Section,
    out: Annotated[Path, typer.Option(help="Folder to write the shards to.")],
    split: Annotated[
        str, typer.Option(help="Which part of the data set, where it has parts: train or test.")
    ] = "train",
    params: ParamsFile = PARAMS,
    set_: Set = None,
) -> None:
    """Read or draw images and write them as shards, labels and provenance beside each."""
    from adaptgan.params import load
    from adaptgan.stages.ingest import ingest

    ingest(load(params, set_ or ()), section, out=out, split=split)
