"""A CycleGAN step against a textbook PyTorch loop of the same networks and mathematics: `python bench/cyclegan.py`.

The textbook loop is what the authors' code and tutorials show: NCHW in float32, `nn.InstanceNorm2d` and
`nn.ReflectionPad2d`, six passes through the generators, each discriminator three times (fooled, real, made), a history
that goes through images one by one, Adam as it comes, `.item()` of every loss. Ours is what `adaptgan train` drives:
bf16 where the processor computes in it, channels last, fused Adam, images made once and judged together, networks
compiled with `training.compile`. Each gain has a side of its own. First the losses of both are compared over 20 steps
in float32; then all sides take turns of a few steps in one process, so that a busy machine slows all of them.

    python bench/cyclegan.py [--rounds 5] [--chunk 1] [--threads 1] [--no-compile]
    python bench/cyclegan.py --device cuda

On a CPU: 128², 6 blocks, 32 channels, batch 4. On a GPU: 256², 9 blocks, 64 channels, batch 1 and 8, and the most
memory that tensors held. Prints Markdown tables for bench/RESULTS.md: medians over the rounds, and the median of the
ratios within a round, in processor time and in wall-clock time.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from textbook.cyclegan import Draw, Textbook, discriminator, generator, same_weights
from torch import nn

from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import Guard
from adaptgan.methods.cyclegan import CycleGAN
from adaptgan.plugins import components
from adaptgan.training.devices import make_fabric, pick_precision
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

STEPS = 100_000
"""Of a training that is never finished."""
IMAGES = 64
"""Of each domain, noise in memory: loading is measured elsewhere."""
CLOSE = 1e-4
"""Difference of two losses, as a share of their mean, that counts as rounding."""
CPU = torch.device("cpu")


@dataclass
class Case:
    """Sizes of everything.

    Attributes:
        size: sides of the images.
        batch: images of each domain in a step.
        channels: of the generators' first layer.
        blocks: of the generators.
        patches: channels of the discriminators' first layer.
        depth: of the discriminators.
        history: images in each history.
    """

    size: int = 128
    batch: int = 4
    channels: int = 32
    blocks: int = 6
    patches: int = 64
    depth: int = 3
    history: int = 50

    def method(self) -> CycleGAN:
        """Ours, with the paper's weights."""
        makes = {"name": "resnet_translator", "channels": self.channels, "blocks": self.blocks}
        judges = {"name": "patchgan_discriminator", "channels": self.patches, "depth": self.depth}
        players = {"generator": makes, "back_generator": makes, "discriminator": judges, "back_discriminator": judges}
        info = DataInfo(3, self.size, self.size)
        seed_all(0, "weights")
        config = {"name": "cyclegan", "history": self.history, **players}
        method: CycleGAN = components().build("method", config, "cyclegan", [info, Guard()])
        method.info = info
        return method

    def textbook(self, device: torch.device, steps: int = STEPS, draw: Draw | None = None) -> Textbook:
        """The textbook's, with the weights that ours begin with."""
        ours = self.method()
        makes = [generator(3, self.channels, self.blocks) for _ in range(2)]
        judges = [discriminator(3, self.patches, self.depth) for _ in range(2)]
        theirs = [ours.generator, ours.back_generator, ours.discriminator, ours.back_discriminator]
        networks = [same_weights(*pair).to(device) for pair in zip([*makes, *judges], theirs, strict=True)]
        return Textbook(networks, steps, self.history, draw)

    def images(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Both domains in [-1, 1]: noise of two scales."""
        source = torch.Generator().manual_seed(0)
        coarse, fine = (torch.rand(2 * IMAGES, 3, size, size, generator=source) for size in (8, self.size))
        mixed = 1.4 * nn.functional.interpolate(coarse, self.size, mode="bilinear") + 0.6 * fine - 1
        mixed[IMAGES:] = mixed[IMAGES:].clamp(-0.3, 0.3) / 0.3
        return mixed[:IMAGES].to(device), mixed[IMAGES:].to(device)


def as_ours(count: int, stored: int, capacity: int) -> list[int | None]:
    """What `ImageHistory.swap` draws from torch's generator, for those images that no longer fit in."""
    free = capacity - stored
    order = [place for place in torch.randperm(capacity).tolist() if place < stored]
    coins = (torch.rand(count) < 0.5).tolist()
    return [order[i] if coins[free + i] else None for i in range(count - free)]


@dataclass
class Agreement:
    """Ours beside the textbook.

    Attributes:
        losses: each loss of every step: ours, and the textbook's.
        updates: how far apart the steps that the weights took are, as a share of the textbook's.
    """

    losses: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    updates: list[float] = field(default_factory=list)

    @property
    def furthest(self) -> float:
        """The largest difference of a loss, as a share of its mean over the steps."""
        return max(
            abs(mine - theirs) / statistics.fmean(both[1])
            for both in self.losses.values()
            for mine, theirs in zip(*both, strict=True)
        )


def agreement(case: Case, steps: int = 20, method: CycleGAN | None = None) -> Agreement:
    """Train both for some steps in float32, with equal first weights, images and draws.

    After each step the textbook goes on from our weights; moments of Adam and histories stay its own. Left to
    themselves two such trainings part within a few steps, and so does the textbook from itself if its first weights
    are changed by 1e-7: where rounding turns a ReLU's sign, the gradient leaps. The loss does not.
    """
    method = (method or case.method()).train()
    engine = Engine(make_fabric(CPU, "32-true"), method, steps)
    book = case.textbook(CPU, steps, lambda count, stored: as_ours(count, stored, case.history))
    x, y = case.images(CPU)
    found = Agreement()
    for number in range(steps):
        before = weights(book.networks)
        part = torch.arange(number * case.batch, (number + 1) * case.batch) % IMAGES
        seed_all(0, "agreement", number)
        ours = engine.step([Batch(Side(x[part], None, part), Side(y[part], None, part), number, number / steps)])
        seed_all(0, "agreement", number)
        for name, value in book.step(x[part], y[part]).items():
            mine, theirs = found.losses.setdefault(name, ([], []))
            mine.append(float(ours[name]))
            theirs.append(value)
        players = [method.generator, method.back_generator, method.discriminator, method.back_discriminator]
        after = weights(book.networks)
        found.updates.append(float((weights(players) - after).norm() / (after - before).norm()))
        for network, player in zip(book.networks, players, strict=True):
            same_weights(network, player)
    return found


def weights(networks: list[nn.Module]) -> torch.Tensor:
    """Of all convolutions, in a row; biases apart, of which ours have fewer."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    modules = [module for network in networks for module in network.modules() if isinstance(module, kinds)]
    return torch.cat([module.weight.detach().flatten() for module in modules])


def picked(case: Case, device: torch.device) -> Iterator[tuple[torch.Tensor, ...]]:
    """Batches of both domains, and their places."""
    x, y = case.images(device)
    for number in range(STEPS):
        part = torch.arange(number * case.batch, (number + 1) * case.batch, device=device) % IMAGES
        yield x[part], y[part], part


def textbook(case: Case, device: torch.device) -> Iterator[None]:
    """Each `next` is one step of the textbook loop."""
    book = case.textbook(device)
    for x, y, _ in picked(case, device):
        book.step(x, y)
        yield


def ours(
    case: Case, device: torch.device, precision: str = "32-true", channels_last: bool = True, compiled: bool = False
) -> Iterator[None]:
    """Each `next` is one step as the training loop takes it."""
    fabric = make_fabric(device, precision)
    engine = Engine(fabric, case.method().train(), STEPS, compile=compiled, channels_last=channels_last)
    for number, (x, y, part) in enumerate(picked(case, device)):
        seed_all(0, "bench", number, 0)
        engine.step([Batch(Side(x, None, part), Side(y, None, part), number, number / STEPS)])
        yield


@dataclass
class Taken:
    """Seconds per step of each turn."""

    processor: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


def measure(sides: dict[str, Iterator[None]], rounds: int, chunk: int, device: torch.device) -> dict[str, Taken]:
    """Turns of all sides; the order changes from round to round."""
    for side in sides.values():
        for _ in range(2):
            next(side)
    taken = {name: Taken() for name in sides}
    for number in range(rounds):
        names = list(sides)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            processor, wall = time.process_time(), clock(device)
            for _ in range(chunk):
                next(sides[name])
            taken[name].wall.append((clock(device) - wall) / chunk)
            taken[name].processor.append((time.process_time() - processor) / chunk)
    return taken


def clock(device: torch.device) -> float:
    """Wall-clock seconds, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def table(taken: dict[str, Taken], batch: int) -> None:
    """Medians, and the median of the ratios within a round to the first side."""
    print("| side | processor, ms a step | images/s | times | wall, ms a step | images/s | times |")
    print("|---|---|---|---|---|---|---|")
    first = next(iter(taken.values()))
    for name, found in taken.items():
        cells = []
        for mine, theirs in ((found.processor, first.processor), (found.wall, first.wall)):
            median = statistics.median(mine)
            ratio = statistics.median(slow / own for slow, own in zip(theirs, mine, strict=True))
            cells += [f"{1e3 * median:.0f}", f"{batch / median:.2f}", f"{ratio:.2f}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def on_cpu(case: Case, arguments: argparse.Namespace) -> None:
    """The agreement, then the sides, each with one thing more than the one before."""
    if arguments.agreement:
        found = agreement(case)
        print(f"20 steps in float32: losses differ by {found.furthest:.1e} of their mean at most,", end=" ")
        print(f"the weights' steps by {max(found.updates):.1e}\n", flush=True)
        assert found.furthest < CLOSE, "these are not the same mathematics"
    best = pick_precision("auto", CPU)
    sides = {
        "textbook": textbook(case, CPU),
        "ours, float32, NCHW": ours(case, CPU, channels_last=False),
        "+ channels last": ours(case, CPU),
    }
    if best != "32-true":
        sides[f"+ {best}"] = ours(case, CPU, best)
    if arguments.compile:
        sides["+ compiled"] = ours(case, CPU, best, compiled=True)
    print(f"{case}, {torch.get_num_threads()} thread(s)\n")
    table(measure(sides, arguments.rounds, arguments.chunk, CPU), case.batch)


def on_gpu(device: torch.device, arguments: argparse.Namespace) -> None:
    """Images/s and memory, a side alone each time: two trainings would share the memory."""
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}\n")
    print("| batch | side | images/s | ms a step | peak memory |\n|---|---|---|---|---|")
    for batch in (1, 8):
        case = Case(256, batch, 64, 9)
        sides: dict[str, Callable[[], Iterator[None]]] = {"textbook": lambda case=case: textbook(case, device)}  # type: ignore[misc]
        for precision, compiled in itertools.product(("32-true", "bf16-mixed"), (False, True)):
            if compiled and not arguments.compile:
                continue
            sides[f"ours, {precision}{', compiled' if compiled else ''}"] = (
                lambda case=case, precision=precision, compiled=compiled: ours(  # type: ignore[misc]
                    case, device, precision, compiled=compiled
                )
            )
        for name, side in sides.items():
            torch.compiler.reset()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
            try:
                taken = measure({name: side()}, arguments.rounds, 10 * arguments.chunk, device)[name]
            except torch.OutOfMemoryError:
                print(f"| {batch} | {name} | out of memory | – | – |", flush=True)
                continue
            median, peak = statistics.median(taken.wall), torch.cuda.max_memory_allocated(device) / 2**30
            print(f"| {batch} | {name} | {batch / median:.1f} | {1e3 * median:.1f} | {peak:.1f} GiB |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chunk", type=int, default=1, help="steps in a turn")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True, help="needs a C++ compiler")
    parser.add_argument("--agreement", action=argparse.BooleanOptionalAction, default=True, help="compare losses first")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device: Any = torch.device(arguments.device)
    if device.type == "cuda":
        on_gpu(device, arguments)
    else:
        on_cpu(Case(), arguments)


if __name__ == "__main__":
    main()
