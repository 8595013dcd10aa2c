"""A training step of every generative method against a textbook PyTorch loop of the same networks, in one run.

The textbook loop is what a tutorial shows: NCHW, fp32, Adam as it comes, real and generated images through D one after
the other, weight gradients of D computed in G's turn too, losses read out with `.item()` in every step, an average of
the weights kept parameter by parameter. Ours is what `adaptgan train` does with its default settings. Both draw from
the same 32×32 images in memory and have the options of pipelines/generators.

    python bench/generators.py [--methods dcgan wgan_gp …] [--rounds 9] [--chunk 4] [--clock processor]

Prints one row for each method: milliseconds of a step, median over the rounds, and the median ratio within a round.
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
from torch import nn
from torch.nn import functional as F

from adaptgan.data.batch import Batch
from adaptgan.data.dataset import ShardDataset, load_dataset
from adaptgan.data.images import to_float
from adaptgan.data.loader import Loader
from adaptgan.methods.base import Guard, OptimizerOptions
from adaptgan.networks.laplacian import laplacian
from adaptgan.objectives.weight_penalties import skewness
from adaptgan.params import Training, TrainSection, load
from adaptgan.plugins import components
from adaptgan.stages.ingest import ingest
from adaptgan.training.devices import make_fabric, pick_precision
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

STEPS = 100_000
"""Of a training that is never finished."""
CPU = torch.device("cpu")
PARAMS = Path(__file__).parent.parent / "pipelines" / "generators" / "params.yaml"

Pair = tuple[torch.Tensor, torch.Tensor]
"""A batch of images and their labels."""

Step = Callable[[list[Pair]], None]
"""One step of a textbook loop, on as many batches of images and labels as D has turns."""


def batches(data: ShardDataset, size: int, turns: int) -> Iterator[list[Pair]]:
    """Shuffled batches of float images and labels."""
    images, labels = to_float(torch.from_numpy(data.images_NCHW.copy())), torch.from_numpy(data.labels_N)
    while True:
        order = torch.randperm(len(images))
        for start in range(0, len(order) - turns * size, turns * size):
            yield [(images[part], labels[part]) for part in order[start : start + turns * size].split(size)]


def optimizer(networks: list[nn.Module], options: OptimizerOptions) -> torch.optim.Optimizer:
    """As a tutorial makes it."""
    parameters = [p for one in networks for p in one.parameters()]
    if options.name == "rmsprop":
        return torch.optim.RMSprop(parameters, options.lr)
    if options.name == "sgd":
        return torch.optim.SGD(parameters, options.lr, momentum=options.momentum)
    return torch.optim.Adam(parameters, options.lr, betas=(float(options.betas[0]), float(options.betas[1])))


def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """θ' ← d·θ' + (1 − d)·θ, parameter by parameter."""
    with torch.no_grad():
        for mine, theirs in zip(average.parameters(), network.parameters(), strict=True):
            mine.mul_(decay).add_(theirs, alpha=1 - decay)
        for buffer, newer in zip(average.buffers(), network.buffers(), strict=True):
            buffer.copy_(newer)


def two_players(method: Any) -> Step:
    """The loop of everything that has a D and a G."""
    g, d = copy.deepcopy(method.generator).train(), copy.deepcopy(method.discriminator).train()
    penalties: Any = copy.deepcopy(method.penalties)
    own: Any = copy.deepcopy(getattr(method, "generator_penalties", nn.ModuleList()))
    head = copy.deepcopy(getattr(method, "head", None))
    average = copy.deepcopy(g)
    for_d, for_g = optimizer([d, head] if head else [d], method.optimizer), optimizer([g], method.generator_optimizer)
    loss, mixing = method.adversarial, {"mixing": method.mixing} if hasattr(method, "mixing") else {}
    count = 0

    def judged(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | float]:
        if head is None:
            return d(x, *((y,) if method.conditional else ())), 0.0
        logits, features = d(x, features=True)
        return logits, F.cross_entropy(head(features), y)

    def slopes(x: torch.Tensor, given: tuple[torch.Tensor, ...]) -> torch.Tensor:
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(d(x, *given).sum(), x, create_graph=True)
        return gradient.flatten(1)

    def regularized(x: torch.Tensor, fake: torch.Tensor, given: tuple[torch.Tensor, ...], logits: torch.Tensor) -> Any:
        total: Any = 0.0
        for penalty in penalties:
            name = type(penalty).__name__
            if count % penalty.every == 0 and name == "GradientPenalty":
                share = torch.rand(len(x), 1, 1, 1)
                norms = slopes(share * x + (1 - share) * fake, given).norm(dim=1)
                total = total + penalty.weight * ((norms - 1) ** 2).mean()
            elif count % penalty.every == 0 and name == "R1":
                total = total + penalty.every * penalty.weight / 2 * (slopes(x, given) ** 2).sum(1).mean()
            elif name == "Drift":
                total = total + penalty.weight * (logits**2).mean()
        return total

    def step(turns: list[Pair]) -> None:
        nonlocal count
        for x, y in turns:
            given = (y,) if method.conditional else ()
            for_d.zero_grad()
            fake = g(torch.randn(len(x), method.n_noise), *given, **mixing)
            (real_N, real_class), (fake_N, fake_class) = judged(x, y), judged(fake.detach(), y)
            total = loss.real(real_N).mean() + loss.fake(fake_N).mean() + real_class + fake_class
            total = total + regularized(x, fake.detach(), given if head is None else (), real_N)
            total.backward()
            for_d.step()
            for penalty in penalties:
                if type(penalty).__name__ == "WeightClip":
                    for parameter in d.parameters():
                        parameter.data.clamp_(-penalty.limit, penalty.limit)
            total.item()
        for_g.zero_grad()
        if len(turns) > 1:
            fake = g(torch.randn(len(x), method.n_noise), *given, **mixing)
        logits, classes = judged(fake, y)
        total = loss.generator(logits).mean() + classes
        for penalty in own:
            if count % penalty.every == 0:
                total = total + penalty.every * sum(penalty.terms(g, x, x, *given).values())
        if type(method).__name__ == "BigGAN":
            total = total + method.orthogonal * skewness(g)
        total.backward()
        for_g.step()
        follow(average, g, method.average.decay)
        total.item()
        count += 1

    return step


def pyramids(method: Any) -> Step:
    """LAPGAN's: a GAN a level, all in a step."""
    g, d = copy.deepcopy(method.generator).train(), copy.deepcopy(method.discriminator).train()
    average = copy.deepcopy(g)
    for_d, for_g = optimizer([d], method.optimizer), optimizer([g], method.generator_optimizer)
    loss = method.adversarial

    def step(turns: list[Pair]) -> None:
        ((x, _),) = turns
        coarsest, finer = laplacian(x, method.levels)
        reals = [coarsest, *(torch.cat(pair, dim=1) for pair in finer)]
        coarse = [low for _, low in finer]
        first, *rest = g(torch.randn(len(x), method.n_noise), None, coarse)
        fakes = [first, *(torch.cat(pair, dim=1) for pair in zip(rest, coarse, strict=True))]
        for_d.zero_grad()
        pairs = zip(reals, fakes, strict=True)
        total = sum(loss.real(d(real)).mean() + loss.fake(d(fake.detach())).mean() for real, fake in pairs)
        total.backward()
        for_d.step()
        total.item()
        for_g.zero_grad()
        total = sum(loss.generator(d(fake)).mean() for fake in fakes)
        total.backward()
        for_g.step()
        follow(average, g, method.average.decay)
        total.item()

    return step


