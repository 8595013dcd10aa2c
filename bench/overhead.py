"""What hooks, progress, the log folder and tracking cost per training step: `python bench/overhead.py`.

One run holds everything: a small convolutional step, and between the steps, each timed on its own, the hook calls that
the loop makes. The last table repeats whole trainings with tracking on and off in turn, so that drifts of the machine
fall on both, and with a replayer importing MLflow and writing to SQLite on the same cores. Target: at most 1 %.
"""

from __future__ import annotations

import argparse
import os
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
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["ADAPTGAN_SCRATCH"] = str(Path(folder) / "scratch")
        os.environ["ADAPTGAN_REPLAYER_IDLE"] = "1"
        train(20, tracked=False)  # imports and first-call set-up
        results = []
        for pair in range(arguments.pairs):
            off, on = train(arguments.steps, tracked=False), train(arguments.steps, tracked=True)
            if pair == 0:
                hooks_table(on)
                print("\nwhole trainings: seconds with tracking off, on (a replayer beside them)")
            results.append((off["training"][0], on["training"][0]))
            print(f"{results[-1][0]:>8.2f}{results[-1][1]:>8.2f}{results[-1][1] / results[-1][0] - 1:>+10.1%}")
        wait_for_replayer(Path(folder) / "scratch/journal")
        os.chdir("/")


def wait_for_replayer(folder: Path) -> None:
    """The temporary folder may go when nobody writes in it."""
    from adaptgan.tracking.journal import locked

    for _ in range(300):
        if not locked(folder / "replayer.pid"):
            return
        time.sleep(0.1)


if __name__ == "__main__":
    main()
