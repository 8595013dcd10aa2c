"""StyleGAN2's training on a GPU: images/s and memory in fp32 and bf16, compiled or not: `python bench/stylegan2.py`.

A step is all of it: D's turn, R1 each 16th step, G's turn, the path length each 4th, Adam for both, the average, as the
engine drives it in `adaptgan train`. Turns of 16 steps, so that each has its share of the lazy ones; the first turn,
with compilation and cuDNN's search, is not counted; the figure is the median over the others. Images are noise that
lies on the device already: loading is measured elsewhere. Prints a Markdown table for bench/RESULTS.md.

On a CPU the same runs at 32×32 with narrow networks, to be tried; memory is not measured there.

    python bench/stylegan2.py [--sizes 64 256] [--batch 32] [--precisions 32-true bf16-mixed] [--compiled no yes]
                              [--augmentation ada] [--fused] [--turns 3]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from dataclasses import dataclass
from typing import Any

import torch

from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo
from adaptgan.plugins import components
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

TURN = 16
"""Steps after which all lazy penalties have had their turns."""
STEPS = 100_000
"""Of a training that is never finished."""
TINY: dict[str, Any] = {"channels": 16, "capacity": 512}


@dataclass
class Case:
    """One row of the table.

    Attributes:
        size: side of the images.
        batch: images of a step.
        precision: Fabric's name of it.
        compiled: whether the networks are.
        fused: the form of the modulated convolutions.
        augmentation: what D sees the images through.
        channels: options of both networks that decide their width.
    """

    size: int
    batch: int
    precision: str
    compiled: bool
    fused: bool
    augmentation: str
    channels: dict[str, Any]

    def engine(self, device: torch.device) -> Engine:
        """A training of the method with its own defaults."""
        seed_all(0, "weights")
        config = {
            "name": "stylegan2",
            "generator": {"name": "stylegan2_generator", "fused": self.fused, **self.channels},
            "discriminator": {"name": "stylegan2_discriminator", **self.channels},
            "augmentation": self.augmentation,
        }
        info = DataInfo(3, self.size, self.size)
        method = components().build("method", config, "stylegan2", [info])
        method.info = info
        return Engine(make_fabric(device, self.precision), method.train(), STEPS, compile=self.compiled)


@dataclass
class Result:
    """What was measured.

    Attributes:
        seconds: of a step, median over the turns.
        first: seconds of the first turn.
        gigabytes: most memory that tensors held at once, on a GPU.
    """

    seconds: float
    first: float
    gigabytes: float | None


def measure(case: Case, device: torch.device, turns: int) -> Result:
    """Train for a first turn and some more."""
    torch.compiler.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    engine = case.engine(device)
    shape = (case.batch, 3, case.size, case.size)
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device) * 2 - 1
    seeds = torch.arange(case.batch, device=device)
    taken = []
    for turn in range(turns + 1):
        start = clock(device)
        for step in range(turn * TURN, (turn + 1) * TURN):
            seed_all(0, "bench", step, 0)
            engine.step([Batch(Side(images, None, seeds + step * case.batch), None, step, step / STEPS)])
        taken.append(clock(device) - start)
    engine.statistics.check()  # a loss that is not finite would make the figures worthless
    peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
    return Result(statistics.median(taken[1:]) / TURN, taken[0], peak)


def clock(device: torch.device) -> float:
    """Seconds, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def row(case: Case, device: torch.device, turns: int) -> str:
    """One line of the table; memory that does not suffice is a result, too."""
    begin = f"| {case.size}² | {case.batch} | {case.precision} | {'yes' if case.compiled else 'no'} |"
    try:
        found = measure(case, device, turns)
    except torch.OutOfMemoryError:
        return f"{begin} out of memory | – | – | – |"
    memory = "–" if found.gigabytes is None else f"{found.gigabytes:.1f} GiB"
    return f"{begin} {case.batch / found.seconds:.1f} | {1e3 * found.seconds:.1f} | {memory} | {found.first:.0f} s |"


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gpu = device.type == "cuda"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256] if gpu else [32])
    parser.add_argument("--batch", type=int, default=32 if gpu else 8)
    parser.add_argument("--precisions", nargs="+", default=["32-true", "bf16-mixed"])
    parser.add_argument("--compiled", nargs="+", choices=["no", "yes"], default=["no", "yes"] if gpu else ["no"])
    parser.add_argument("--augmentation", choices=["none", "diff_augment", "ada"], default="none")
    parser.add_argument("--fused", action="store_true", help="each image's own weights, in grouped convolutions")
    parser.add_argument("--turns", type=int, default=3 if gpu else 1, help="turns of 16 steps that count")
    arguments = parser.parse_args()
    name = torch.cuda.get_device_name(device) if gpu else f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    form = "fused" if arguments.fused else "unfused"
    tf32 = f", TF32 in convolutions {'on' if torch.backends.cudnn.allow_tf32 else 'off'}" if gpu else ""
    print(f"{name}, torch {torch.__version__}{tf32}, {form}, augmentation: {arguments.augmentation}\n")
    print("| images | batch | precision | compiled | images/s | ms a step | peak memory | first 16 steps |")
    print("|---|---|---|---|---|---|---|---|")
    for size in arguments.sizes:
        for precision in arguments.precisions:
            for compiled in arguments.compiled:
                case = Case(
                    size,
                    arguments.batch,
                    precision,
                    compiled == "yes",
                    arguments.fused,
                    arguments.augmentation,
                    {} if gpu else TINY,
                )
                print(row(case, device, arguments.turns), flush=True)


if __name__ == "__main__":
    main()