def autoencoder(method: Any) -> Step:
    """The VAE's."""
    g, encoder = copy.deepcopy(method.generator).train(), copy.deepcopy(method.encoder).train()
    averages = copy.deepcopy(g), copy.deepcopy(encoder)
    learns = optimizer([g, encoder], method.optimizer)

    def step(turns: list[Pair]) -> None:
        ((x, _),) = turns
        learns.zero_grad()
        mean, log_variance = encoder(x).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        seen = ((g(z) + 1) / 2).clamp(1e-6, 1 - 1e-6)
        distance = F.binary_cross_entropy(seen, (x + 1) / 2, reduction="sum") / len(x)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
        total = distance + method.beta * divergence
        total.backward()
        learns.step()
        for average, network in zip(averages, (g, encoder), strict=True):
            follow(average, network, method.average.decay)
        total.item()

    return step


def textbook(method: Any, data: ShardDataset, size: int) -> Iterator[None]:
    """Each `next` is one step of the textbook loop."""
    for player in method.children():
        if hasattr(player, "grow"):  # all of it: the dearest step
            player.grow(float(method.levels))
    loops: dict[str, Callable[[Any], Step]] = {"LAPGAN": pyramids, "VAE": autoencoder}
    step = loops.get(type(method).__name__, two_players)(method)
    for turns in batches(data, size, getattr(method, "repeats", 1)):
        step(turns)
        yield


def ours(method: Any, data: ShardDataset, training: Training) -> Iterator[None]:
    """Each `next` is one step as the training loop takes it, near the end of the training."""
    fabric = make_fabric(CPU, pick_precision(training.precision, CPU))
    engine = Engine(fabric, method, STEPS, channels_last=training.channels_last)
    method.train()
    loader = Loader(data, batch_size=training.batch_size, seed=0, device=CPU, loading=training.loading)
    repeats, first = getattr(method, "repeats", 1), STEPS - STEPS // 50
    for number in range(first, STEPS):
        seed_all(0, "bench", number, 0)
        turns = [loader.batch(number * repeats + turn) for turn in range(repeats)]
        engine.step([Batch(turn, None, number, number / STEPS) for turn in turns])
        yield


def measure(sides: dict[str, Iterator[None]], rounds: int, chunk: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Seconds per step of each side's turns; the order changes from round to round."""
    for side in sides.values():
        for _ in range(chunk):
            next(side)
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: 1 if number % 2 else -1]:
            start = clock()
            for _ in range(chunk):
                next(sides[name])
            taken[name].append((clock() - start) / chunk)
    return taken


def main() -> None:
    params = load(PARAMS)
    known = [name.split(".")[1] for name in params.leaves() if name.startswith("generator.")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=known, default=known)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--chunk", type=int, default=4, help="steps in a turn")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall", help="processor: of all threads")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.clock == "processor" else time.perf_counter
    print(f"{options.threads} thread(s), {options.clock} time, milliseconds per step")
    print(f"{'method':<18}{'textbook':>10}{'adaptgan':>10}{'times':>8}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ADAPTGAN_SCRATCH"] = str(Path(folder) / "scratch")
        ingest(params, "real", Path(folder) / "real")
        data = load_dataset(Path(folder) / "real")
        for name in options.methods:
            section = params.section(f"generator.{name}", TrainSection)
            seed_all(0, "weights")
            method = components().build("method", section.method, name, [data.info, Guard()])
            method.info = data.info
            sides = {
                "textbook": textbook(copy.deepcopy(method), data, section.training.batch_size),
                "ours": ours(method, data, section.training),
            }
            taken = measure(sides, options.rounds, options.chunk, clock)
            ratio = statistics.median(slow / own for slow, own in zip(*taken.values(), strict=True))
            slow, own = (1e3 * statistics.median(seconds) for seconds in taken.values())
            print(f"{name:<18}{slow:>10.1f}{own:>10.1f}{ratio:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
