"""`adaptgan fidelity`: how close translations are to what they should have become."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptgan.cli.common import PARAMS, ParamsFile, Set


def command(
    made: Annotated[Path, typer.Option(help="The translations, as `synthesize` wrote them.")],
    truth: Annotated[Path, typer.Option(help="Data set of what they should be: its paired images, else its images.")],
    section: Annotated[str, typer.Argument(help="Section of params.yaml; may be missing there.")] = "fidelity",
    input_: Annotated[
        Path | None, typer.Option("--input", help="What was translated, as a baseline; enlarged where it is smaller.")
    ] = None,
    judge: Annotated[Path | None, typer.Option(help="A classifier or a segmenter, to read them.")] = None,
    out: Annotated[Path, typer.Option(help="The numbers, as JSON.")] = Path("reports/fidelity.json"),
    plots: Annotated[Path | None, typer.Option(help="Folder for a grid of pairs.")] = None,
    params: ParamsFile = PARAMS,
    set_: Set = None,
) -> None:
    """Measure L1, PSNR, SSIM and KID of translations against their truth, and what a judge reads in both."""
    from adaptgan.params import load
    from adaptgan.stages.fidelity import fidelity

    options = load(params, set_ or ())
    fidelity(options, section, made=made, truth=truth, start=input_, judge=judge, out=out, plots=plots)
