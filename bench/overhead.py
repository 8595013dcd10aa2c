"""What hooks, progress, the log folder and tracking cost per training step: `python bench/overhead.py`.

One run holds both: a convolutional step, and between the steps, each timed on its own, the hook calls that the loop
makes. The replayer is a process of its own at low priority; its processor time is told for the whole run. Trainings
with and without it are not compared: on a shared machine they differ by more than the 1 % that is the target.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from adaptgan.params import TrackingSection
from adaptgan.plugins import plugins
from adaptgan.stages.base import Stage
from adaptgan.training.run import Run

LOG_EVERY = 50


class Step(nn.Module):
    """A classifier's training step of ordinary size: 64 grey images of 32x32."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in ((1, 32), (32, 64), (64, 64)):
            layers += [nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(), nn.MaxPool2d(2)]
        self.network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 16, 10))
        self.optimizer = torch.optim.Adam(self.network.parameters())
        self.images_NCHW = torch.rand(64, 1, 32, 32) * 2 - 1
        self.labels_N = torch.randint(10, (64,))

    def forward(self) -> torch.Tensor:
        loss = nn.functional.cross_entropy(self.network(self.images_NCHW), self.labels_N)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def train(steps: int, tracked: bool) -> dict[str, list[float]]:
    """Seconds of each step and of each kind of hook call."""
    taken: dict[str, list[float]] = {}

    def fire(hook: str, **arguments: Any) -> None:
        start = time.perf_counter()
        plugins().fire(f"adaptgan_{hook}", **arguments)
        taken.setdefault(hook, []).append(time.perf_counter() - start)

    model = Step()
    params = {"method": {"name": "bench"}, "training": {"batch_size": 64}}
    stage = Stage("train", "bench", params, tracking=TrackingSection(enabled=tracked, flush_seconds=1.0))
    method: Any = model
    run = Run("bench", "f" * 64, Path("run"), Path("log"), params, steps, method, torch.device("cpu"))
    fire("before_stage", stage=stage)
    fire("before_train", run=run)
    begin = time.perf_counter()
    for step in range(1, steps + 1):
        start = time.perf_counter()
        loss = model()
        taken.setdefault("step", []).append(time.perf_counter() - start)
        run.step = step
        fire("on_step_end", run=run, step=step, losses={"classifier/cross_entropy": loss})
        if step % LOG_EVERY == 0:
            means = {f"phase/term{i}": loss.item() for i in range(6)}
            run.history.append({"step": step, "seconds": 0.0, "losses": means})
            fire("on_losses", run=run, step=step, means=means)
    run.seconds = stage.seconds = time.perf_counter() - begin
    taken["training"] = [run.seconds]
    images = {name: torch.rand(10, 1, 32, 32) * 2 - 1 for name in ("synthetic", "refined", "real")}
    fire("on_samples", run=run, step=steps, images=images)
    fire("after_train", run=run)
    fire("after_stage", stage=stage)
    return taken


def hooks_table(taken: dict[str, list[float]]) -> None:
    step = statistics.median(taken["step"])
    print(f"{'call':<16}{'median':>12}{'of a step':>12}   (a step: {1e3 * step:.1f} ms)")
    total = 0.0
    for hook, every in (("on_step_end", 1), ("on_losses", LOG_EVERY)):
        cost = statistics.median(taken[hook])
        total += cost / every
        print(f"{hook:<16}{1e6 * cost:>9.1f} µs{cost / every / step:>12.3%}")
    print(f"{'together':<16}{1e6 * total:>9.1f} µs{total / step:>12.3%}   target 1 %\n")
    for hook in ("before_stage", "before_train", "on_samples", "after_train", "after_stage"):
        print(f"{hook:<16}{1e3 * taken[hook][0]:>9.1f} ms   once")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=150)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ |= {
            "ADAPTGAN_TRACKING": "on",
            "ADAPTGAN_SCRATCH": str(Path(folder) / "scratch"),
            "ADAPTGAN_REPLAYER_IDLE": "1",
        }
        train(20, tracked=False)  # imports and first-call set-up
        hooks_table(train(arguments.steps, tracked=True))
        os.wait()  # the replayer, this process's only child
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"\nreplayer: {used.ru_utime + used.ru_stime:.1f} s of processor time (nice 10): MLflow's import, a new")
        print("database and all of this run; it serves the other stages of a pipeline too.")
        os.chdir("/")


if __name__ == "__main__":
    main()
