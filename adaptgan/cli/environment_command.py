"""`adaptgan environment`: write down what each section depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptgan.cli.common import PARAMS, ParamsFile, Set


def command(
    out: Annotated[Path, typer.Option(help="Folder to write one JSON file per section to.")] = Path("environment"),
    params: ParamsFile = PARAMS,
    set_: Set = None,
) -> None:
    """Check params.yaml, and write the versions of the packages and plugins that each of its sections uses.

    The first stage of every pipeline: the others depend on their section's file, so that an upgraded plugin runs again
    what uses it, and nothing else.
    """
    from adaptgan.params import load
    from adaptgan.stages.environment import environment

    environment(load(params, set_ or ()), out=out)
