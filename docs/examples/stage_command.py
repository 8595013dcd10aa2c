"""A stage of one's own: `adaptgan sharpness data/source --out reports/sharpness.json`, with hooks, and tracked."""

from pathlib import Path
from typing import Annotated

import typer

from adaptgan import hookimpl


@hookimpl
def adaptgan_register_commands(app):
    """Add it; a person reads its docstring in `adaptgan --help`."""

    @app.command("sharpness")
    def sharpness(
        data: Path,
        out: Annotated[Path, typer.Option(help="The numbers, as JSON.")],
        limit: Annotated[int, typer.Option(help="Most images that are looked at.")] = 1000,
        params: Annotated[Path | None, typer.Option(help="Of the pipeline whose stage this is.")] = None,
    ) -> None:
        """Measure how sharp a data set's images are: the mean step from a pixel to its neighbour, of 255."""
        import numpy as np  # not above: every command imports this module

        from adaptgan import load_dataset
        from adaptgan.files import write_json
        from adaptgan.stages.base import Stage

        stage = Stage.of_command("sharpness", params, {"limit": limit}, inputs={"data": data}, outputs={"out": out})
        with stage.running():
            images_NCHW = load_dataset(data).images_NCHW[:limit].astype(np.int16)
            stage.results = {"sharpness": float(np.abs(np.diff(images_NCHW)).mean())}
            write_json(out, stage.results)
        typer.echo(f"{out}: {stage.results['sharpness']:.2f}")
