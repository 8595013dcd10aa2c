"""CycleGAN by the engine is CycleGAN by a textbook loop: equal losses in float32, given equal weights and draws."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from adaptgan.data.batch import Batch
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Guard
from adaptgan.methods.cyclegan import CycleGAN
from adaptgan.plugins import components
from adaptgan.testing import tiny_batch, tiny_info
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

BENCH = Path(__file__).parents[2] / "bench" / "cyclegan.py"
CPU = torch.device("cpu")
INFO = tiny_info(size=16)
MAKES = {"name": "resnet_translator", "channels": 4, "blocks": 1}
JUDGES = {"name": "patchgan_discriminator", "channels": 4, "depth": 1}
TINY: dict[str, Any] = {
    "generator": MAKES,
    "back_generator": MAKES,
    "discriminator": JUDGES,
    "back_discriminator": JUDGES,
    "history": 5,
}
STEPS = 20
APART = 0.1
"""Of the weights' steps, as a share: Adam makes whole steps of gradients near 0, whose sign rounding decides."""


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("bench_cyclegan", BENCH)
    assert spec and spec.loader
    module = sys.modules["bench_cyclegan"] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(BENCH.parent))  # as for a script: the textbook lies beside it
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(BENCH.parent))
    del sys.modules["bench_cyclegan"]


def case(bench: ModuleType) -> Any:
    """Tiny networks, and histories that are full in the middle of the third batch."""
    return bench.Case(size=16, batch=2, channels=8, blocks=1, patches=8, depth=1, history=5)


def build(guard: Guard | None = None, **options: Any) -> CycleGAN:
    seed_all("weights")
    config = {"name": "cyclegan", **TINY, **options}
    method: CycleGAN = components().build("method", config, "cyclegan", [INFO, guard or Guard()])
    method.info = INFO
    return method


@pytest.fixture(scope="module")
def guard() -> Guard:
    seed_all("guard")
    config = {"name": "supervised", "classifier": {"name": "conv_classifier", "widths": [4, 4], "hidden": 8}}
    return Guard(components().build("method", config, "guard", [INFO]).eval().requires_grad_(False))


def test_twenty_steps_are_those_of_a_textbook_loop(bench: ModuleType) -> None:
    """Histories fill and swap, the rate falls in the second half, the identity terms count."""
    found = bench.agreement(case(bench), STEPS)
    assert len(found.losses) == 10 and len(found.updates) == STEPS
    assert found.furthest < bench.CLOSE
    assert max(found.updates) < APART
    theirs = found.losses["generators/cycle"][1]
    assert theirs[0] - theirs[-1] > 0.3, "nothing was learned: the comparison says nothing"


def _another_identity(method: Any) -> None:
    method.identity *= 1.1


def _no_history(method: Any) -> None:
    method.history = None


def _one_history(method: Any) -> None:
    method.back_history.swap = method.history.swap


def _no_decay(method: Any) -> None:
    method.generator_optimizer = dataclasses.replace(method.generator_optimizer, schedule="constant")


def _twice_as_fast(method: Any) -> None:
    method.optimizer = dataclasses.replace(method.optimizer, lr=4e-4)


def _halved(method: Any) -> None:
    method.gan = 1.0


@pytest.mark.parametrize("change", [_another_identity, _no_history, _one_history, _no_decay, _twice_as_fast, _halved])
def test_the_comparison_sees_a_difference(bench: ModuleType, change: Callable[[Any], None]) -> None:
    tiny = case(bench)
    method = tiny.method()
    change(method)
    found = bench.agreement(tiny, STEPS, method)
    assert found.furthest > 10 * bench.CLOSE or max(found.updates) > 2 * APART


def first_losses(method: CycleGAN, batch: Batch) -> dict[str, torch.Tensor]:
    """Of one step, with weights as they were made."""
    engine = Engine(make_fabric(CPU, "32-true"), method.train(), 10)
    return engine.step([batch])


