"""StarGAN is the paper's: a textbook loop, any number of domains, one generator that obeys the domain asked for."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Guard
from adaptgan.methods.stargan import StarGAN
from adaptgan.plugins import components
from adaptgan.testing import tiny_batch, tiny_info
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

INFO = tiny_info(classes=3, size=16)
STEPS, CRITIC = 6, 2
CPU = torch.device("cpu")
FAST = {"lr": 2e-3}


def build(info: DataInfo = INFO, guard: Guard | None = None, **options: Any) -> StarGAN:
    seed_all("weights")
    config = {
        "name": "stargan",
        "generator": {"name": "stargan_generator", "channels": 4, "blocks": 1},
        "discriminator": {"name": "stargan_discriminator", "channels": 4, "depth": 2},
        "repeats": CRITIC,
        **options,
    }
    method: StarGAN = components().build("method", config, "stargan", [info, guard or Guard()])
    method.info = info
    return method


def batches_of(step: int) -> list[Batch]:
    """One for each of D's turns; the first is G's, too."""
    return [tiny_batch(INFO, 6, step=step + 100 * turn, steps=STEPS, target=False) for turn in range(CRITIC)]


def trained(method: StarGAN, precision: str = "32-true") -> list[dict[str, float]]:
    engine = Engine(make_fabric(CPU, precision), method.train(), STEPS)
    found = []
    for step in range(STEPS):
        given = batches_of(step)
        for batch in given:
            batch.step = step
        seed_all("step", step)
        found.append({name: value.item() for name, value in engine.step(given).items()})
    return found


def slopes(d: nn.Module, between: torch.Tensor) -> torch.Tensor:
    """The norm of D's gradient at each image."""
    between = between.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(d(between).mean((1, 2)).sum(), between, create_graph=True)
    return gradient.flatten(1).norm(dim=1)


def test_its_steps_are_those_of_a_textbook_loop() -> None:
    """Choi's solver: D's turns with the penalty and the real images' domains, then G with domain and cycle."""
    method = build(optimizer=FAST, generator_optimizer=FAST)
    g, d, head = (copy.deepcopy(module) for module in (method.generator, method.discriminator, method.head))
    d_optimizer = torch.optim.Adam([*d.parameters(), *head.parameters()], lr=2e-3, betas=(0.5, 0.999))
    g_optimizer = torch.optim.Adam(g.parameters(), lr=2e-3, betas=(0.5, 0.999))
    expected = []
    for step in range(STEPS):
        rate = 2e-3 * min(1.0, 2 - 2 * step / STEPS)
        for group in (*d_optimizer.param_groups, *g_optimizer.param_groups):
            group["lr"] = rate
        seed_all("step", step)
        first: Any = None
        for batch in batches_of(step):
            x, own = batch.source.images_NCHW, batch.source.labels
            asked = torch.randint(3, (len(x),))
            first = first or (x, own, asked)
            made = g(x, asked).detach()
            real, false = -d(x).mean(), d(made).mean()
            domain = F.cross_entropy(head(d(x, features=True)[1]), own)
            share = torch.rand(len(x), 1, 1, 1)
            penalty = 10 * (slopes(d, share * x + (1 - share) * made) - 1).square().mean()
            d_optimizer.zero_grad()
            (real + false + domain + penalty).backward()
            d_optimizer.step()
        x, own, asked = first
        made = g(x, asked)
        logits, features = d(made, features=True)
        fooled, reached = -logits.mean(), F.cross_entropy(head(features), asked)
        cycle = 10 * (x - g(made, own)).abs().mean()
        g_optimizer.zero_grad()
        (fooled + reached + cycle).backward()
        g_optimizer.step()
        expected.append([value.item() for value in (real, false, domain, penalty, fooled, reached, cycle)])
    names = [f"discriminator/{name}" for name in ("real", "translated", "domain", "gradient_penalty")]
    names += [f"generator/{name}" for name in ("adversarial", "domain", "cycle")]
    ours = [[losses[name] for name in names] for losses in trained(method)]
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(expected), rtol=1e-3, atol=1e-4)
    assert expected[0][3] - expected[-1][3] > 0.1, "nothing was learned: the comparison says nothing"


def test_the_defaults_are_the_papers() -> None:
    options = components().resolve("method", "stargan", "stargan")
    assert (options["domain_weight"], options["cycle"], options["repeats"], options["ema"]) == (1, 10, 5, 0)
    (penalty,) = options["penalties"]
    assert (penalty["name"], penalty["weight"], options["adversarial"]["name"]) == (
        "gradient_penalty",
        10,
        "wasserstein",
    )
    for player in ("optimizer", "generator_optimizer"):
        found = options[player]
        assert (found["name"], found["lr"], found["betas"], found["schedule"]) == ("adam", 1e-4, [0.5, 0.999], "linear")


