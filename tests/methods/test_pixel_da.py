"""PixelDA is the paper's: a textbook loop, the content term as pairs of pixels, noise of each image's own seed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.data.batch import Batch, Side
from adaptgan.methods.pixel_da import PixelDA
from adaptgan.plugins import components
from adaptgan.testing import tiny_batch, tiny_info
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

INFO = tiny_info()
STEPS = 4
CPU = torch.device("cpu")
PLAIN: dict[str, Any] = {"augmentation": "none"}


def build(info: Any = INFO, **options: Any) -> PixelDA:
    seed_all("weights")
    config = {
        "name": "pixel_da",
        "generator": {"name": "pixel_da_generator", "channels": 4, "blocks": 1},
        "discriminator": {"name": "pixel_da_discriminator", "channels": 4, "widest": 2, "dropout": 0.0, "noise": 0.0},
        "classifier": {"name": "conv_classifier", "widths": [4, 4], "hidden": 8, "dropout": 0.0},
        **options,
    }
    method: PixelDA = components().build("method", config, "pixel_da", [info])
    method.info = info
    return method


def batch_of(step: int) -> Batch:
    return tiny_batch(INFO, 6, step=step, steps=STEPS)


def trained(method: PixelDA, precision: str = "32-true") -> list[dict[str, float]]:
    engine = Engine(make_fabric(CPU, precision), method.train(), STEPS)
    found = []
    for step in range(STEPS):
        seed_all("step", step)
        found.append({name: value.item() for name, value in engine.step([batch_of(step)]).items()})
    return found


def test_its_steps_are_those_of_a_textbook_loop() -> None:
    """D and T on detached images first, then G; every network sees source, generated and real in batches apart."""
    method = build(**PLAIN, domain=0.7, task=1.3)
    g, d, t = (copy.deepcopy(m) for m in (method.generator, method.discriminator, method.classifier))
    tell = torch.optim.Adam(d.parameters(), lr=1e-3, betas=(0.5, 0.999))
    learn = torch.optim.Adam(t.parameters(), lr=1e-3, betas=(0.5, 0.999))
    generate = torch.optim.Adam(g.parameters(), lr=1e-3, betas=(0.5, 0.999))
    bce = F.binary_cross_entropy_with_logits
    expected = []
    for step in range(STEPS):
        batch = batch_of(step)
        x, y, real = batch.source.images_NCHW, batch.source.labels, batch.real.images_NCHW
        seed_all("step", step)
        fake = g(x, 2 * torch.rand(6, 10) - 1)
        on_real, on_fake = d(real), d(fake.detach())
        l_real, l_fake = bce(on_real, torch.ones_like(on_real)), bce(on_fake, torch.zeros_like(on_fake))
        tell.zero_grad()
        (l_real + l_fake).backward()
        nn.utils.clip_grad_norm_(d.parameters(), 5.0)
        tell.step()
        l_x, l_generated = F.cross_entropy(t(x), y), F.cross_entropy(t(fake.detach()), y)
        learn.zero_grad()
        (l_x + l_generated).backward()
        nn.utils.clip_grad_norm_(t.parameters(), 5.0)
        learn.step()
        on_fake = d(fake)
        fooled, read = bce(on_fake, torch.ones_like(on_fake)), F.cross_entropy(t(fake), y)
        generate.zero_grad()
        (0.7 * fooled + 1.3 * read).backward()
        nn.utils.clip_grad_norm_(g.parameters(), 5.0)
        generate.step()
        terms = (l_real, l_fake, l_x, l_generated, 0.7 * fooled, 1.3 * read)
        expected.append([term.item() for term in terms])
    names = [
        "discriminator/real",
        "discriminator/generated",
        "task/source",
        "task/generated",
        "generator/adversarial",
        "generator/task",
    ]
    ours = [[losses[name] for name in names] for losses in trained(method)]
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(expected), rtol=1e-3, atol=1e-3)
    assert ours[0][2] - ours[-1][2] > 0.05, "nothing was learned: the comparison says nothing"


def test_it_trains_in_bfloat16() -> None:
    losses = trained(build(**PLAIN), "bf16-mixed")
    assert all(torch.tensor(list(step.values())).isfinite().all() for step in losses)


def test_the_content_term_compares_pairs_of_pixels() -> None:
    """The mean over pairs of ½ (d_i − d_j)² is ‖d‖²/k − (Σd)²/k² (Eigen 2014): light may change as a whole."""
    method = build(content=1.0, foreground=0.0)
    batch = batch_of(0)
    x, fake = batch.source.images_NCHW, torch.rand(6, 1, 32, 32) * 2 - 1
    d = ((x - fake) * (x > 0)).flatten(1).double()
    pairs = 0.5 * (d[:, :, None] - d[:, None, :]).square().mean((1, 2))
    assert method.content_similarity(batch, fake).item() == pytest.approx(pairs.mean().item(), rel=1e-5)
    assert build(content=1.0).content_similarity(batch, x + 0.3).item() == pytest.approx(0, abs=1e-6)


def test_the_foreground_of_a_segmentation_is_what_is_labelled() -> None:
    info = tiny_info(task="segmentation")
    method = build(info, classifier={"name": "conv_segmenter", "widths": [4, 8]}, **PLAIN)
    masks_NHW = torch.randint(3, (2, 32, 32))
    side = Side(torch.rand(2, 1, 32, 32), masks_NHW, torch.arange(2))
    m = method.mask(Batch(side, side, 0, 0.0), side.images_NCHW)
    assert torch.equal(m[:, 0], (masks_NHW != 0).float())


def test_generating_leaves_the_task_s_running_statistics_alone() -> None:
    method = build(**PLAIN).train()
    batch = batch_of(0)
    method.task_loss(batch)
    before = {name: value.clone() for name, value in method.classifier.named_buffers() if "running" in name}
    method.generator_loss(batch)
    after = dict(method.classifier.named_buffers())
    assert before and all(torch.equal(value, after[name]) for name, value in before.items())


def test_the_task_learns_to_read_what_is_generated() -> None:
    """`separate`: predictions are normalized by the generated images' statistics, not by the source's."""
    method = build(**PLAIN, ema=0.5).train()
    norm = next(m for m in method.classifier.modules() if isinstance(m, nn.BatchNorm2d))
    batch = batch_of(0)
    method.task_loss(batch)
    method.follow_task(batch)
    first = method.classifier.stages[0](method.fake(batch).detach())
    expected = 0.1 * first.mean((0, 2, 3))  # BatchNorm's momentum, from 0
    torch.testing.assert_close(norm.running_mean, expected, rtol=1e-3, atol=1e-5)


def test_noise_is_uniform_and_of_each_image_s_own_seed() -> None:
    method = build(**PLAIN)
    seen: list[torch.Tensor] = []
    method.average.forward = lambda x, z: seen.append(z) or x  # type: ignore[method-assign,func-returns-value,assignment]
    x, seeds = torch.zeros(5000, 1, 4, 4), torch.arange(5000)
    method.translate(x, seeds)
    method.translate(x[:3], seeds[1:4])
    many, few = seen
    assert torch.equal(few, many[1:4])
    assert -1 <= many.min() < -0.999 and 0.999 < many.max() <= 1
    assert many.var().item() == pytest.approx(1 / 3, rel=0.02)
    method.translate(x[:3])
    method.translate(x[:3])
    assert not torch.equal(seen[2], seen[3])


def test_labelled_target_images_join_the_task() -> None:
    """The paper's semi-supervised setting, §4.3."""
    method = build(**PLAIN).train()
    batch = batch_of(0)
    batch.labelled = batch.source
    losses = method.task_loss(batch)
    expected = F.cross_entropy(method.classifier(batch.source.images_NCHW), batch.source.labels)
    torch.testing.assert_close(losses["labelled"], expected)


def test_jitter_says_that_it_moves_pixels() -> None:
    assert not build().moves_pixels
    assert build(jitter="warp").moves_pixels
