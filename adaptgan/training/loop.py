"""The training loop: setup, resume, step, read out, checkpoint, finish."""

from __future__ import annotations

import time
from collections.abc import Callable, Sized
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric

from adaptgan.data.batch import Batch, Side
from adaptgan.data.loader import Loader
from adaptgan.errors import FailedElsewhere, Interrupted, TrainingError
from adaptgan.params import Training
from adaptgan.plugins import plugins
from adaptgan.signals import noticed
from adaptgan.training.checkpoints import Checkpoints
from adaptgan.training.engine import Engine
from adaptgan.training.plugin_states import PluginStates
from adaptgan.training.run import Run
from adaptgan.training.seeding import seed_all
from adaptgan.training.statistics import NonFiniteLoss


@dataclass
class Feeds:
    """Where batches come from.

    Attributes:
        source: labelled synthetic images.
        target: unlabelled real images, or None.
        labelled: a few labelled real images beside the source, or None.
        held_out: source images kept for scoring, or None.
    """

    source: Loader
    target: Loader | None = None
    labelled: Loader | None = None
    held_out: Side | None = None

    def batch(self, number: int, run: Run) -> Batch:
        """Batch `number`; the same one however often and in whatever order it is asked for."""
        target = self.target.batch(number) if self.target else None
        labelled = self.labelled.batch(number) if self.labelled else None
        return Batch(self.source.batch(number), target, run.step, run.step / run.steps, labelled)


def fit(
    fabric: Fabric,
    run: Run,
    feeds: Feeds,
    training: Training,
    seed: int,
    keep: Callable[[Path], None] | None = None,
) -> None:
    """Train `run.method` to `run.steps`, resuming the newest checkpoint of the same fingerprint.

    Args:
        fabric: launched.
        run: what is trained; its step, seconds, history and memo are updated.
        feeds: the data.
        training: how.
        seed: the pipeline's seed.
        keep: writes the method as it is into a folder; called for `training.snapshots`.

    Raises:
        Interrupted: SIGTERM or SIGINT came; a checkpoint was written first.
        NonFiniteLoss: a loss became NaN or infinite.
        TrainingError: a plugin set `run.halt` (an alarm, where `training.on_alarm` says stop); a checkpoint is written.
        FailedElsewhere: it did so in another process.
    """
    fire = plugins().fire
    engine = Engine(fabric, run.method, run.steps, compile=training.compile, channels_last=training.channels_last)
    checkpoints = Checkpoints(run.folder / "checkpoints", training.keep_checkpoints)
    states = PluginStates()
    _resume(engine, checkpoints, run, states)
    run.method.train()
    fire("adaptgan_before_train", run=run)
    turns = max(phase.repeats for phase in engine.phases)
    kept = {round(run.steps * (i + 1) / (training.snapshots + 1)) for i in range(training.snapshots)}
    clock = time.perf_counter()
    saved = run.step
    try:
        with noticed() as stop:
            halted = _halted(fabric, run)
            while run.step < run.steps and not halted:
                seed_all(seed, run.name, run.step, fabric.global_rank)
                batches = [feeds.batch(run.step * turns + turn, run) for turn in range(turns)]
                losses = engine.step(batches)
                run.step += 1
                fire("adaptgan_on_step_end", run=run, step=run.step, losses=losses)
                last = run.step == run.steps
                logs = last or run.step % training.log_every == 0
                stopped = _agreed(fabric, stop) if fabric.world_size == 1 or logs else False
                if (training.sample_every and run.step % training.sample_every == 0) or last:
                    _show(run, batches[0])
                due = run.step % training.checkpoint_every == 0 or stopped
                if logs or due:
                    now = time.perf_counter()
                    run.seconds, clock = run.seconds + now - clock, now
                if logs:
                    _read_out(fabric, engine, run)
                if keep and run.step in kept and fabric.is_global_zero:
                    keep(run.folder / "snapshots" / f"{run.step:06d}")
                if due and not last:
                    engine.statistics.check()
                    _save(fabric, engine, checkpoints, run, states)
                    saved = run.step
                if stopped and not last:
                    raise Interrupted(
                        f"{run.name} was stopped by a signal after step {run.step} of {run.steps}; a checkpoint is "
                        "written, and the same command goes on from there."
                    )
                halted = _halted(fabric, run) if fabric.world_size == 1 or logs else False
        if feeds.held_out is not None and not halted:
            _score(run, feeds.held_out)
        # The finished state too: should writing the result fail (a full disk), nothing is trained again.
        if saved < run.step:
            _save(fabric, engine, checkpoints, run, states)
        if _halted(fabric, run):
            raise TrainingError(run.halt) if run.halt else FailedElsewhere("another process halted the training")
    except NonFiniteLoss as error:
        error.args = (_advice(error, run, checkpoints),)
        fire("adaptgan_on_train_error", run=run, error=error)
        raise
    except BaseException as error:
        fire("adaptgan_on_train_error", run=run, error=error)
        raise


