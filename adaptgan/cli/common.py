"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Section = Annotated[str, typer.Argument(help="Section of params.yaml, such as `refiner` or `task.dann`.")]
ParamsFile = Annotated[Path, typer.Option("--params", help="The params file.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override one value; repeatable.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]
PARAMS = Path("params.yaml")
