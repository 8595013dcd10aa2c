"""A training run as plugins see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from adaptgan.methods.base import Method


@dataclass
class Run:
    """One training, from its first step to its last, over any number of interruptions.

    Attributes:
        name: the section of params.yaml: `refiner`, `task.dann`.
        fingerprint: sha256 over resolved params, input digests and versions; equal fingerprints resume each other.
        folder: the scratch folder of this fingerprint: checkpoints and the lock.
        log: where losses (`losses.jsonl`), image grids (`samples/*.png`) and `timing.json` go.
        params: the section with every default filled in.
        steps: how many steps the whole training has.
        method: the networks and losses.
        device: where they are.
        rank: 0 for the process that writes; others only compute.
        world_size: how many processes train together.
        step: steps done so far.
        resumed_from: the step of the checkpoint this process started from, 0 for a fresh start.
        seconds: time spent training, over all interruptions.
        history: every read-out of the losses so far: `{"step": …, "seconds": …, "losses": {…}}`.
        scores: the method's scores on held-out source data, known at the end.
        alarms: what went wrong without stopping the training: `{"step": …, "alarm": …, "message": …}`.
        halt: why a plugin wants the training to end after a checkpoint; empty: it goes on.
        memo: plain values that plugins keep with the run (MLflow's run id); saved in checkpoints.
    """

    name: str
    fingerprint: str
    folder: Path
    log: Path
    params: dict[str, Any]
    steps: int
    method: Method
    device: torch.device
    rank: int = 0
    world_size: int = 1
    step: int = 0
    resumed_from: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    halt: str = ""
    memo: dict[str, Any] = field(default_factory=dict)
