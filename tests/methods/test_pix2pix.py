"""pix2pix is the paper's: a textbook loop, equation 4, pairs that stay pairs, noise of each image's own seed."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch, Side
from adaptgan.errors import ParamsError
from adaptgan.methods.pix2pix import Pix2Pix
from adaptgan.plugins import components
from adaptgan.testing import tiny_batch, tiny_info
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

INFO = tiny_info(paired=3)
STEPS = 8
CPU = torch.device("cpu")
MAKES: dict[str, Any] = {"name": "unet_translator", "channels": 4, "dropout": 0.0}
STEADY = {**MAKES, "norm": "none"}
"""Instance norm multiplies the rounding of maps that are nearly constant by up to 300, in every layer and step."""


def build(**options: Any) -> Pix2Pix:
    seed_all("weights")
    config = {
        "name": "pix2pix",
        "generator": MAKES,
        "discriminator": {"name": "patchgan_discriminator", "channels": 4, "conditional": True},
        **options,
    }
    method: Pix2Pix = components().build("method", config, "pix2pix", [INFO])
    method.info = INFO
    return method


def batch_of(step: int) -> Batch:
    return tiny_batch(INFO, 6, step=step, steps=STEPS, target=False)


def trained(method: Pix2Pix, precision: str = "32-true") -> list[dict[str, float]]:
    engine = Engine(make_fabric(CPU, precision), method.train(), STEPS)
    found = []
    for step in range(STEPS):
        seed_all("step", step)
        found.append({name: value.item() for name, value in engine.step([batch_of(step)]).items()})
    return found


def test_its_steps_are_those_of_a_textbook_loop() -> None:
    """Isola's training loop: D on detached images first, then G, both losses cross-entropies, D's halved."""
    quick = {"lr": 2e-3}  # ten times the paper's: so few steps would change little
    method = build(generator=STEADY, optimizer=quick, generator_optimizer=quick)
    g, d = copy.deepcopy(method.generator), copy.deepcopy(method.discriminator)
    g_optimizer = torch.optim.Adam(g.parameters(), lr=2e-3, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(d.parameters(), lr=2e-3, betas=(0.5, 0.999))
    bce = F.binary_cross_entropy_with_logits
    expected = []
    for step in range(STEPS):
        x, y = batch_of(step).source.images_NCHW, batch_of(step).source.paired
        made = g(x)
        on_real, on_made = d(torch.cat([x, y], 1)), d(torch.cat([x, made.detach()], 1))
        real, false = bce(on_real, torch.ones_like(on_real)), bce(on_made, torch.zeros_like(on_made))
        d_optimizer.zero_grad()
        ((real + false) / 2).backward()
        d_optimizer.step()
        on_made = d(torch.cat([x, made], 1))
        fooled, distance = bce(on_made, torch.ones_like(on_made)), F.l1_loss(made, y)
        g_optimizer.zero_grad()
        (fooled + 100 * distance).backward()
        g_optimizer.step()
        expected.append([real.item() / 2, false.item() / 2, fooled.item(), 100 * distance.item()])
    names = ("discriminator/real", "discriminator/translated", "generator/adversarial", "generator/l1")
    ours = [[losses[name] for name in names] for losses in trained(method)]
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(expected), rtol=1e-4, atol=1e-4)
    assert expected[0][3] - expected[-1][3] > 1, "nothing was learned: the comparison says nothing"
    x = batch_of(99).source.images_NCHW
    torch.testing.assert_close(method.eval().translate(x), g.eval()(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize(
    "discriminator",
    [
        {"norm": "batch", "conditional": True},
        {"depth": 1, "scales": 2, "spectral_normalization": True, "conditional": True},
    ],
)
def test_other_discriminators(discriminator: dict[str, Any], precision: str) -> None:
    method = build(discriminator={"name": "patchgan_discriminator", "channels": 4, **discriminator}, ema=0.9)
    losses = trained(method, precision)
    assert losses[-1]["generator/l1"] < losses[0]["generator/l1"]
    assert method.translate(batch_of(0).source.images_NCHW).dtype == torch.float32


def test_scales_count_alike_whatever_their_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    method = build(discriminator={"name": "patchgan_discriminator", "depth": 1, "scales": 2, "conditional": True})
    batch = batch_of(0)
    monkeypatch.setattr(
        method.discriminator,
        "forward",
        lambda seen: [torch.full((len(seen), 14, 14), 2.0), torch.full((len(seen), 6, 6), -1.0)],
    )
    bce = [F.softplus(torch.tensor(value)) for value in (-2.0, 2.0, 1.0, -1.0)]
    tell = method.discriminator_loss(batch)
    torch.testing.assert_close(tell["real"], (bce[0] + bce[2]) / 4)
    torch.testing.assert_close(tell["translated"], (bce[1] + bce[3]) / 4)
    torch.testing.assert_close(method.generator_loss(batch)["adversarial"], (bce[0] + bce[2]) / 2)


def test_without_the_adversary_it_is_a_regression() -> None:
    method = build(gan=0.0, l1=1.0)
    before = copy.deepcopy(method.discriminator.state_dict())
    losses = trained(method)
    assert set(losses[0]) >= {"generator/l1"} and not any("adversarial" in name for name in losses[0])
    after = method.discriminator.state_dict()
    assert all(torch.equal(value, after[key.replace("_forward_module.", "")]) for key, value in before.items())
    with pytest.raises(ParamsError, match="nothing to learn"):
        build(gan=0.0, l1=0.0)


def test_a_pair_is_jittered_alike() -> None:
    """A warp of x and y where y is x again, and a warp that colour does not change."""
    method = build(jitter={"name": "warp", "rotation": 30, "elastic": 1.0, "gain": [0.5, 0.9]})
    side = batch_of(0).source
    same = dataclasses.replace(side, paired_NCHW=side.images_NCHW.expand(-1, 3, -1, -1).contiguous())
    batch = Batch(same, None, 0, 0.0)
    x, y = method.pair(batch)
    assert (x - side.images_NCHW).abs().mean() > 0.1, "the warp did nothing"
    torch.testing.assert_close(y, x.expand(-1, 3, -1, -1))
    assert method.pair(batch)[0] is x
    seeds = side.seeds_N
    torch.testing.assert_close(method.translate(side.images_NCHW, seeds), method.translate(side.images_NCHW))
    assert not method.moves_pixels


class Recorder(Augmentation):
    """Notes what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor, view: int = 0) -> torch.Tensor:
        self.seen.append(view)
        return images_NCHW


