"""A DANN step against a textbook PyTorch loop of the same network and mathematics: `python bench/dann.py`.

Ours is `task.dann` of params.yaml, driven by the engine as `adaptgan train` does: bf16 where the CPU computes in it,
channels-last, fused SGD, the whole data set in memory, augmented in batches. The textbook loop is what tutorials show:
float32, NCHW, a DataLoader for each domain over PIL images in memory with torchvision's transforms for each sample, two
forward passes, `loss.item()` in every step. Both take turns of a few steps in one process, so that a busy machine slows
both; the figures are medians over turns. The allocator's setting that our loop makes serves the textbook loop too.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from adaptgan.data.batch import Batch
from adaptgan.data.dataset import ShardDataset, load_dataset
from adaptgan.data.loader import Loader
from adaptgan.methods.base import Guard
from adaptgan.methods.dann import DANN
from adaptgan.params import Params, Training, TrainSection, load
from adaptgan.plugins import components
from adaptgan.stages.ingest import ingest
from adaptgan.training.devices import make_fabric, pick_precision
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

BATCH = 64
STEPS = 1000
COUNT = 2000
CPU = torch.device("cpu")
AFFINE = {"name": "warp", "rotation": 15, "shear": 11, "scale": [0.85, 1.15], "translate": 0.06}


class Reversal(torch.autograd.Function):
    """The gradient reversal layer as tutorials write it."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, strength: float) -> torch.Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0].neg() * ctx.strength, None


class Textbook:
    """DANN in plain PyTorch.

    Args:
        classifier: gives (logits, features).
        domain_head: features to one logit each.
    """

    def __init__(self, classifier: nn.Module, domain_head: nn.Module) -> None:
        self.classifier, self.domain_head = classifier.train(), domain_head.train()
        parameters = [*classifier.parameters(), *domain_head.parameters()]
        self.optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9)

    def step(self, x_s: torch.Tensor, y_s: torch.Tensor, x_t: torch.Tensor, p: float) -> tuple[float, float]:
        """One step at progress p; the task's loss and the domains'."""
        strength = 2 / (1 + torch.exp(torch.tensor(-10.0 * p)).item()) - 1
        for group in self.optimizer.param_groups:
            group["lr"] = 0.01 / (1 + 10 * p) ** 0.75
        self.optimizer.zero_grad()
        logits, features = self.classifier(x_s, features=True)
        task = F.cross_entropy(logits, y_s)
        domain_s = self.domain_head(Reversal.apply(features, strength))
        _, features = self.classifier(x_t, features=True)
        domain_t = self.domain_head(Reversal.apply(features, strength))
        domain = F.binary_cross_entropy_with_logits(domain_s, torch.ones_like(domain_s))
        domain = (domain + F.binary_cross_entropy_with_logits(domain_t, torch.zeros_like(domain_t))) / 2
        loss = task + domain
        loss.backward()
        self.optimizer.step()
        return task.item(), domain.item()


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """Decoded PIL images in memory, transformed one by one."""

    def __init__(self, data: ShardDataset, transform: Callable[[Any], torch.Tensor]) -> None:
        self.images = [Image.fromarray(image[0]) for image in data.images_NCHW]
        self.labels = data.labels_N.tolist() if data.has_labels else [-1] * len(data)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def textbook(source: ShardDataset, target: ShardDataset, method: DANN, augment: bool, workers: int) -> Iterator[None]:
    """Each `next` is one step of the textbook loop."""
    affine = [v2.RandomAffine(degrees=15, translate=(0.06, 0.06), scale=(0.85, 1.15), shear=11)] if augment else []
    tensors = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.5])]
    transform = v2.Compose([*affine, *tensors])
    loop = Textbook(copy.deepcopy(method.classifier), copy.deepcopy(method.domain_head))
    feeds = [endless(Pictures(data, transform), workers) for data in (source, target)]
    for number in range(STEPS):
        (x_s, y_s), (x_t, _) = (next(feed) for feed in feeds)
        loop.step(x_s, y_s, x_t, number / STEPS)
        yield


def endless(pictures: Pictures, workers: int) -> Iterator[Any]:
    loader = DataLoader(
        pictures, BATCH, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
    )
    while True:
        yield from loader


