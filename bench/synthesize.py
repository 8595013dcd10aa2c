"""`synthesize` from end to end against the translator's own forward pass: `python bench/synthesize.py`.

One side is the whole stage as `adaptgan synthesize` runs it (the model loaded, every image read, translated, rounded,
encoded, hashed and written, the manifest and the card), without the process's start. The other is the translator alone
on the same images, ready in memory: same batches, precision and threads, nothing else. Both take turns in one process;
the shares are medians of the ratios within a round, by three clocks:

    wall              what a person waits for. Reading and writing need a core of their own to disappear from it.
    computing thread  processor time of the thread that drives the network: what does not overlap. With one thread for
                      the network this is the share that is reached when another core is free.
    processor         of all threads: the share that is reached when no other core is free.

No gate: a gate's classifier is a network of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from adaptgan.data.images import encode_png, to_float
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter, iter_records
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import Guard
from adaptgan.models import load_model, save_model
from adaptgan.params import Params, TrainSection, load
from adaptgan.plugins import components
from adaptgan.stages.ingest import ingest
from adaptgan.stages.synthesize import synthesize
from adaptgan.training.devices import make_fabric, pick_precision
from adaptgan.training.seeding import derive, seed_all

CPU = torch.device("cpu")
CLOCKS = {"wall": time.perf_counter, "computing thread": time.thread_time, "processor": time.process_time}

Take = dict[str, float]


def digits(folder: Path, params: Params, count: int) -> dict[str, Any]:
    """Rendered digits, 32x32 grey, and the refiner of params.yaml without its jitter."""
    ingest(params, "source", folder / "source")
    return {**params.section("refiner", TrainSection).method, "jitter": "none", "semantic": 0.0}  # type: ignore[dict-item]


def photos(folder: Path, params: Params, count: int) -> dict[str, Any]:
    """Crops of two photos, 128x128 colour, and CycleGAN's generator of 6 blocks and 32 channels."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(0)
    whole = load_sample_images().images
    (folder / "source").mkdir()
    with ShardWriter(folder / "source", ["china", "flower"]) as writer:
        for i in range(count):
            image = whole[i % 2]
            top, left = (int(rng.integers(0, size - 128)) for size in image.shape[:2])
            crop = np.ascontiguousarray(image[top : top + 128, left : left + 128])
            writer.write(Record(f"crop-{i:06d}", crop, i % 2, {}, {"top": top, "left": left}))
    return {"name": "cyclegan", "generator": {"name": "resnet_translator", "channels": 32, "blocks": 6}}


CASES: dict[str, tuple[Callable[[Path, Params, int], dict[str, Any]], int, int]] = {
    "SimGAN's refiner, 32x32": (digits, 8192, 256),
    "CycleGAN, 6 blocks, 32 channels, 128x128": (photos, 256, 32),
}
"""What makes the source and names the method; images; images in a batch."""


def untrained(method: dict[str, Any], info: DataInfo, folder: Path) -> None:
    """A model folder: its speed does not depend on the weights."""
    seed_all(0, "weights")
    registry = components()
    config = registry.resolve("method", method, "bench")
    folder.mkdir()
    model = registry.build("method", config, "bench", [info, Guard()])
    save_model(model, {"method": config, "data": asdict(info), "fingerprint": "bench", "versions": {}}, folder)


def forward(translator: Any, images_NCHW: np.ndarray, keys: list[str], batch_size: int) -> Callable[[], None]:
    """The translator alone."""
    fabric = make_fabric(CPU, pick_precision("auto", CPU))
    batches = []
    for start in range(0, len(keys), batch_size):
        seeds = torch.tensor([derive(0, "synthesize", key) for key in keys[start : start + batch_size]])
        batches.append((to_float(torch.from_numpy(images_NCHW[start : start + batch_size].copy())), seeds))

    def run() -> None:
        with torch.inference_mode():
            for images, seeds in batches:
                with fabric.autocast():
                    translator.translate(images, seeds)

    return run


def timed(work: Callable[[], None]) -> Take:
    """Seconds by each clock."""
    before = {name: clock() for name, clock in CLOCKS.items()}
    work()
    return {name: clock() - before[name] for name, clock in CLOCKS.items()}


def compare(name: str, folder: Path, arguments: argparse.Namespace) -> None:
    """Print the lines of one case."""
    make, count, batch_size = CASES[name]
    count = int(count * arguments.scale)
    folder.mkdir()
    changes = [f"source.dataset.count={count}", "tracking.enabled=false"]
    method = make(folder, load(Path("params.yaml").resolve(), changes), count)
    from adaptgan.data.dataset import load_dataset

    data = load_dataset(folder / "source")
    untrained(method, data.info, folder / "model")
    section = {"gate": [], "batch_size": batch_size, "device": "cpu"}
    (folder / "params.yaml").write_text(yaml.safe_dump({"tracking": {"enabled": False}, "refine": section}))
    params = load(folder / "params.yaml")

    def whole() -> None:
        synthesize(params, "refine", model=folder / "model", source=folder / "source", out=folder / "out")

    alone = forward(load_model(folder / "model"), data.images_NCHW, data.keys, batch_size)
    sides = {"translator alone": alone, "synthesize": whole}
    taken: dict[str, list[Take]] = {side: [] for side in sides}
    for number in range(arguments.rounds + 1):
        for side in list(sides) if number % 2 else list(sides)[::-1]:
            take = timed(sides[side])
            if number:  # the first is for caches
                taken[side].append(take)
    print(f"\n{name}: {count} images in batches of {batch_size}, {torch.get_num_threads()} thread(s)")
    print(f"{'clock':<20}{'alone, images/s':>17}{'synthesize':>12}{'share':>8}")
    for clock in CLOCKS:
        speeds = {side: statistics.median(count / take[clock] for take in takes) for side, takes in taken.items()}
        share = statistics.median(one[clock] / other[clock] for one, other in zip(*taken.values(), strict=True))
        print(f"{clock:<20}{speeds['translator alone']:>17.0f}{speeds['synthesize']:>12.0f}{share:>8.1%}")
    made = [record.image for record, _ in zip(iter_records(folder / "out"), range(64), strict=False)]
    png = timed(lambda: deque(map(encode_png, made), maxlen=0).clear())["processor"] / len(made)
    print(f"PNG of a new image: {1e3 * png:.3f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of images")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, torch.get_num_threads()], help="of the network")
    parser.add_argument("--cases", nargs="+", default=list(CASES), help="beginnings of their names")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ADAPTGAN_SCRATCH"] = str(Path(folder) / "scratch")
        for threads in dict.fromkeys(arguments.threads):
            torch.set_num_threads(threads)
            for number, name in enumerate(CASES):
                if any(name.startswith(start) for start in arguments.cases):
                    compare(name, Path(folder) / f"{number}-{threads}", arguments)


if __name__ == "__main__":
    main()
