"""Tracking, as a plugin on the stage and training hooks. Free of torch and MLflow."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptgan.errors import Interrupted
from adaptgan.hookspecs import hookimpl
from adaptgan.plugins import plugins

if TYPE_CHECKING:
    import torch

    from adaptgan.params import TrackingSection
    from adaptgan.stages.base import Stage
    from adaptgan.tracking.recorder import Recorder
    from adaptgan.training.run import Run

MEMO = "tracking_run"
"""The key in `Run.memo` that holds the id of the run's journal, by which a resumed training finds its MLflow run."""


def _never_fails(hook: Callable[..., None]) -> Callable[..., None]:
    """Whatever goes wrong in tracking costs one warning and the rest of the tracking, never the stage."""

    @functools.wraps(hook)
    def guarded(self: Tracking, *arguments: Any) -> None:
        if self.off:
            return
        try:
            hook(self, *arguments)
        except Exception as error:  # noqa: BLE001 - the promise of this function
            self.off = True
            say(f"tracking stopped ({type(error).__name__}: {error}); the stage itself goes on.")

    return guarded


def say(message: str) -> None:
    """A warning for a person."""
    sys.stderr.write(f"adaptgan: warning: {message}\n")
    sys.stderr.flush()


def enabled(tracking: TrackingSection) -> bool:
    """Whether to track: not if params.yaml or `ADAPTGAN_TRACKING=off` says so."""
    return tracking.enabled and os.environ.get("ADAPTGAN_TRACKING", "").lower() not in ("off", "0", "false")


def prepare(tracking: TrackingSection) -> None:
    """Have a database made that does not exist yet, in the background."""
    from adaptgan.tracking.recorder import absolute_uri
    from adaptgan.tracking.replayer import ensure_replayer

    uri = absolute_uri(tracking.uri)
    if enabled(tracking) and uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        ensure_replayer((uri, tracking.experiment))


class Tracking:
    """The stage that this process runs, as MLflow will see it."""

    def __init__(self) -> None:
        self.off = True
        self.stage: Stage | None = None
        self.recorder: Recorder | None = None
        self.alias = ""

    @_never_fails
    def begin(self, run: Run | None = None) -> None:
        """Open the journal: a new one, or the one that a resumed training left."""
        from adaptgan.tracking.facts import flatten, inputs_of, lineage, machine
        from adaptgan.tracking.recorder import Recorder
        from adaptgan.tracking.replayer import ensure_replayer

        stage = self.stage
        assert stage is not None
        inputs = inputs_of(stage)
        tags = {
            **lineage(),
            "stage": stage.name,
            **({"section": stage.section} if stage.section else {}),
            "mlflow.source.name": f"adaptgan {stage.title}",
            **{f"input.{entry['role']}": entry["digest"] for entry in inputs},
        }
        if fingerprint := stage.params.get("fingerprint"):
            tags["fingerprint"] = fingerprint
        parent = self._begin_pipeline(stage, tags)
        run_id = run.memo.get(MEMO) if run else None
        seen = run.history[-1]["step"] if run and run.history else -1
        recorder = self.recorder = Recorder(stage.tracking, stage.title, tags, parent, run_id, seen)
        params = {key: value for key, value in stage.params.items() if key != "fingerprint"}
        recorder.params({**flatten(params), "seed": stage.seed})
        recorder.inputs(inputs)
        if run:
            run.memo[MEMO] = recorder.id
            recorder.tags({"resumed_at_step": str(run.step)} if run.step else machine(run.device))
            for entry in run.history:  # what an earlier process read out but did not get to journal
                recorder.metrics("losses", entry["step"], entry["losses"])
            recorder.alarms(run.alarms)
        ensure_replayer()

    def _begin_pipeline(self, stage: Stage, tags: dict[str, str]) -> str | None:
        """The journal id of the pipeline's run, or None when this is no pipeline's stage."""
        from adaptgan.tracking.headline import begin_pipeline
        from adaptgan.tracking.pipeline import current_pipeline
        from adaptgan.tracking.recorder import PIPELINE, target

        pipeline = current_pipeline()
        if pipeline is None:
            return None
        started = time.localtime(pipeline["started"])
        name = os.environ.get("DVC_EXP_NAME") or f"repro {time.strftime('%m-%d %H:%M', started)}"
        shared = ("git.", "mlflow.source.git.", "adaptgan.", "dvc.lock", "dvc.exp", "dvc.root")
        own = {key: value for key, value in tags.items() if key.startswith(shared)}
        own |= {"stage": "pipeline", "mlflow.source.name": "dvc repro", "mlflow.source.type": "LOCAL"}
        parent = f"{PIPELINE}{pipeline['id']}"
        begin_pipeline(parent, stage, name, own, target(stage.tracking))
        return parent

    @_never_fails
    def before_stage(self, stage: Stage) -> None:
        """A stage starts. A training's journal is opened by `before_train`, which knows whether it is resumed."""
        self.stage, self.recorder, self.alias = stage, None, ""
        if stage.name != "train":
            self.begin()

    @_never_fails
    def losses(self, step: int, means: dict[str, float]) -> None:
        """Numbers of a read-out."""
        if self.recorder:
            self.recorder.metrics("losses", step, means)

    @_never_fails
    def alarms(self, alarms: list[dict[str, Any]]) -> None:
        """All alarms so far; what is recorded already is passed over."""
        if self.recorder:
            self.recorder.alarms(alarms)

    @_never_fails
    def scores(self, step: int, scores: dict[str, float]) -> None:
        """The method's scores on held-out source images."""
        if self.recorder:
            self.recorder.metrics("scores", step, scores)

    @_never_fails
    def samples(self, step: int, path: Path) -> None:
        """An image grid, already written."""
        if self.recorder:
            self.recorder.image(path, "samples", step)

    @_never_fails
    def checkpointed(self) -> None:
        """A good moment to see that the replayer still lives."""
        from adaptgan.tracking.replayer import ensure_replayer

        ensure_replayer()

    @_never_fails
    def end(self, stage: Stage, status: str, error: BaseException | None = None) -> None:
        """Close the run, and wait a moment for the replayer, within 1 s + 5 % of what the stage took."""
        from adaptgan.tracking import headline
        from adaptgan.tracking.replayer import ensure_replayer, wait_for

        if self.recorder is None:  # a training that ended before its first step
            self.begin()
        recorder = self.recorder
        if recorder is None:
            return
        if error is None:
            headline.record(recorder, stage)
        else:
            recorder.tags({"error": f"{type(error).__name__}: {error}"})
        if left := plugins().left_out():
            recorder.tags({"adaptgan.plugins.left_out": "; ".join(f"{name}: {cause}" for name, cause in left.items())})
        size = recorder.end(status)
        if recorder.parent:
            headline.end_on_pipeline(recorder.parent, stage, status)
        if error is None:
            headline.record_models(recorder, stage, self.alias)
        recorder.close()
        self.recorder, self.off = None, True
        ensure_replayer()
        patience = 0.0 if error else min(15.0, 1.0 + 0.05 * stage.seconds)
        if message := wait_for(recorder.id, size, patience):
            say(message)


