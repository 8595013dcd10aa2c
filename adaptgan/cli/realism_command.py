"""`adaptgan realism`: how far generated images are from real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptgan.cli.common import PARAMS, ParamsFile, Set


def command(
    real: Annotated[Path, typer.Option(help="Data set of real images; labels are not used.")],
    generated: Annotated[
        list[str],
        typer.Option(metavar="NAME=PATH", help="A data set, or a model to draw samples from; repeatable."),
    ],
    section: Annotated[str, typer.Argument(help="Section of params.yaml; may be missing there.")] = "realism",
    out: Annotated[Path, typer.Option(help="The numbers, as JSON.")] = Path("reports/realism.json"),
    plots: Annotated[Path | None, typer.Option(help="Folder for a contact sheet of each set.")] = None,
    params: ParamsFile = PARAMS,
    set_: Set = None,
) -> None:
    """Measure FID, KID, precision and recall, … of generated images in the feature spaces that the section names."""
    from adaptgan.metrics.realism import FLOOR
    from adaptgan.params import load
    from adaptgan.stages.image_sets import named_paths
    from adaptgan.stages.realism import REAL, realism

    sets = named_paths(generated, (REAL, FLOOR))
    realism(load(params, set_ or ()), section, real=real, generated=sets, out=out, plots=plots)
