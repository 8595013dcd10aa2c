"""The MLflow store, as a replay sees it. Imported by the replayer's process only: MLflow takes seconds to import."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import mlflow.exceptions
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunStatus, RunTag
from mlflow.protos import databricks_pb2 as codes

from adaptgan.tracking.facts import short
from adaptgan.tracking.journal import Record
from adaptgan.tracking.replay import Gone, Rejected, Unreachable

_TAG = "adaptgan.run"
"""Which journal a run came from: how a run is found again after a crash."""

_KIND = "mlflow.experimentKind"
"""By it MLflow's pages know a training project from a chat model's."""

_PRIMARY = "mlflow.experiment.primaryMetric.name"

_NOTE = (
    "Choose *Model training* at the top left, then *Runs*. One run per `dvc repro`; + unfolds its stages. The charts "
    "compare pipelines by `accuracy/…`, `gap_closed` and `kid/…`; unfolded, trainings by their losses. "
    "One row over time: search for `tags.section = 'task.dann'`."
)

_PARAMS = 100
"""Params and tags per call: MLflow's limit."""


class MlflowStore:
    """One experiment of one MLflow store.

    Args:
        uri: absolute.
        experiment: its name; made when it is new.

    Raises:
        Unreachable: the store is down, locked, or of another schema version; the experiment was deleted.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        self.uri = uri
        self.experiment = experiment
        self._probe()
        with _translated():
            self.client = MlflowClient(uri, uri)
            self.experiment_id = self._experiment()

    def _probe(self) -> None:
        """Fail at once where MLflow would retry for minutes: a database that somebody holds locked."""
        if not self.uri.startswith("sqlite:///"):
            return
        path = Path(self.uri.removeprefix("sqlite:///"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with sqlite3.connect(path, timeout=1.0) as connection:
                connection.execute("BEGIN IMMEDIATE")
            connection.close()
        except (sqlite3.Error, OSError) as error:
            raise Unreachable(f"{path}: {error}") from None

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            location = None
            if self.uri.startswith("sqlite:///"):
                folder = Path(self.uri.removeprefix("sqlite:///")).parent / "mlartifacts"
                location = (folder / self.experiment.replace("/", "_")).as_uri()
            tags = {_KIND: "custom_model_development", _PRIMARY: "gap_closed", "mlflow.note.content": _NOTE}
            return str(self.client.create_experiment(self.experiment, artifact_location=location, tags=tags))
        if found.lifecycle_stage != "active":
            raise Unreachable(
                f"the experiment {self.experiment!r} was deleted; restore it "
                f"(`mlflow experiments restore --experiment-id {found.experiment_id}`) or set another "
                "tracking.experiment in params.yaml"
            )
        return str(found.experiment_id)

    def begin(self, journal: str, run_id: str | None, record: Record, parent_run: str | None) -> str:
        """Find, create or reopen the run; its id."""
        self._probe()
        tags = {**record["tags"], _TAG: journal}
        if parent_run:
            tags["mlflow.parentRunId"] = parent_run
        with _translated():
            if run_id is None:
                found = self.client.search_runs([self.experiment_id], f"tags.`{_TAG}` = '{journal}'", max_results=1)
                run_id = found[0].info.run_id if found else None
            if run_id is None:
                created = self.client.create_run(self.experiment_id, record["t"], tags, record["name"])
                return str(created.info.run_id)
            self.client.update_run(run_id, status=RunStatus.to_string(RunStatus.RUNNING))
            self._tags(run_id, tags)
        return run_id

    def metrics(self, run_id: str, rows: list[tuple[str, float, int, int]]) -> None:
        """Log at most 1000 rows of (key, value, time, step)."""
        self._probe()
        with _translated():
            self.client.log_batch(run_id, metrics=[Metric(key, value, t, step) for key, value, t, step in rows])

    def apply(self, run_id: str, record: Record) -> None:
        """Log any other record."""
        self._probe()
        action = getattr(self, f"_do_{record['do']}", None)
        if action is None:
            raise Rejected("an unknown kind of record")
        with _translated():
            action(run_id, record)

    def _do_params(self, run_id: str, record: Record) -> None:
        params = [Param(key, value) for key, value in record["values"].items()]
        for start in range(0, len(params), _PARAMS):
            self.client.log_batch(run_id, params=params[start : start + _PARAMS])

    def _do_tags(self, run_id: str, record: Record) -> None:
        self._tags(run_id, record["values"])

    def _tags(self, run_id: str, tags: dict[str, str]) -> None:
        values = [RunTag(key, str(value)) for key, value in tags.items()]
        for start in range(0, len(values), _PARAMS):
            self.client.log_batch(run_id, tags=values[start : start + _PARAMS])

    def _do_input(self, run_id: str, record: Record) -> None:
        dataset = Dataset(
            name=record["name"],
            digest=short(record["digest"]),
            source_type="local",
            source=json.dumps({"uri": record["path"]}),
            profile=json.dumps({"num_rows": record["count"], "classes": record["classes"], "sha256": record["digest"]}),
        )
        tags = [InputTag("mlflow.data.context", record["context"]), InputTag("role", record["role"])]
        self.client.log_inputs(run_id, [DatasetInput(dataset, tags)])

    def _do_artifact(self, run_id: str, record: Record) -> None:
        path = Path(record["path"])
        if path.is_dir():
            self.client.log_artifacts(run_id, str(path), record["to"] or path.name)
        else:
            self.client.log_artifact(run_id, str(path), record["to"] or None)

    def _do_image(self, run_id: str, record: Record) -> None:
        from PIL import Image

        key, step = record["key"], record["step"]
        there = [item.path for item in self.client.list_artifacts(run_id, "images")]
        if not any(f"{key}+step+{step}+" in path for path in there):
            with Image.open(record["path"]) as image:
                self.client.log_image(run_id, image.convert("RGB"), key=key, step=step, timestamp=record["t"])

    def _do_model(self, run_id: str, record: Record) -> None:
        from adaptgan.tracking.export import export_model  # imports torch, which only this needs

        export_model(self.client, self.uri, run_id, Path(record["path"]), self.experiment, record["alias"])

    def _do_end(self, run_id: str, record: Record) -> None:
        self.client.set_terminated(run_id, record["status"], record["t"])


class _translated:  # noqa: N801 - reads as a function
    """MLflow's and the operating system's errors, sorted by what can be done about them."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, (Unreachable, Rejected, Gone)) or not isinstance(error, Exception):
            return
        if isinstance(error, mlflow.exceptions.MlflowException):
            name = error.error_code
            if name == codes.ErrorCode.Name(codes.RESOURCE_DOES_NOT_EXIST):
                raise Gone(str(error)) from error
            if name in {codes.ErrorCode.Name(code) for code in (codes.INVALID_PARAMETER_VALUE, codes.INVALID_STATE)}:
                raise Rejected(str(error)) from error
        elif isinstance(error, (FileNotFoundError, ValueError, TypeError)):
            raise Rejected(f"{type(error).__name__}: {error}") from error
        text = str(error).strip()
        raise Unreachable(text.splitlines()[0][:300] if text else type(error).__name__) from error
