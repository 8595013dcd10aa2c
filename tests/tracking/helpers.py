"""Tiny trainings that fire the hooks, and MLflow's own view of what became of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from adaptgan.params import TrackingSection
from adaptgan.plugins import plugins
from adaptgan.stages.base import Stage
from adaptgan.tracking import plugin
from adaptgan.tracking.journal import journal_folder
from adaptgan.tracking.recorder import absolute_uri
from adaptgan.tracking.replay import Replay
from adaptgan.training.run import Run

FINGERPRINT = "ab" * 32


def dispose() -> None:
    """Close MLflow's cached database connections: an open one is a warning when it is collected."""
    module = sys.modules.get("mlflow.tracking._tracking_service.utils")
    if module is None:
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for engine in SqlAlchemyStore._engine_map.values():
        engine.dispose()


def replay(store: Callable[[str, str], Any] | None = None) -> Replay:
    """Replay everything in this process."""
    from adaptgan.tracking.store import MlflowStore

    done = Replay(journal_folder(), store or MlflowStore)
    done.run()
    return done


def client() -> Any:
    """MLflow's own view of the project's database."""
    from mlflow import MlflowClient

    return MlflowClient(absolute_uri("sqlite:///mlflow.db"))


def runs() -> list[Any]:
    """All runs of the experiment, oldest first."""
    api = client()
    experiment = api.get_experiment_by_name("adaptgan")
    return [] if experiment is None else api.search_runs([experiment.experiment_id], order_by=["start_time ASC"])


def the_run(name: str) -> Any:
    """The only run of that name."""
    (found,) = [run for run in runs() if run.info.run_name == name]
    return found


def history(run: Any, key: str) -> list[tuple[int, float]]:
    """(step, value) of a metric, in the order they are stored."""
    return [(point.step, point.value) for point in client().get_metric_history(run.info.run_id, key)]


def tiny_training(
    *,
    steps: int = 20,
    start: int = 0,
    state: dict[str, Any] | None = None,
    die_at: int | None = None,
    stage: dict[str, Any] | None = None,
) -> Run:
    """Train a line through points by gradient descent, firing the hooks as the loop does.

    Args:
        steps: of the whole training; losses are read out every second, images shown every tenth.
        start: the checkpoint to resume from.
        state: what that checkpoint holds.
        die_at: stop there without a word, as SIGKILL would.
        stage: further fields of the stage.
    """
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 16)
    weight = torch.tensor(float((state or {}).get("weight", 0.0)))
    params = {"method": {"name": "dann", "lr": 0.1}, "training": {"steps": steps, "batch_size": 16}}
    given = Stage(
        "train",
        "task.dann",
        {**params, "fingerprint": FINGERPRINT},
        outputs={"out": Path("model"), "log": Path("log")},
        seed=7,
        tracking=TrackingSection(),
    )
    for name, value in (stage or {}).items():
        setattr(given, name, value)
    method: Any = SimpleNamespace(weight=weight)
    run = Run("task.dann", FINGERPRINT, Path("scratch-run"), Path("log"), params, steps, method, torch.device("cpu"))
    if state:
        run.step = run.resumed_from = start
        run.history, run.memo, run.seconds = list(state["history"]), dict(state["memo"]), state["seconds"]
    fire = plugins().fire
    fire("adaptgan_before_stage", stage=given)
    fire("adaptgan_before_train", run=run)
    while run.step < steps:
        error = weight * x - 2 * x
        weight = weight - 0.1 * (2 * error * x).mean()
        run.step += 1
        run.seconds += 0.01
        loss = (error**2).mean()
        fire("adaptgan_on_step_end", run=run, step=run.step, losses={"classifier/mse": loss})
        if run.step % 10 == 0:
            images = {"synthetic": torch.zeros(3, 1, 8, 8), "refined": torch.ones(3, 1, 8, 8)}
            fire("adaptgan_on_samples", run=run, step=run.step, images=images)
        if run.step % 2 == 0:
            means = {"classifier/mse": loss.item(), "domain/adversarial": 0.69}
            run.history.append({"step": run.step, "seconds": run.seconds, "losses": means})
            fire("adaptgan_on_losses", run=run, step=run.step, means=means)
        method.weight = weight
        if run.step == die_at:
            tracking = plugin._tracking
            if tracking.recorder:  # a dead process holds no locks
                tracking.recorder.close()
            plugin._tracking = plugin.Tracking()
            return run
    fire("adaptgan_on_evaluated", run=run, step=run.step, scores={"source_accuracy": 0.98})
    fire("adaptgan_after_train", run=run)
    given.seconds, given.results = 1.5, {"source_accuracy": 0.98, "steps": steps, "train_seconds": run.seconds}
    fire("adaptgan_after_stage", stage=given)
    return run


def checkpoint(run: Run, step: int) -> dict[str, Any]:
    """What a checkpoint of that step would hold, of a run that went further."""
    return {
        "history": [entry for entry in run.history if entry["step"] <= step],
        "memo": run.memo,
        "seconds": 0.01 * step,
        "weight": run.method.weight,
    }
