"""DANN by the engine is DANN by a textbook loop: equal losses in float32, given equal weights and batches."""

from __future__ import annotations

import copy
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from adaptgan.methods.dann import DANN
from adaptgan.plugins import components
from adaptgan.testing import tiny_batch, tiny_info
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

INFO = tiny_info(size=16)
STEPS = 20
CLOSE: Any = {"rtol": 2e-4, "atol": 1e-5}
BENCH = Path(__file__).parents[2] / "bench" / "dann.py"


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("bench_dann", BENCH)
    assert spec and spec.loader
    module = sys.modules["bench_dann"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bench_dann"]


def build() -> DANN:
    seed_all("weights")
    classifier = {"name": "conv_classifier", "widths": [4, 8], "hidden": 16, "dropout": 0.0}
    config = {"name": "dann", "classifier": classifier, "augmentation": "none", "domain_hidden": 16}
    method: DANN = components().build("method", config, "dann", [INFO])
    return method


def train(method: DANN, book: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Task and domain loss of each step, (steps, 2): the engine's and the textbook's."""
    engine = Engine(make_fabric(torch.device("cpu"), "32-true"), method.train(), STEPS)
    ours, theirs = [], []
    for step in range(STEPS):
        batch = tiny_batch(INFO, 8, step=step, steps=STEPS)
        losses = engine.step([batch])
        ours.append([losses["adaptation/task"].item(), losses["adaptation/domain"].item()])
        source, target = batch.source, batch.real
        theirs.append(book.step(source.images_NCHW, source.labels, target.images_NCHW, batch.progress))
    return torch.tensor(ours), torch.tensor(theirs)


def test_twenty_steps_are_those_of_a_textbook_loop(bench: ModuleType) -> None:
    method = build()
    book = bench.Textbook(copy.deepcopy(method.classifier), copy.deepcopy(method.domain_head))
    ours, theirs = train(method, book)
    torch.testing.assert_close(ours, theirs, **CLOSE)
    assert ours[0, 0] - ours[-1, 0] > 0.05, "nothing was learned: the comparison says nothing"
    mine = method.state_dict()
    for key, value in book.classifier.state_dict().items():
        if "running" not in key:  # ours follow the target's statistics alone, the textbook's both domains'
            torch.testing.assert_close(mine[f"classifier.{key}"].to(value), value, rtol=1e-3, atol=1e-4)


def test_the_comparison_sees_a_reversal_of_the_wrong_sign(bench: ModuleType) -> None:
    method = build()
    method.strength = -1.0
    book = bench.Textbook(copy.deepcopy(method.classifier), copy.deepcopy(method.domain_head))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(*train(method, book), **CLOSE)
