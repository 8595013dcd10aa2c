"""Every hook a plugin can implement, on one page.

A plugin is any module or object whose functions carry `@adaptgan.hookimpl` and the names below, made known through
an entry point in the group `adaptgan`. An implementation may leave out the arguments it does not use. Registration
hooks must stay free of torch: they run on every command, `adaptgan --help` included.

Hooks of one name run last-registered first: third-party plugins before the built-ins.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import torch
    import typer

    from adaptgan.components import ComponentSpec
    from adaptgan.stages.base import Stage
    from adaptgan.training.run import Run

PROJECT = "adaptgan"
PLUGIN_API = 1
"""Raised by one whenever a hook or the component contract changes in a way that breaks plugins."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


# Registration: pure and torch-free.


@hookspec
def adaptgan_register_components() -> Iterable[ComponentSpec]:  # type: ignore[empty-body]
    """Return the components this plugin offers, as `ComponentSpec` records that name (not import) their targets."""


@hookspec
def adaptgan_register_commands(app: typer.Typer) -> None:
    """Add commands to the command line."""


# Stages: one process of the pipeline each.


@hookspec
def adaptgan_before_stage(stage: Stage) -> None:
    """A stage starts; `stage` tells its name, its section's resolved params, its inputs and outputs."""


@hookspec
def adaptgan_after_stage(stage: Stage) -> None:
    """A stage succeeded and its outputs are in place; `stage.seconds` and `stage.results` are set."""


@hookspec
def adaptgan_on_stage_error(stage: Stage, error: BaseException) -> None:
    """A stage failed or was interrupted; it is about to exit with a message."""


# Training: called on every rank; look at `run.rank` before writing anything.


@hookspec
def adaptgan_before_train(run: Run) -> None:
    """Networks, optimizers and a resumed state (`run.step > 0`) are ready."""


@hookspec
def adaptgan_on_step_end(run: Run, step: int, losses: dict[str, torch.Tensor]) -> None:
    """A step is done. `losses` are detached scalars on the device, keyed `phase/term`: reading one synchronizes."""


@hookspec
def adaptgan_on_losses(run: Run, step: int, means: dict[str, float]) -> None:
    """Every `training.log_every` steps: each loss's mean since the last call, as plain numbers."""


@hookspec
def adaptgan_on_samples(run: Run, step: int, images: dict[str, torch.Tensor]) -> None:
    """Every `training.sample_every` steps: named image batches, NCHW float in [-1, 1], on the CPU."""


@hookspec
def adaptgan_on_evaluated(run: Run, step: int, scores: dict[str, float]) -> None:
    """The method scored itself on held-out source data."""


@hookspec
def adaptgan_on_checkpoint(run: Run, step: int, path: Path) -> None:
    """A checkpoint was published at `path`."""


@hookspec
def adaptgan_after_train(run: Run) -> None:
    """Training is complete and the final weights are written."""


@hookspec
def adaptgan_on_train_error(run: Run, error: BaseException) -> None:
    """Training stopped on `error`; the last checkpoint is intact."""


# A plugin's own state inside checkpoints.


@hookspec
def adaptgan_save_state(run: Run) -> dict[str, Any]:  # type: ignore[empty-body]
    """Return `{plugin name: state}` of tensors, numbers, strings, lists and dicts, to be kept in the checkpoint."""


@hookspec
def adaptgan_load_state(run: Run, state: dict[str, Any]) -> None:
    """Take back what `adaptgan_save_state` gave; `state` holds every plugin's entry."""
