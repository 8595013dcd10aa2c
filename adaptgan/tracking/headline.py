"""What the end of each stage means in numbers and files: for its own run, and for the pipeline's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptgan.tracking.facts import flatten, numbers, shortened, words
from adaptgan.tracking.journal import journal_folder
from adaptgan.tracking.recorder import Recorder, keep, to_pipeline

if TYPE_CHECKING:
    from adaptgan.stages.base import Stage


def record(recorder: Recorder, stage: Stage) -> None:
    """Put a finished stage's results into its run."""
    recorder.results({**numbers(stage.results), "seconds": stage.seconds})
    recorder.tags(
        {f"result.{name}" if name != "selected" else name: text for name, text in words(stage.results).items()}
    )
    for role, path in stage.outputs.items():
        if role == "plots" or (path.is_file() and stage.name != "report"):  # the page goes to the pipeline's run
            recorder.artifact(path)


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
    if stage.name == "evaluate" and (selected := stage.results.get("selected")) and "models" in stage.inputs:
        recorder.model(stage.inputs["models"] / stage.results.get("selected_model", selected), "selected")


def begin_pipeline(parent: str, stage: Stage, name: str, tags: Mapping[str, str], where: Mapping[str, Any]) -> None:
    """Tell the pipeline's run that a stage works; the first one to do so brings it into being, with all params."""
    journal = journal_folder() / f"{parent}.jsonl"
    first = not journal.exists()
    to_pipeline(parent, "begin", name=name, tags=dict(tags), **where)
    params = Path("params.yaml")
    if first and params.is_file():
        import yaml

        tree = yaml.safe_load(params.read_text()) or {}
        to_pipeline(parent, "params", values={key: shortened(value) for key, value in flatten(tree).items()})
        to_pipeline(parent, "artifact", path=str(keep(params, journal.with_suffix(""))), to="")


def end_on_pipeline(parent: str, stage: Stage, status: str) -> None:
    """Put a stage's cost and, from `evaluate` and `report`, the headline and the page into the pipeline's run."""
    files = journal_folder() / parent
    if status == "FINISHED":
        values = {f"seconds/{stage.title.replace(' ', '_')}": stage.seconds}
        if stage.name == "evaluate":
            values |= numbers(stage.results)
            to_pipeline(parent, "tags", values=words(stage.results))
        to_pipeline(parent, "metrics", step=0, values=values)
        out = stage.outputs.get("out")
        if stage.name in ("evaluate", "report") and out is not None and out.is_file():
            to_pipeline(parent, "artifact", path=str(keep(out, files)), to="report" if stage.name == "report" else "")
    else:
        to_pipeline(parent, "tags", values={"failed_stage": stage.title})
    to_pipeline(parent, "end", status=status)