def test_one_draw_of_jitter_and_one_of_dropout_serve_both_players() -> None:
    method = build(generator={"name": "unet_translator", "channels": 4})
    method.jitter = Recorder()
    batch = batch_of(0)
    method.discriminator_loss(batch)
    made = batch.shared["made"]
    assert made.requires_grad
    losses = method.generator_loss(batch)
    assert batch.shared["made"] is made and method.jitter.seen == [0, 0]
    torch.testing.assert_close(losses["l1"], 100 * F.l1_loss(made, batch.source.paired))


def test_d_learns_nothing_into_g() -> None:
    method = build()
    sum(method.discriminator_loss(batch_of(0)).values()).backward()  # type: ignore[union-attr]
    assert all(parameter.grad is None for parameter in method.generator.parameters())
    assert all(parameter.grad is not None for parameter in method.discriminator.parameters())


@pytest.mark.parametrize("kept", [True, False])
def test_dropout_at_test_time(kept: bool) -> None:
    method = build(generator={"name": "unet_translator", "channels": 4}, dropout_at_test=kept).eval()
    x = batch_of(0).source.images_NCHW
    one, other = method.translate(x, torch.arange(6)), method.translate(x, torch.arange(6) + 10)
    assert torch.equal(one, method.translate(x, torch.arange(6)))
    assert torch.equal(one, other) != kept
    assert torch.equal(method.translate(x), method.translate(x))


def test_the_history_gives_d_older_pairs() -> None:
    method = build(history=6)
    first = batch_of(0)
    method.discriminator_loss(first)
    assert method.history is not None
    stored = torch.cat([first.source.images_NCHW, first.shared["made"].detach()], 1)
    torch.testing.assert_close(method.history.images, stored)


def test_a_discriminator_that_looks_at_something_else() -> None:
    with pytest.raises(ParamsError, match="Set both alike"):
        build(discriminator={"name": "patchgan_discriminator", "channels": 4})
    alone = build(discriminator={"name": "patchgan_discriminator", "channels": 4}, conditional=False)
    losses = trained(alone)
    assert losses[-1]["generator/l1"] < losses[0]["generator/l1"]


def test_the_score_is_the_mean_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    method = build().eval()
    rng = torch.Generator().manual_seed(0)
    x, y = torch.rand(300, 1, 32, 32, generator=rng), torch.rand(300, 3, 32, 32, generator=rng)
    monkeypatch.setattr(method, "translate", lambda images, seeds: images.expand(-1, 3, -1, -1))
    found = method.score(Side(x, None, torch.arange(300), y))
    assert found == {"l1": pytest.approx((x.double() - y.double()).abs().mean().item(), rel=1e-5)}


def test_samples_are_shown_side_by_side() -> None:
    shown = build().eval().samples(batch_of(0))
    assert list(shown) == ["source", "translated", "paired"]
    assert [images.shape[1] for images in shown.values()] == [1, 3, 3]
