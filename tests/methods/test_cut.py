"""CUT is the paper's: a textbook loop over layers and places, identity on real images, FastCUT without it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from adaptgan.data.batch import Batch
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Guard
from adaptgan.methods.cut import CUT
from adaptgan.plugins import components
from adaptgan.testing import tiny_batch, tiny_info
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

INFO = tiny_info()
STEPS = 4
CPU = torch.device("cpu")
MAKES: dict[str, Any] = {"name": "resnet_translator", "channels": 4, "blocks": 1}
STEADY = {**MAKES, "norm": "none"}
"""Instance norm multiplies the rounding of maps that are nearly constant by up to 300, in every layer and step."""
EVERY = 10**6
"""Patches: all places, so that the order in which they are drawn changes nothing."""


def build(**options: Any) -> CUT:
    seed_all("weights")
    config = {
        "name": "cut",
        "generator": MAKES,
        "discriminator": {"name": "patchgan_discriminator", "channels": 4, "depth": 2},
        "features": 8,
        **options,
    }
    method: CUT = components().build("method", config, "cut", [INFO, Guard()])
    method.info = INFO
    return method


def batch_of(step: int) -> Batch:
    return tiny_batch(INFO, 3, step=step, steps=STEPS)


def trained(method: CUT, precision: str = "32-true") -> list[dict[str, float]]:
    engine = Engine(make_fabric(CPU, precision), method.train(), STEPS)
    found = []
    for step in range(STEPS):
        seed_all("step", step)
        found.append({name: value.item() for name, value in engine.step([batch_of(step)]).items()})
    return found


def textbook_nce(g: Any, heads: Any, before: torch.Tensor, after: torch.Tensor, temperature: float) -> torch.Tensor:
    """Equation 4 with means for sums: a loop over layers and images, the encoder run on each image anew."""
    with torch.no_grad():
        keys = g(before, decode=False)
    terms = []
    for head, queries_NChw, keys_NChw in zip(heads.heads, g(after, decode=False), keys, strict=True):
        for q_Chw, k_Chw in zip(queries_NChw, keys_NChw, strict=True):
            q = F.normalize(head(q_Chw.flatten(1).T))
            with torch.no_grad():
                k = F.normalize(head(k_Chw.flatten(1).T))
            logits = q @ k.T / temperature
            terms.append((logits.logsumexp(1) - logits.diag()).mean())
    return torch.stack(terms).mean()


@pytest.mark.parametrize("identity", [0.8, 0.0])
def test_its_steps_are_those_of_a_textbook_loop(identity: float) -> None:
    """Park's training loop: D on detached translations, then G and the heads; least squares, D's halved."""
    quick = {"lr": 2e-3, "schedule": "constant"}
    weights = {"contrast": 1.5, "identity": identity, "temperature": 0.1}
    method = build(generator=STEADY, optimizer=quick, generator_optimizer=quick, patches=EVERY, **weights)
    g, d, heads = (copy.deepcopy(m) for m in (method.generator, method.discriminator, method.heads))
    d_optimizer = torch.optim.Adam(d.parameters(), lr=2e-3, betas=(0.5, 0.999))
    g_optimizer = torch.optim.Adam([*g.parameters(), *heads.parameters()], lr=2e-3, betas=(0.5, 0.999))
    expected = []
    for step in range(STEPS):
        x, y = batch_of(step).source.images_NCHW, batch_of(step).real.images_NCHW
        made = g(x)
        real, false = (d(y) - 1).square().mean() / 2, d(made.detach()).square().mean() / 2
        d_optimizer.zero_grad()
        (real + false).backward()
        d_optimizer.step()
        fooled = (d(made) - 1).square().mean()
        contrast = 1.5 * textbook_nce(g, heads, x, made, 0.1)
        same = identity * textbook_nce(g, heads, y, g(y), 0.1) if identity else torch.zeros(())
        g_optimizer.zero_grad()
        (fooled + contrast + same).backward()
        g_optimizer.step()
        expected.append([real.item(), false.item(), fooled.item(), contrast.item(), same.item()])
    names = ["discriminator/real", "discriminator/translated", "generator/adversarial", "generator/contrast"]
    losses = trained(method)
    ours = [[step[name] for name in names] + [step.get("generator/identity", 0.0)] for step in losses]
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(expected), rtol=1e-4, atol=1e-4)
    assert expected[0][3] - expected[-1][3] > 0.05, "nothing was learned: the comparison says nothing"


def test_without_identity_only_the_source_is_translated() -> None:
    """FastCUT's half of the work."""
    method, sizes = build(identity=0.0, contrast=10.0), []
    method.generator.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    losses = method.generator_loss(batch_of(0))
    assert sizes == [3, 3]
    assert losses.keys() == {"adversarial", "contrast"}


def test_no_gradient_goes_through_the_keys() -> None:
    method = build()
    made = method.made(batch_of(0))
    queries, keys = method.compared(made)
    assert all(query.requires_grad for query in queries)
    assert not any(key.requires_grad for key in keys)
    assert made.images_NCHW.requires_grad


def test_an_image_that_stays_is_found_at_once() -> None:
    """With queries that are the keys the loss is near its least; with another image's it is not below chance."""
    method = build(temperature=0.07)
    x = batch_of(0).source.images_NCHW
    maps = method.generator(x, decode=False)
    places = [torch.arange(min(64, m.shape[2] * m.shape[3])) for m in maps]
    keys = method.heads(maps, places)
    same, other = method.nce(keys, keys), method.nce([k.roll(1, 0) for k in keys], keys)
    assert same < other


def test_it_trains_in_bfloat16() -> None:
    losses = trained(build(), "bf16-mixed")
    assert all(torch.tensor(list(step.values())).isfinite().all() for step in losses)


def test_a_generator_without_maps_is_refused() -> None:
    with pytest.raises(ParamsError, match="Take resnet_translator"):
        build(generator={"name": "unet_translator", "channels": 4})


def test_the_semantic_term_needs_a_guard_before_the_first_step() -> None:
    with pytest.raises(ParamsError, match="--guard"):
        build(semantic=1.0).phases()
