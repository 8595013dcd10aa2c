"""What the tests of the alignment methods share: tiny ones, made-up batches, a look at what moved."""

from __future__ import annotations

from typing import Any

import torch

from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import ClassifierMethod
from adaptgan.plugins import components
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

INFO = DataInfo(1, 16, 16, ("a", "b", "c"))
TINY = {"name": "conv_classifier", "widths": [4, 4], "hidden": 8, "dropout": 0.0}
N = 6


def build(name: str, info: DataInfo = INFO, **options: Any) -> Any:
    seed_all("weights")
    config = {"name": name, "classifier": TINY, "augmentation": "none", **options}
    return components().build("method", config, name, [info]).train()


def batch(step: int = 0, progress: float = 0.5) -> Batch:
    generator = torch.Generator().manual_seed(step)
    source = torch.rand(N, 1, 16, 16, generator=generator) * 2 - 1
    target = torch.rand(N, 1, 16, 16, generator=generator) - 1
    seeds = torch.arange(N) + 100 * step
    return Batch(Side(source, torch.arange(N) % 3, seeds), Side(target, None, seeds + 7), step, progress)


def engine(method: ClassifierMethod, steps: int) -> Engine:
    return Engine(make_fabric(torch.device("cpu"), "32-true"), method.train(), steps)


def moved(run: Engine, batches: list[Batch]) -> set[str]:
    """Which children's weights and buffers a step changed."""
    before = {key: value.clone() for key, value in run.method.state_dict().items()}
    run.step(batches)
    after = run.method.state_dict()
    return {key.split(".")[0] for key, value in after.items() if not torch.equal(value, before[key])}


def outputs(method: Any, b: Batch) -> tuple[torch.Tensor, ...]:
    """Each domain's logits and features, normalized by its own batch."""
    logits_s, f_s = method.classifier(b.source.images_NCHW, features=True)
    logits_t, f_t = method.classifier(b.real.images_NCHW, features=True)
    return logits_s, f_s, logits_t, f_t
