"""One stage's side of tracking: it writes to the journal and returns at once."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from adaptgan.params import TrackingSection
from adaptgan.tracking.facts import metric_name, shortened
from adaptgan.tracking.journal import Journal, appending, journal_folder, last_steps

PIPELINE = "pipeline-"
"""Journals of parent runs start with it."""


def absolute_uri(uri: str) -> str:
    """A tracking URI that means the same from any folder."""
    prefix = "sqlite:///"
    if uri.startswith(prefix) and not uri.startswith(prefix + "/"):
        return prefix + str(Path.cwd() / uri.removeprefix(prefix))
    return uri


class Recorder:
    """Writes one MLflow run's journal.

    Args:
        tracking: where it goes.
        name: the run's name.
        tags: facts known at the start.
        parent: journal id of the pipeline's run, or None.
        run_id: of an earlier process of the same training, to go on with; a new one otherwise.
        seen: the last step that the earlier process is known to have recorded, should its journal be lost.
    """

    def __init__(
        self,
        tracking: TrackingSection,
        name: str,
        tags: Mapping[str, str],
        parent: str | None = None,
        run_id: str | None = None,
        seen: int = -1,
    ) -> None:
        self.id = run_id or uuid.uuid4().hex
        path = journal_folder() / f"{self.id}.jsonl"
        lost = run_id is not None and not path.exists()
        self._last = last_steps(path)
        if lost:
            self._last = dict.fromkeys(("losses", "scores", "samples", "alarms"), seen)
        self._named: set[str] = set()
        self._journal = Journal(path)
        self.resumed = run_id is not None
        self.parent = parent
        self._append("begin", name=name, parent=parent, tags=dict(tags), **target(tracking))

    @property
    def files(self) -> Path:
        """Where copies of what is to be uploaded wait."""
        return self._journal.path.with_suffix("")

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters, once per run: a resumed one has them."""
        if not self.resumed:
            self._append("params", values={metric_name(key): shortened(value) for key, value in values.items()})

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        self._append("tags", values={metric_name(key): shortened(value) for key, value in values.items()})

    def metrics(self, stream: str, step: int, values: Mapping[str, float], t: int | None = None) -> None:
        """Log numbers of one step, unless the stream has that step or a later one already."""
        named = {metric_name(name): value for name, value in values.items()}
        self._named |= set(named)
        if named and self._advance(stream, step):
            self._append("metrics", t, stream=stream, step=step, values=named)

    def alarms(self, alarms: Iterable[Mapping[str, Any]]) -> None:
        """Tag the run with each alarm's message, and mark its step: `alarm/<name>` is 1 there."""
        steps: dict[int, list[Mapping[str, Any]]] = {}
        for alarm in alarms:
            steps.setdefault(alarm["step"], []).append(alarm)
        for step, raised in sorted(steps.items()):
            if self._advance("alarms", step):
                self.tags({f"alarm.{alarm['alarm']}": f"step {step}: {alarm['message']}" for alarm in raised})
                values = {metric_name(f"alarm/{alarm['alarm']}"): 1.0 for alarm in raised}
                self._append("metrics", stream="alarms", step=step, values=values)

    def results(self, values: Mapping[str, float]) -> None:
        """Log what came out at the end, less what the streams told already."""
        self.metrics("results", 0, {name: value for name, value in values.items() if name not in self._named})

    def inputs(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Log data sets that the stage reads."""
        for entry in entries:
            if "context" in entry:
                self._append("input", **entry)

    def image(self, path: Path, key: str, step: int) -> None:
        """Log an image of a step."""
        if self._advance("samples", step):
            self._append("image", stream="samples", step=step, key=key, path=str(self._keep(path)))

    def artifact(self, path: Path, to: str = "") -> None:
        """Log a file or a folder as it is now."""
        if path.exists():
            self._append("artifact", path=str(self._keep(path)), to=to)

    def model(self, folder: Path, alias: str) -> None:
        """Export a model folder to MLflow's format and give its registered version an alias."""
        if (folder / "model.json").is_file():
            self._append("model", path=str(self._keep(folder)), alias=alias)

    def end(self, status: str) -> int:
        """Close the run with FINISHED, FAILED or KILLED; the size of the journal up to here."""
        self._append("end", status=status)
        return self._journal.size()

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    def _append(self, do: str, t: int | None = None, **fields: Any) -> None:
        self._journal.append(do, t, **fields)

    def _advance(self, stream: str, step: int) -> bool:
        if step <= self._last.get(stream, -1):
            return False
        self._last[stream] = step
        return True

    def _keep(self, path: Path) -> Path:
        return keep(path, self.files)


def target(tracking: TrackingSection) -> dict[str, Any]:
    """Where a journal's run goes, as its first line tells the replayer."""
    return {"uri": absolute_uri(tracking.uri), "experiment": tracking.experiment, "flush": tracking.flush_seconds}


def keep(path: Path, folder: Path) -> Path:
    """A copy of a file or folder that stays as it is until it is uploaded: hard links where the disk can."""
    folder = folder / f"{time.time_ns():x}"
    folder.mkdir(parents=True)
    kept = folder / path.name
    if path.is_dir():
        shutil.copytree(path, kept, copy_function=_link)
    else:
        _link(path, kept)
    return kept


def _link(source: Any, to: Any) -> Any:
    try:
        os.link(os.path.realpath(source), to)
    except OSError:
        shutil.copyfile(source, to)
    return to


def to_pipeline(parent: str, do: str, **fields: Any) -> None:
    """Add one line to the journal of the pipeline's run."""
    with appending(journal_folder() / f"{parent}.jsonl") as journal:
        journal.append(do, **fields)