_tracking = Tracking()


@hookimpl
def adaptgan_before_stage(stage: Stage) -> None:
    """Open the run, unless tracking is off."""
    _tracking.off = not enabled(stage.tracking)
    _tracking.before_stage(stage)


@hookimpl
def adaptgan_after_stage(stage: Stage) -> None:
    """Close it as finished, with the results."""
    _tracking.end(stage, "FINISHED")


@hookimpl
def adaptgan_on_stage_error(stage: Stage, error: BaseException) -> None:
    """Close it as failed, or as killed when somebody stopped it."""
    stopped = isinstance(error, (Interrupted, KeyboardInterrupt, SystemExit))
    _tracking.end(stage, "KILLED" if stopped else "FAILED", error)


@hookimpl
def adaptgan_before_train(run: Run) -> None:
    """Open the run of a training and its log folder."""
    if run.rank == 0:
        from adaptgan.tracking.logfolder import start

        start(run)
        _tracking.begin(run)


@hookimpl
def adaptgan_on_losses(run: Run, step: int, means: dict[str, float]) -> None:
    """Record a read-out, and the alarms that it raised."""
    if run.rank == 0:
        from adaptgan.tracking.logfolder import add_alarms, add_losses

        add_losses(run)
        _tracking.losses(step, means)
        if any(alarm["step"] == step for alarm in run.alarms):
            add_alarms(run)
            _tracking.alarms(run.alarms)


@hookimpl
def adaptgan_on_samples(run: Run, step: int, images: dict[str, torch.Tensor]) -> None:
    """Write and record an image grid."""
    if run.rank == 0:
        from adaptgan.tracking.logfolder import add_samples

        _tracking.samples(step, add_samples(run, step, images))


@hookimpl
def adaptgan_on_evaluated(run: Run, step: int, scores: dict[str, float]) -> None:
    """Record the scores."""
    if run.rank == 0:
        _tracking.scores(step, scores)


@hookimpl
def adaptgan_on_checkpoint(run: Run) -> None:
    """See that the replayer still lives."""
    if run.rank == 0:
        _tracking.checkpointed()


@hookimpl
def adaptgan_after_train(run: Run) -> None:
    """Write what the training cost."""
    if run.rank == 0:
        from adaptgan.tracking.logfolder import finish

        finish(run)
        if hasattr(run.method, "translate") or hasattr(run.method, "sample"):
            _tracking.alias = run.name.replace(".", "_")
