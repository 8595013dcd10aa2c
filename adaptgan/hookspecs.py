"""Every hook a plugin can implement, on one page.

A plugin is any module or object whose functions carry `@adaptgan.hookimpl` and the names below, made known through
an entry point in the group `adaptgan`. An implementation may leave out the arguments it does not use. Registration
hooks must stay free of torch: they run on every command, `adaptgan --help` included.

Hooks of one name run last-registered first: third-party plugins before the built-ins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import pluggy

if TYPE_CHECKING:
    import torch
    import typer

    from adaptgan.components import ComponentSpec
    from adaptgan.stages.base import Stage
    from adaptgan.training.run import Run

PROJECT = "adaptgan"
PLUGIN_API = 1
"""Raised by one whenever a hook or the component contract changes in a way that breaks plugins (docs/versioning.md)."""

SUPPORTED_API = range(1, PLUGIN_API + 1)
"""Components written for one of these are accepted."""

hookspec = pluggy.HookspecMarker(PROJECT)
_hookimpl = pluggy.HookimplMarker(PROJECT)
F = TypeVar("F", bound=Callable[..., Any])


@overload
def hookimpl(function: F, /) -> F: ...


@overload
def hookimpl(*, must_succeed: bool = ..., observes: bool = ..., **options: Any) -> Callable[[F], F]: ...


def hookimpl(
    function: F | None = None, /, *, must_succeed: bool = False, observes: bool = False, **options: Any
) -> F | Callable[[F], F]:
    """Mark a function as a plugin's implementation of the hook that it is named after.

    Args:
        function: the implementation, where the decorator is written without options.
        must_succeed: what it raises stops the run. Else it is named in a warning, its plugin is left out from then on,
            and the run goes on, whatever it raised.
        observes: it only looks, and changes nothing that a result is made of. Else its plugin's version is part of the
            fingerprint of every training that it sees.
        options: of pluggy's `HookimplMarker`, such as `tryfirst`.
    """

    def mark(implementation: F) -> F:
        implementation.adaptgan_must_succeed = must_succeed  # type: ignore[attr-defined]
        implementation.adaptgan_observes = observes  # type: ignore[attr-defined]
        marked: F = _hookimpl(**options)(implementation)
        return marked

    return mark if function is None else mark(function)


# Registration: pure and torch-free.


@hookspec
def adaptgan_register_components() -> Iterable[ComponentSpec]:  # type: ignore[empty-body]
    """Return the components this plugin offers, as `ComponentSpec` records that name (not import) their targets.

    Called: when a process looks for its plugins: in every command, `adaptgan --help` included.
    Ranks: all
    Care: no torch, no files, no network. It may be asked again and must give the same records.
    Errors: the plugin is left out as a whole; asking for one of its components shows the cause.
    """


@hookspec
def adaptgan_register_commands(app: typer.Typer) -> None:
    """Add commands to the command line.

    Called: at the start of every command, before its arguments are read; not where adaptgan is used as a library.
    Ranks: all
    Given: `app`, the Typer application with the built-in commands.
    Care: import what a command needs in its body. A name that is taken stays with its first owner, ours above all.
    Errors: the commands that it did not get to add are missing; the others work.
    """


# Stages: one process of the pipeline each.


@hookspec
def adaptgan_before_stage(stage: Stage) -> None:
    """A stage starts; `stage` tells its name, its section's resolved params, its inputs and outputs.

    Called: by `ingest`, `train`, `synthesize`, `evaluate`, `realism`, `fidelity` and `report`, and by plugins'
        commands that are stages, when params and inputs are checked and no output is written yet.
    Ranks: 0
    Care: what it takes is not part of `stage.seconds`.
    Errors: with `must_succeed` the stage is not begun; `adaptgan_on_stage_error` is not called.
    """


@hookspec
def adaptgan_after_stage(stage: Stage) -> None:
    """A stage succeeded and its outputs are in place; `stage.seconds` and `stage.results` are set.

    Called: last of all, after `adaptgan_after_train`; not when the stage failed or was interrupted.
    Ranks: 0
    Care: leave the outputs as they are: models name their own contents, and DVC hashes them when the command ends.
    Errors: with `must_succeed` the command fails although its outputs are there, and DVC runs the stage again;
        `adaptgan_on_stage_error` is called.
    """


@hookspec
def adaptgan_on_stage_error(stage: Stage, error: BaseException) -> None:
    """A stage failed or was interrupted; it is about to exit with a message.

    Called: in place of `adaptgan_after_stage`, after `adaptgan_on_train_error`. A signal comes as `Interrupted`
        (SIGTERM or SIGINT in a training, after its checkpoint) or `KeyboardInterrupt`. Not called for what is found
        before the stage begins (wrong params, missing data), nor on SIGKILL.
    Ranks: 0
    Given: `error`, which is raised again afterwards.
    Care: be quick: whoever stopped the stage may wait for it, and kill it.
    Errors: none takes the place of `error`, `must_succeed` or not.
    """


# Training: called on every rank; look at `run.rank` before writing anything.


@hookspec
def adaptgan_before_train(run: Run) -> None:
    """Networks, optimizers and a resumed state (`run.step > 0`) are ready.

    Called: after `adaptgan_load_state`, before the first step of this process.
    Ranks: all
    Care: weights may still be changed, at `run.step == 0` and on every rank alike.
    Errors: with `must_succeed` no step is done; `adaptgan_on_train_error` is not called, `adaptgan_on_stage_error` is.
    """


@hookspec
def adaptgan_on_step_end(run: Run, step: int, losses: dict[str, torch.Tensor]) -> None:
    """A step is done. `losses` are detached scalars on the device, keyed `phase/term`: reading one synchronizes.

    Called: after every step, before that step's other hooks; `run.step` counts it already.
    Ranks: all
    Given: `losses` of this rank's share of the batch; of phases that had no turn in this step there are none.
    Care: it runs in every step. Compute on the device and read in `adaptgan_on_losses`; `.item()`, `float()`, `print`
        and `if loss > …` wait for the device each time. Random numbers drawn here change no training: each step
        seeds torch anew.
    Errors: with `must_succeed` what was done since the last checkpoint is lost; `run.halt` loses nothing.
    """


@hookspec
def adaptgan_on_losses(run: Run, step: int, means: dict[str, float]) -> None:
    """Every `training.log_every` steps: each loss's mean since the last call, as plain numbers.

    Called: after `adaptgan_on_step_end` and `adaptgan_on_samples` of that step, and after the last step.
    Ranks: all
    Given: `means`, over all ranks: the same on each. They are in `run.history` already.
    Care: the place to judge a training: `run.halt = "why"` ends it with that message after a checkpoint, on all ranks.
    Errors: with `must_succeed` what was done since the last checkpoint is lost; `run.halt` loses nothing.
    """


@hookspec
def adaptgan_on_samples(run: Run, step: int, images: dict[str, torch.Tensor]) -> None:
    """Every `training.sample_every` steps: named image batches, NCHW float in [-1, 1], on the CPU.

    Called: after `adaptgan_on_step_end`, before `adaptgan_on_losses`, and after the last step; only where the method
        has `samples`.
    Ranks: all
    Given: `images` from this rank's share of the batch.
    Care: the training waits. The grid in the log folder is written by the built-in tracking plugin, after yours.
    Errors: with `must_succeed` what was done since the last checkpoint is lost.
    """


@hookspec
def adaptgan_on_evaluated(run: Run, step: int, scores: dict[str, float]) -> None:
    """The method scored itself on held-out source data.

    Called: once, after the last step, where `training.validation` held images back and the method has a `score`; not
        after `run.halt`.
    Ranks: all
    Given: `scores`, `run.scores` as well; they reach the model's card.
    Care: these are scores of the source domain. They do not say how well it does on the target.
    Errors: with `must_succeed` the training fails at its end; what was done since the last checkpoint is lost.
    """


@hookspec
def adaptgan_on_checkpoint(run: Run, step: int, path: Path) -> None:
    """A checkpoint was published at `path`.

    Called: every `training.checkpoint_every` steps, when a signal stops the training, and at its end: last of a step's
        hooks, right after `adaptgan_save_state`.
    Ranks: 0
    Given: `path`, complete and readable with `torch.load(path, weights_only=True)`.
    Care: copy what should stay: the newest `training.keep_checkpoints` are kept, and none after the stage succeeded.
    Errors: with `must_succeed` this checkpoint stays, and the next start resumes it.
    """


@hookspec
def adaptgan_after_train(run: Run) -> None:
    """Training is complete and the final weights are written.

    Called: after `adaptgan_on_evaluated` and the last checkpoint, before `adaptgan_after_stage`.
    Ranks: all
    Given: `run` with its whole `history`, `scores`, `alarms` and `seconds`.
    Care: only rank 0 has waited for the weights to be written. A change of them here reaches no file.
    Errors: with `must_succeed` the model is written, but the stage counts as failed.
    """


@hookspec
def adaptgan_on_train_error(run: Run, error: BaseException) -> None:
    """Training stopped on `error`; the last checkpoint is intact.

    Called: for whatever ends the steps: a non-finite loss, a signal (`Interrupted`), `run.halt` (`TrainingError`), bad
        data, a full disk. Not for what happens before the first step or when the final weights are written.
    Ranks: all
    Given: `error`, which is raised again afterwards; `run.method` with the weights as they were when it came.
    Care: a rank hears of its own errors only: do not wait for the others.
    Errors: none takes the place of `error`, `must_succeed` or not.
    """


# A plugin's own state inside checkpoints.


@hookspec
def adaptgan_save_state(run: Run) -> dict[str, Any]:  # type: ignore[empty-body]
    """Return `{plugin name: state}` of tensors, numbers, strings, lists and dicts, to be kept in the checkpoint.

    Called: right before each checkpoint (see `adaptgan_on_checkpoint`).
    Ranks: all
    Care: rank 0's answer is the one that is kept. Checkpoints are read with `weights_only=True`: a state of other types
        counts as a failure. Use your plugin's name as the key: it belongs to the plugin that used it first.
    Errors: the checkpoint is written with the state that this plugin gave last; with `must_succeed` it is not written.
    """


@hookspec
def adaptgan_load_state(run: Run, state: dict[str, Any]) -> None:
    """Take back what `adaptgan_save_state` gave; `state` holds every plugin's entry.

    Called: before `adaptgan_before_train`, only where a checkpoint is resumed.
    Ranks: all
    Given: `state`; your entry is missing where the plugin was not there when the checkpoint was written.
    Care: every rank gets what rank 0 saved.
    Errors: with `must_succeed` no step is done and the checkpoint stays; `adaptgan_on_train_error` is not called.
    """
