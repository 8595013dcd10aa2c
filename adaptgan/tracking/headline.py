"""What the end of each stage means in numbers: for its own run, and for the pipeline's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adaptgan.stages.base import Stage
from adaptgan.tracking.facts import numbers, words
from adaptgan.tracking.journal import journal_folder
from adaptgan.tracking.recorder import Recorder, keep, to_pipeline

_DETAILS = ("per_class", "confusion", "plots")
"""Parts of metrics.json that are read in the report, not compared between runs."""


def headline(metrics: Mapping[str, Any]) -> dict[str, float]:
    """metrics.json as few flat numbers: `accuracy/dann`, `gap_closed`, `kid/adapted`, …

    Tables by row or data set are turned over, so that one chart compares the rows.
    """
    plain: dict[str, Any] = {}
    for name, value in metrics.items():
        if name == "rows":
            for row, scores in value.items():
                plain |= {f"{key}/{row}": scores[key] for key in ("accuracy",) if scores.get(key) is not None}
        elif name == "realism":
            for dataset, scores in value.items():
                plain |= {f"{key}/{dataset}": score for key, score in scores.items()}
        elif name not in _DETAILS:
            plain[name] = value
    return numbers(plain)


def evaluated(stage: Stage) -> dict[str, Any] | None:
    """The metrics.json that a stage wrote, when it is the one that evaluates."""
    out = stage.outputs.get("out")
    if stage.name != "evaluate" or out is None or not out.is_file():
        return None
    metrics: dict[str, Any] = json.loads(out.read_text())
    return metrics


def record(recorder: Recorder, stage: Stage) -> None:
    """Put a finished stage's results into its run."""
    metrics = evaluated(stage)
    values = headline(metrics) if metrics else numbers(stage.results)
    recorder.results({**values, "seconds": stage.seconds})
    recorder.tags({**words(stage.results), **_selected(metrics)})
    if metrics:
        recorder.artifact(stage.outputs["out"])
        if plots := stage.outputs.get("plots"):
            recorder.artifact(plots)


def record_models(recorder: Recorder, stage: Stage, alias: str = "") -> None:
    """Hand over model folders: as files always, exported and under an alias where one is due.

    Args:
        recorder: the stage's run, already ended: nobody waits for an export.
        stage: the finished stage.
        alias: of the trained model, when it is one of a kind (a refiner).
    """
    if not stage.tracking.log_models:
        return
    out = stage.outputs.get("out")
    if stage.name == "train" and out is not None:
        recorder.artifact(out, to="model")
        if alias:
            recorder.model(out, alias)
    selected = (evaluated(stage) or {}).get("selected")
    if selected:
        for folder in stage.inputs.values():
            recorder.model(folder / selected, "selected")


def begin_pipeline(parent: str, stage: Stage, name: str, tags: Mapping[str, str], where: Mapping[str, Any]) -> None:
    """Tell the pipeline's run that a stage works; the first one to do so brings it into being, with all params."""
    from adaptgan.tracking.facts import flatten, shortened

    journal = journal_folder() / f"{parent}.jsonl"
    first = not journal.exists()
    to_pipeline(parent, "begin", name=name, tags=dict(tags), **where)
    params = Path("params.yaml")
    if first and params.is_file():
        import yaml

        tree = yaml.safe_load(params.read_text()) or {}
        values = {key: shortened(value) for key, value in flatten(tree).items()}
        to_pipeline(parent, "params", values=values)
        to_pipeline(parent, "artifact", path=str(keep(params, journal.with_suffix(""))), to="")


def end_on_pipeline(parent: str, stage: Stage, status: str) -> None:
    """Put a stage's cost and, from `evaluate`, the headline into the pipeline's run."""
    files = journal_folder() / parent
    title = stage.title.replace(" ", "_")
    if status == "FINISHED":
        metrics = evaluated(stage)
        values = {**(headline(metrics) if metrics else {}), f"seconds/{title}": stage.seconds}
        to_pipeline(parent, "metrics", step=0, values=values)
        if metrics:
            to_pipeline(parent, "tags", values=_selected(metrics))
            to_pipeline(parent, "artifact", path=str(keep(stage.outputs["out"], files)), to="")
        page = stage.outputs.get("out")
        if stage.name == "report" and page is not None and page.is_file():
            to_pipeline(parent, "artifact", path=str(keep(page, files)), to="report")
    else:
        to_pipeline(parent, "tags", values={"failed_stage": stage.title})
    to_pipeline(parent, "end", status=status)


def _selected(metrics: Mapping[str, Any] | None) -> dict[str, str]:
    selected = (metrics or {}).get("selected")
    return {"selected": selected} if selected else {}
