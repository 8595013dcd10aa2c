"""`adaptgan evaluate`: measure all rows and choose one without target labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptgan.cli.common import PARAMS, ParamsFile, Set


def command(
    source: Annotated[Path, typer.Option(help="Labelled synthetic images.")],
    target: Annotated[Path, typer.Option(help="Unlabelled real images; their labels are never opened.")],
    models: Annotated[Path, typer.Option(help="Folder whose subfolders are the trained rows.")],
    adapted: Annotated[Path | None, typer.Option(help="Refined images.")] = None,
    test: Annotated[Path | None, typer.Option(help="Held-out labelled real images; accuracies need them.")] = None,
    judge: Annotated[Path | None, typer.Option(help="A classifier that neither refiner nor gate has used.")] = None,
    quarantine: Annotated[Path | None, typer.Option(help="Images that the gate turned away.")] = None,
    logs: Annotated[Path, typer.Option(help="Folder of training logs.")] = Path("reports/runs"),
    out: Annotated[Path, typer.Option(help="The numbers, as JSON.")] = Path("reports/metrics.json"),
    plots: Annotated[Path, typer.Option(help="Folder for plots.")] = Path("reports/plots"),
    params: ParamsFile = PARAMS,
    set_: Set = None,
) -> None:
    """Measure accuracy, realism and label preservation of every row, and choose one without target labels."""
    from adaptgan.errors import ParamsError
    from adaptgan.params import load
    from adaptgan.stages.evaluate import evaluate
    from adaptgan.stages.evaluate_values import evaluate_targets, task_of_models

    if (task := task_of_models(models)) != "classification":
        for option, given in (("--adapted", adapted), ("--judge", judge), ("--quarantine", quarantine)):
            if given is not None:
                raise ParamsError(f"{option} {given}: nothing is measured with it for a {task}. Leave it out.")
        evaluate_targets(
            load(params, set_ or ()),
            task=task,
            source=source,
            target=target,
            models=models,
            test=test,
            out=out,
            plots=plots,
            logs=logs,
        )
        return
    evaluate(
        load(params, set_ or ()),
        source=source,
        target=target,
        models=models,
        out=out,
        plots=plots,
        adapted=adapted,
        test=test,
        judge=judge,
        quarantine=quarantine,
        logs=logs,
    )
