"""`adaptgan synthesize`: turn a data set into a realistic one, or make one from noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptgan.cli.common import PARAMS, ParamsFile, Section, Set


def command(
    section: Section,
    model: Annotated[Path, typer.Option(help="A trained translator or generator.")],
    out: Annotated[Path, typer.Option(help="The new data set.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="Data set to translate; without it, images are made from noise.")
    ] = None,
    guard: Annotated[Path | None, typer.Option(help="The classifier that the gate asks.")] = None,
    quarantine: Annotated[Path | None, typer.Option(help="Where rejected images go, with the reason.")] = None,
    params: ParamsFile = PARAMS,
    set_: Set = None,
) -> None:
    """Translate every image, labels and annotations kept; what fails the gate goes to quarantine.

    Without --from, a generator makes `count` images of the section, of the classes asked for.

    On several devices or processes: `torchrun --nproc-per-node N -m adaptgan synthesize …`; the result is the same.
    """
    from adaptgan.params import load
    from adaptgan.stages.synthesize import synthesize

    synthesize(
        load(params, set_ or ()), section, model=model, source=source, out=out, guard=guard, quarantine=quarantine
    )