def ours(source: ShardDataset, target: ShardDataset, method: DANN, training: Training) -> Iterator[None]:
    """Each `next` is one step as the training loop takes it."""
    fabric = make_fabric(CPU, pick_precision(training.precision, CPU))
    engine = Engine(fabric, method, STEPS, channels_last=training.channels_last)
    method.train()
    common: dict[str, Any] = {"batch_size": BATCH, "seed": 0, "device": CPU, "loading": training.loading}
    feeds = Loader(source, **common), Loader(target, labels=False, salt="target", **common)
    for number in range(STEPS):
        seed_all(0, "bench", number, 0)
        x_s, x_t = (feed.batch(number) for feed in feeds)
        engine.step([Batch(x_s, x_t, number, number / STEPS)])
        yield


def build(params: Params, source: ShardDataset, **options: Any) -> DANN:
    """The method of `task.dann` with other options."""
    seed_all(0, "weights")
    config = {**params.section("task.dann", TrainSection).method, **options}  # type: ignore[dict-item]
    method: DANN = components().build("method", config, "task.dann.method", [source.info, Guard()])
    return method


def measure(sides: dict[str, Iterator[None]], arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds per step of each side's turns; the order changes from round to round."""
    clock = time.process_time if arguments.clock == "processor" else time.perf_counter
    chunk = arguments.chunk
    for side in sides.values():
        for _ in range(chunk):
            next(side)
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(arguments.rounds):
        names = list(sides)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            start = clock()
            for _ in range(chunk):
                next(sides[name])
            taken[name].append((clock() - start) / chunk)
    return taken


def table(title: str, taken: dict[str, list[float]], baseline: str) -> None:
    """Medians, and the median of the ratios within a round."""
    print(f"\n{title}\n{'side':<44}{'ms/step':>9}{'images/s':>10}{'× textbook':>12}")
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        ratio = statistics.median(slow / own for slow, own in zip(taken[baseline], seconds, strict=True))
        print(f"{name:<44}{1e3 * median:>9.1f}{2 * BATCH / median:>10.0f}{ratio:>12.2f}")


def compare(folder: Path, params: Params, arguments: argparse.Namespace) -> None:
    """Print both tables for the current number of threads."""
    source, target = load_dataset(folder / "source"), load_dataset(folder / "target")
    training = params.section("task.dann", TrainSection).training

    def our(**options: Any) -> Iterator[None]:
        return ours(source, target, build(params, source, **options), training)

    def book(augment: bool) -> Iterator[None]:
        return textbook(source, target, build(params, source), augment, arguments.workers)

    plain = {
        "textbook": book(False),
        "ours, each domain's own statistics": our(augmentation="none", batch_norm="separate"),
        "ours, joint statistics (params.yaml)": our(augmentation="none"),
    }
    threads = f"{torch.get_num_threads()} thread(s), {arguments.workers} worker(s), {arguments.clock} time"
    table(f"no augmentation, {threads}", measure(plain, arguments), "textbook")
    augmented = {
        "textbook, RandomAffine for each sample": book(True),
        "ours, affine, each domain's own statistics": our(augmentation=AFFINE, batch_norm="separate"),
        "ours, affine, joint statistics": our(augmentation=AFFINE),
        "ours, all of params.yaml": our(),
    }
    table(f"with augmentation, {threads}", measure(augmented, arguments), next(iter(augmented)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--chunk", type=int, default=3, help="steps in a turn")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, torch.get_num_threads()])
    parser.add_argument("--workers", type=int, default=0, help="of each DataLoader of the textbook loop")
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall", help="processor: of all threads")
    arguments = parser.parse_args()
    path = Path("params.yaml").resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ADAPTGAN_SCRATCH"] = str(Path(folder) / "scratch")
        small = [f"source.dataset.count={COUNT}", f"target.limit={COUNT}", "tracking.enabled=false"]
        params = load(path, small)
        for side in ("source", "target"):
            ingest(params, side, Path(folder) / side)
        for threads in dict.fromkeys(arguments.threads):
            torch.set_num_threads(threads)
            compare(Path(folder), params, arguments)


if __name__ == "__main__":
    main()