def test_every_domain_is_asked_for_as_often() -> None:
    method = build()
    seed_all("draw")
    asked = torch.cat([method.asked(tiny_batch(INFO, 300, step=step)) for step in range(10)])
    assert asked.dtype == torch.int64 and asked.bincount(minlength=3).tolist() == pytest.approx([1000] * 3, rel=0.1)


def test_a_penalty_may_come_now_and_then() -> None:
    lazy = {"name": "gradient_penalty", "weight": 10.0, "every": 3}
    found = trained(build(penalties=[lazy]))
    assert [("discriminator/gradient_penalty" in losses) for losses in found] == [True, False, False] * 2
    one, other = (method[0]["discriminator/real"] for method in (found, trained(build())))
    assert one != other, "the first turn has three times the penalty, so the second starts elsewhere"


class Bright(nn.Module):
    """A classifier of two classes: which half of an image is brighter."""

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        left, right = images_NCHW.chunk(2, dim=3)
        return 10 * torch.stack([left.mean((1, 2, 3)), right.mean((1, 2, 3))], dim=1)


class Reader:
    """A guard's model."""

    def predictor(self) -> nn.Module:
        return Bright()


def test_the_guard_reads_the_class_that_the_domain_is_not() -> None:
    """Its classes are 2 and the domains 3: labels of domains never get near it."""
    method = build(guard=Guard(Reader()), semantic=0.5)
    batch = batches_of(0)[0]
    seed_all("step")
    losses = method.generator_loss(batch)
    read = Bright()(batch.source.images_NCHW).argmax(1)
    expected = 0.5 * F.cross_entropy(Bright()(method.made(batch)), read, label_smoothing=0.1)
    torch.testing.assert_close(losses["semantic"], expected)
    with pytest.raises(ParamsError, match="--guard DIR"):
        build(semantic=0.5).phases()


def halves(step: int, count: int = 16) -> Batch:
    """Two domains: dark images and bright ones, each with a stripe at a place of its own."""
    draw = torch.Generator().manual_seed(step)
    labels_N = torch.arange(count) % 2
    images = torch.where(labels_N == 1, 0.6, -0.6).view(-1, 1, 1, 1) + 0.05 * torch.randn(
        count, 1, 8, 8, generator=draw
    )
    columns = torch.randint(8, (count,), generator=draw)
    images[torch.arange(count), :, :, columns] += 0.3
    return Batch(Side(images.clamp(-1, 1), labels_N, torch.arange(count)), None, step, 0.0)


def test_it_learns_to_go_to_the_domain_that_is_asked_for() -> None:
    info = DataInfo(1, 8, 8, ("dark", "bright"))
    fast = {"lr": 2e-3, "betas": [0.0, 0.9], "schedule": "constant"}
    method = build(info, ema=0.9, optimizer=fast, generator_optimizer=fast)
    engine = Engine(make_fabric(CPU, "32-true"), method.train(), 100)
    for step in range(100):
        seed_all("toy", step)
        batches = [halves(2 * step + turn) for turn in range(CRITIC)]
        for batch in batches:
            batch.step = step
        engine.step(batches)
    method.eval()
    with torch.no_grad():
        images = halves(9999).source.images_NCHW
        dark, bright = (method.translate(images, to=name) for name in ("dark", "bright"))
    assert (bright - dark).mean() > 0.6, "the domain asked for does not decide the brightness"
    assert method.domains == ("dark", "bright") and torch.equal(method.translate(images), dark)


def test_samples_show_every_domain() -> None:
    rows = build().samples(batches_of(0)[0])
    assert list(rows) == ["source", "to class 0", "to class 1", "to class 2"]
    assert all(images.shape == (6, 1, 16, 16) for images in rows.values())


def test_it_trains_in_mixed_precision() -> None:
    plain, mixed = trained(build()), trained(build(), "bf16-mixed")
    for name, value in plain[0].items():
        assert mixed[0][name] == pytest.approx(value, rel=0.1, abs=0.05), name


def test_what_cannot_be() -> None:
    with pytest.raises(
        ParamsError, match=r"two or more domains.*here are 1. Join data sets with the dataset `domains`"
    ):
        build(tiny_info(classes=1))
    with pytest.raises(ParamsError, match="knows no domain 'class 7'"):
        build().translate(torch.zeros(1, 1, 16, 16), to="class 7")
    with pytest.raises(ParamsError, match="BatchNorm"):
        build(discriminator={"name": "dcgan_discriminator", "channels": 4})


def test_other_networks_take_its_place() -> None:
    method = build(discriminator={"name": "dcgan_discriminator", "channels": 4, "norm": "none"})
    assert all(math.isfinite(value) for value in trained(method)[-1].values())
