"""SPADE is the paper's objective: a textbook loop, what each term is, styles of each image's own seed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from adaptgan.data.batch import Batch
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Guard
from adaptgan.methods.spade import SPADE
from adaptgan.plugins import components
from adaptgan.testing import tiny_batch, tiny_info
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

INFO = tiny_info(3, 16, 4, task="segmentation")
STEPS, LATENTS = 6, 5
PATCHES = {
    "name": "patchgan_discriminator",
    "channels": 4,
    "depth": 1,
    "scales": 2,
    "conditional": True,
    "spectral_normalization": True,
}
ENCODER = {"name": "conv_encoder", "channels": 4, "noise": LATENTS}


def build(guard: Any = None, **options: Any) -> SPADE:
    seed_all("weights")
    config = {
        "name": "spade",
        "generator": {"name": "spade_generator", "channels": 4, "widest": 2, "hidden": 8, "noise": LATENTS},
        "discriminator": PATCHES,
        **options,
    }
    method: SPADE = components().build("method", config, "spade", [INFO, Guard(guard)])
    method.info = INFO
    return method


def batch_of(step: int) -> Batch:
    return tiny_batch(INFO, 6, step=step, steps=STEPS, target=False)


def planes(batch: Batch) -> torch.Tensor:
    return F.one_hot(batch.source.labels, 4).permute(0, 3, 1, 2).float()


def trained(method: SPADE, steps: int = STEPS, precision: str = "32-true") -> list[dict[str, float]]:
    engine = Engine(make_fabric(torch.device("cpu"), precision), method.train(), STEPS)
    found = []
    for step in range(steps):
        seed_all("step", step)
        found.append({name: value.item() for name, value in engine.step([batch_of(step)]).items()})
    return found


def test_its_steps_are_those_of_a_textbook_loop() -> None:
    """The authors' losses: hinge, a mean over scales; features' distances, a sum over layers and mean over scales."""
    quick = {"lr": 2e-3}
    method = build(encoder=ENCODER, l1=2.0, optimizer=quick, generator_optimizer=quick)
    g, d, e = (copy.deepcopy(net).train() for net in (method.generator, method.discriminator, method.encoder))
    assert e is not None
    d_optimizer = torch.optim.Adam(d.parameters(), lr=2e-3, betas=(0.0, 0.9))
    g_optimizer = torch.optim.Adam([*g.parameters(), *e.parameters()], lr=2e-3, betas=(0.0, 0.9))
    expected = []
    for step in range(STEPS):
        seed_all("step", step)
        m, x = planes(batch_of(step)), batch_of(step).source.images_NCHW
        noise = torch.randn(6, LATENTS)
        code = e(x)
        mean, log_variance = code[:, :LATENTS], code[:, LATENTS:]
        made = g(m, mean + (log_variance / 2).exp() * noise)
        real = made_loss = torch.zeros(())
        both = d(torch.cat([torch.cat([m, m]), torch.cat([x, made.detach()])], 1))
        for logits in both:
            real = real + F.relu(1 - logits[:6]).mean() / 2
            made_loss = made_loss + F.relu(1 + logits[6:]).mean() / 2
        d_optimizer.zero_grad()
        (real + made_loss).backward()
        d_optimizer.step()
        on_made, seen = d(torch.cat([m, made], 1), features=True)
        _, wanted = d(torch.cat([m, x], 1), features=True)
        fooled = -(on_made[0].mean() + on_made[1].mean()) / 2
        matching = torch.zeros(())
        for scale in range(2):
            for ours, theirs in zip(seen[scale], wanted[scale], strict=True):
                matching = matching + 10 / 2 * (ours - theirs.detach()).abs().mean()
        distance = 2 * (made - x).abs().mean()
        kl = 0.05 * 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 6
        g_optimizer.zero_grad()
        (fooled + matching + distance + kl).backward()
        g_optimizer.step()
        expected.append([value.item() for value in (real, made_loss, fooled, matching, distance, kl)])
    names = ("discriminator/real", "discriminator/made")
    names += tuple(f"generator/{term}" for term in ("adversarial", "feature_matching", "l1", "kl"))
    ours = [[losses[name] for name in names] for losses in trained(method)]
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(expected), rtol=2e-3, atol=2e-4)
    assert expected[0][4] - expected[-1][4] > 0.05, "nothing was learned: the comparison says nothing"


def test_terms_without_weight_are_not_there() -> None:
    everything = trained(build(), 1)[0]
    assert {"generator/adversarial", "generator/feature_matching", "discriminator/ranking"} <= set(everything)
    assert not {"generator/l1", "generator/kl", "generator/semantic"} & set(everything)
    regression = trained(build(gan=0.0, feature_matching=0.0, l1=3.0), 1)[0]
    assert {name for name in regression if "image_gradient" not in name} == {"generator/l1"}
    matching = trained(build(gan=0.0), 1)[0]
    assert "generator/feature_matching" in matching and "generator/adversarial" not in matching


def test_one_scale_is_enough() -> None:
    losses = trained(build(discriminator={**PATCHES, "scales": 1}), 2)
    assert all("generator/feature_matching" in one for one in losses)


@pytest.mark.parametrize("encoder", [None, ENCODER])
def test_bfloat16_is_close(encoder: Any) -> None:
    exact, rough = trained(build(encoder=encoder), 2), trained(build(encoder=encoder), 2, "bf16-mixed")
    for name in ("generator/adversarial", "generator/feature_matching", "discriminator/real"):
        assert rough[-1][name] == pytest.approx(exact[-1][name], rel=0.1, abs=0.05)


def test_a_style_is_an_images_own() -> None:
    method = build().eval()
    masks, seeds = batch_of(0).source.labels, torch.arange(6) + 7
    made = method.translate(masks, seeds)
    assert made.shape == (6, 3, 16, 16) and made.abs().max() <= 1
    torch.testing.assert_close(method.translate(masks[2:4], seeds[2:4]), made[2:4], rtol=0, atol=1e-5)
    other = method.translate(masks, seeds + 100)
    assert ((other - made).abs().flatten(1).mean(1) > 1e-3).all()
    plain = method.translate(masks)
    expected = method.average(planes(batch_of(0)), torch.zeros(6, LATENTS))
    torch.testing.assert_close(plain, expected, rtol=0, atol=1e-5)


def test_an_encoder_tells_the_style_of_the_images() -> None:
    """z follows the images, and with it what is made of one and the same map."""
    method = build(encoder=ENCODER).eval()
    batch, other = batch_of(0), batch_of(0)
    other.source.images_NCHW = -other.source.images_NCHW
    drawn = []
    for one in (batch, other):
        seed_all("style")
        drawn.append(method.style(one)[0])
    assert (drawn[0] - drawn[1]).abs().mean() > 1e-3
    mean, log_variance = method.encoder(batch.source.images_NCHW).chunk(2, 1)  # type: ignore[misc]
    seed_all("style")
    torch.testing.assert_close(drawn[0], mean + log_variance.exp().sqrt() * torch.randn(6, LATENTS))


def test_the_guard_reads_the_map() -> None:
    segmenter = {"name": "supervised", "classifier": {"name": "conv_segmenter", "widths": [4, 8]}}
    seed_all("guard")
    guard = components().build("method", segmenter, "guard", [INFO]).eval().requires_grad_(False)
    guard.info = INFO
    method = build(guard, semantic=0.5)
    seed_all("step")
    batch = batch_of(0)
    terms = method.generator_loss(batch)
    logits = guard.predictor()(batch.shared["made"])
    expected = 0.5 * F.cross_entropy(logits, batch.source.labels, label_smoothing=0.1)
    torch.testing.assert_close(terms["semantic"], expected)
    assert method.phases()
    guard.info = tiny_info(3, 16, 4)
    with pytest.raises(ParamsError, match="classes of pixels"):
        method.phases()


def test_samples_are_rows_of_map_made_and_real() -> None:
    rows = build().eval().samples(batch_of(0))
    assert list(rows) == ["map", "made", "real"]
    assert {row.shape for row in rows.values()} == {(6, 3, 16, 16)}


def test_what_does_not_fit_together() -> None:
    with pytest.raises(ParamsError, match="the encoder gives 3 latents and the generator takes 5"):
        build(encoder={**ENCODER, "noise": 3})
    with pytest.raises(ParamsError, match="must be above 0"):
        build(gan=0.0, feature_matching=0.0)
    with pytest.raises(ParamsError, match="conditional: true"):
        build(discriminator={**PATCHES, "conditional": False})
    with pytest.raises(ParamsError, match="semantic"):
        build(semantic=1.0).phases()