def test_the_semantic_term_reads_labels_one_way_and_the_guard_the_other(guard: Guard) -> None:
    """CyCADA's eq. 4: G(x) must read as x's label, F(y) as whatever f reads in y."""
    method, batch = build(guard, semantic=0.3, identity=0.0), tiny_batch(INFO, 8)
    with torch.no_grad():
        x, y, f = batch.source.images_NCHW, batch.real.images_NCHW, guard.classifier
        there = F.cross_entropy(f(method.generator(x)), batch.source.labels, label_smoothing=0.1)
        back = F.cross_entropy(f(method.back_generator(y)), f(y).argmax(1), label_smoothing=0.1)
    losses = first_losses(method, batch)
    assert float(losses["generators/semantic"]) == pytest.approx(0.3 * float(there), rel=1e-4)
    assert float(losses["generators/back_semantic"]) == pytest.approx(0.3 * float(back), rel=1e-4)
    assert "generators/identity" not in losses


def test_a_guard_that_is_asked_for_must_be_there() -> None:
    with pytest.raises(ParamsError, match="--guard DIR"):
        build(semantic=0.1).phases()


def test_networks_that_normalize_by_the_batch_see_each_domain_alone() -> None:
    """A batch of both domains would have other statistics."""
    makes = {**MAKES, "norm": "batch"}
    method, batch = build(generator=makes, back_generator=makes), tiny_batch(INFO, 8)
    generator = copy.deepcopy(method.generator).train()
    y = batch.real.images_NCHW
    with torch.no_grad():
        alone = 5 * (generator(y) - y).abs().mean()
    losses = first_losses(method, batch)
    assert float(losses["generators/identity"]) == pytest.approx(float(alone), rel=1e-4)


def test_all_four_players_see_the_same_jittered_images() -> None:
    method, batch = build(jitter={"name": "warp", "rotation": 30}, history=0), tiny_batch(INFO, 8)
    seen: dict[str, list[torch.Tensor]] = {"back_generator": [], "back_discriminator": []}
    for name, calls in seen.items():
        getattr(method, name).register_forward_pre_hook(lambda _, given, calls=calls: calls.append(given[0].detach()))
    first_losses(method, batch)
    jittered = method.jitter(batch.source.images_NCHW, batch.source.seeds_N)
    assert not torch.equal(jittered, batch.source.images_NCHW)
    assert torch.equal(seen["back_generator"][0][8:], jittered)  # the identity term
    assert torch.equal(seen["back_discriminator"][1][:8], jittered)
    assert method.moves_pixels and not build().moves_pixels


def test_it_translates_both_ways_with_the_averages() -> None:
    method, batch = build(ema=0.9, jitter={"name": "warp", "rotation": 30}).eval(), tiny_batch(INFO, 4)
    x, seeds = batch.source.images_NCHW, batch.source.seeds_N
    with torch.no_grad():
        assert torch.equal(method.translate(x, seeds), method.average(method.jitter(x, seeds)))
        assert torch.equal(method.translate(x), method.average(x))
        assert torch.equal(method.translate(x, seeds, to="source"), method.back_average(x))
        with pytest.raises(ParamsError, match="knows no domain 'sauce'. Did you mean 'source'"):
            method.translate(x, to="sauce")
        rows = method.samples(batch)
    assert [len(images) for images in rows.values()] == [4] * 6
    assert torch.equal(rows["and forth"], method.average(rows["to source"]))


def test_batches_of_one_report_no_diversity() -> None:
    """An image alone differs from no other, which no watchdog may take for a collapse."""
    method = build()
    assert "discriminator/diversity" in first_losses(method, tiny_batch(INFO, 2))
    alone = first_losses(build(), tiny_batch(INFO, 1))
    assert "discriminator/ranking" in alone and "discriminator/diversity" not in alone


def test_larger_batches_than_the_history_pass_through_it_in_turns() -> None:
    losses = first_losses(build(history=3), tiny_batch(INFO, 8))
    assert all(value.isfinite() for value in losses.values())


def test_bf16_trains() -> None:
    engine = Engine(make_fabric(CPU, "bf16-mixed"), build().train(), 10)
    for step in range(2):
        losses = engine.step([tiny_batch(INFO, 4, step=step, steps=10)])
    assert all(value.isfinite() and value.dtype == torch.float32 for value in losses.values())