def _resume(engine: Engine, checkpoints: Checkpoints, run: Run, states: PluginStates) -> None:
    state = checkpoints.load(engine.fabric.device)
    if state is None:
        return
    engine.load_state_dict(state["engine"])
    run.step = run.resumed_from = state["step"]
    run.seconds, run.history, run.memo = state["seconds"], state["history"], state["memo"]
    run.alarms = state["alarms"]
    states.restore(run, state)


def _save(fabric: Fabric, engine: Engine, checkpoints: Checkpoints, run: Run, states: PluginStates) -> None:
    held = states.collect(run)
    if fabric.is_global_zero:
        path = checkpoints.save(
            run.step,
            {
                "step": run.step,
                "engine": engine.state_dict(),
                "seconds": run.seconds,
                "history": run.history,
                **held,
                "params": run.params,
                "fingerprint": run.fingerprint,
            },
        )
        plugins().fire("adaptgan_on_checkpoint", run=run, step=run.step, path=path)
    fabric.barrier()


def _read_out(fabric: Fabric, engine: Engine, run: Run) -> None:
    means = engine.statistics.read()
    if fabric.world_size > 1:
        table = torch.tensor(list(means.values()), dtype=torch.float64, device=fabric.device)
        averaged = fabric.all_reduce(table, reduce_op="mean")
        assert isinstance(averaged, torch.Tensor)
        means = dict(zip(means, averaged.tolist(), strict=True))
    run.history.append({"step": run.step, "seconds": round(run.seconds, 3), "losses": means})
    plugins().fire("adaptgan_on_losses", run=run, step=run.step, means=means)


@torch.no_grad()
def _show(run: Run, batch: Batch) -> None:
    run.method.eval()
    images = {name: value.detach().float().cpu() for name, value in run.method.samples(batch).items()}
    run.method.train()
    if images:
        plugins().fire("adaptgan_on_samples", run=run, step=run.step, images=images)


@torch.no_grad()
def _score(run: Run, held_out: Side) -> None:
    run.method.eval()
    run.scores = run.method.score(held_out)
    run.method.train()
    plugins().fire("adaptgan_on_evaluated", run=run, step=run.step, scores=run.scores)


def _halted(fabric: Fabric, run: Run) -> bool:
    """Whether a plugin set `run.halt` on any rank: all end together, or those that go on would wait for it forever."""
    return _agreed(fabric, run.halt)


def _agreed(fabric: Fabric, stop: Sized) -> bool:
    """Whether any rank was told to stop; all ranks ask together."""
    if fabric.world_size == 1:
        return bool(stop)
    told = fabric.all_reduce(torch.tensor(float(bool(stop)), device=fabric.device), reduce_op="sum")
    assert isinstance(told, torch.Tensor)
    return told.item() > 0


def _advice(error: NonFiniteLoss, run: Run, checkpoints: Checkpoints) -> str:
    newest = checkpoints.newest()
    kept = f"The last good checkpoint is {newest}." if newest else "No checkpoint was due before it."
    return (
        f"{run.name}: {error} {kept} Training stopped there and nothing was overwritten. What usually helps: a "
        "lower learning rate, a clip on the gradient (optimizer.clip: 1), precision 32-true, or a smaller weight "
        "of that term."
    )
