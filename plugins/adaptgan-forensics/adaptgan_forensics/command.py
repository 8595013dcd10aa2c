"""`adaptgan detect`: which images are generated?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[Path, typer.Option(help="Model folder of a detector: classes `real` and `generated`.")],
    data: Annotated[Path, typer.Option(help="Data set to score.")],
    out: Annotated[Path, typer.Option(help="Every image's probability, and the numbers, as JSON.")],
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Data set with these classes that it did not learn from; sets the temperature."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 256,
    params: Annotated[
        Path | None, typer.Option(help="Of the pipeline whose stage this is, to be tracked with it.")
    ] = None,
) -> None:
    """Say of each image how probably it was generated; with labels, how well the detector tells."""
    from adaptgan.stages.base import Stage
    from adaptgan_forensics.detect import detect

    inputs = {"model": model, "data": data, "calibrate": calibrate}
    stage = Stage.of_command("detect", params, {}, inputs, {"out": out})
    with stage.running():
        result = detect(model, data, out, calibrate=calibrate, device=device, batch_size=batch_size)
        stage.results = {key: result[key] for key in ("images", "flagged", "temperature")}
        stage.results |= {key: result["scores"][key] for key in ("auc", "accuracy", "ece") if result["scores"]}
        stage.results |= {f"auc/{name}": scores["auc"] for name, scores in result["generators"].items()}
    typer.echo(f"{out}: {result['images']} images, {result['flagged']:.1%} held to be generated")
    if result["scores"] is not None:
        typer.echo("  all: " + _line(result["scores"]))
    for name, scores in result["generators"].items():
        typer.echo(f"  {name}: " + _line(scores))
    if (sequences := result["sequences"]) is not None:
        found = "" if sequences["scores"] is None else ": " + _line(sequences["scores"])
        typer.echo(f"  {len(sequences['records'])} sequences{found}")
        for name, scores in sequences["generators"].items():
            typer.echo(f"  {name}, sequences: " + _line(scores))


def _line(scores: dict[str, float]) -> str:
    return f"AUC {scores['auc']:.3f}, accuracy {scores['accuracy']:.1%}, calibration error {scores['ece']:.3f}"
