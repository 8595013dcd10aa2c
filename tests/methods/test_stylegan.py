"""StyleGAN and StyleGAN2 as methods: their turns, corrected optimizers, truncation, mixing, the average, ADA."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.plugins import components
from adaptgan.testing import tiny_batch, tiny_info
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

INFO = tiny_info(size=16)
STYLES: dict[str, Any] = {"noise": 8, "styles": 12, "mapping_layers": 2, "channels": 6}
BOTH = pytest.mark.parametrize("name", ["stylegan", "stylegan2"])


def build(name: str, info: DataInfo = INFO, conditional: bool = False, **options: Any) -> Any:
    seed_all(0)
    kind = "projection" if conditional else "none"
    networks = {
        "generator": {"name": f"{name}_generator", **STYLES, "conditional": conditional},
        "discriminator": {"name": f"{name}_discriminator", "channels": 6, "conditional": kind},
    }
    method = components().build("method", {"name": name, **networks, **options}, name, [info])
    method.info = info
    return method


def engine(method: Any, steps: int = 20) -> Engine:
    return Engine(make_fabric(torch.device("cpu"), "32-true"), method.train(), steps)


def batch(step: int = 0) -> Batch:
    return tiny_batch(INFO, 8, step=step, steps=20)


def test_stylegans_losses_by_hand() -> None:
    method, b = build("stylegan"), batch()
    torch.manual_seed(3)
    losses = method.discriminator_loss(b)
    with torch.no_grad():
        torch.manual_seed(3)
        method.noise(b.source.images_NCHW)
        fake, real = b.shared["fake"], b.source.images_NCHW
        assert losses["real"].item() == pytest.approx(F.softplus(-method.discriminator(real)).mean().item(), rel=1e-5)
        generated = F.softplus(method.discriminator(fake)).mean().item()
        assert losses["generated"].item() == pytest.approx(generated, rel=1e-5)
        adversarial = F.softplus(-method.discriminator(fake)).mean().item()
    x = real.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(method.discriminator(x).sum(), x)
    assert losses["r1"].item() == pytest.approx(5 * gradient.square().sum((1, 2, 3)).mean().item(), rel=1e-4)
    assert method.generator_loss(b)["adversarial"].item() == pytest.approx(adversarial, rel=1e-5)


def test_stylegan2s_turns_and_the_correction_of_both_adams() -> None:
    method = build("stylegan2")
    phases = {phase.name: phase for phase in method.phases()}
    assert list(phases) == ["discriminator", "r1", "generator", "path_length"]
    assert {name: phase.every for name, phase in phases.items()} == {
        "discriminator": 1,
        "r1": 16,
        "generator": 1,
        "path_length": 4,
    }
    for names, every in ((("discriminator", "r1"), 16), (("generator", "path_length"), 4)):
        share = every / (every + 1)
        for name in names:
            options = phases[name].optimizer
            assert options.lr == pytest.approx(2e-3 * share)
            assert options.betas == pytest.approx((0.0, 0.99**share))
    run = engine(method)
    assert len(run.optimizers) == 2  # a lazy turn steps its player's own Adam
    seen = [{name.split("/")[0] for name in run.step([batch(step)])} for step in range(17)]
    assert [step for step in range(17) if "path_length" in seen[step]] == [0, 4, 8, 12, 16]
    assert [step for step in range(17) if "r1" in seen[step]] == [0, 16]


def test_lazy_penalties_count_as_often_as_they_are_left_out() -> None:
    method, b = build("stylegan2"), batch()
    phases = {phase.name: phase for phase in method.phases()}
    x = b.source.images_NCHW.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(method.discriminator(x).sum(), x)
    expected = 16 * 5 * gradient.square().sum((1, 2, 3)).mean().item()
    assert phases["r1"].loss(b)["r1"].item() == pytest.approx(expected, rel=1e-4)
    torch.manual_seed(0)
    lazy = phases["path_length"].loss(b)["path_length"].item()
    always = build("stylegan2", generator_penalties=[{"name": "path_length", "every": 1}])
    assert [phase.name for phase in always.phases()] == ["discriminator", "r1", "generator"]
    always.fake(b)
    torch.manual_seed(0)
    penalty = always.generator_penalties[0].terms(always.generator, x, x)["path_length"].item()
    assert lazy == pytest.approx(4 * penalty, rel=1e-4) and penalty > 0
    assert set(always.generator_loss(b)) == {"adversarial", "path_length"}


def test_what_may_be_compiled() -> None:
    """Lazy penalties run a network by themselves, and uncompiled; those of each step are part of a compiled turn."""
    assert build("stylegan2").eager == ()
    assert build("stylegan2", penalties=["r1"]).eager == build("stylegan").eager == ("discriminator",)


def test_the_path_length_is_no_penalty_of_a_discriminator() -> None:
    with pytest.raises(ParamsError, match="generator_penalties"):
        build("stylegan2", penalties=["path_length"])


@BOTH
def test_both_players_see_mixed_styles(name: str) -> None:
    method, b = build(name, mixing=0.25), batch()
    seen = []
    method.generator.register_forward_hook(lambda m, args, kwargs, out: seen.append(kwargs), with_kwargs=True)
    method.discriminator_loss(b)
    method.generator_loss(b)
    assert seen == [{"mixing": 0.25}]  # one draw for both


@BOTH
def test_truncation_pulls_styles_and_leaves_latents_alone(name: str) -> None:
    method = build(name)
    run = engine(method)
    for step in range(3):
        run.step([batch(step)])
    method.eval()
    draw = torch.Generator().manual_seed
    z = method.latents(6, draw(0))
    assert torch.equal(z, method.latents(6, draw(0), 0.1))
    labels = torch.zeros(6, dtype=torch.int64)
    with torch.no_grad():
        plain, mean = method.sample(labels, draw(0)), method.sample(labels, draw(0), 0.0)
        assert torch.allclose(mean, mean[:1].expand_as(mean), atol=1e-6)
        assert torch.allclose(mean, method.sample(labels, draw(1), 0.0), atol=1e-6)
        assert torch.equal(plain, method.average(z)) and torch.equal(plain, method.generate(z, truncation=1.0))
        method.truncation = 0.5
        assert torch.equal(method.generate(z), method.generate(z, truncation=0.5))
        assert not torch.allclose(method.generate(z), plain)
    z.requires_grad_()
    (gradient,) = torch.autograd.grad(method.generate(z).sum(), z)
    assert gradient.abs().max() > 0


def test_the_half_life_of_stylegan2s_average() -> None:
    """Of batch · 10/32 thousand images, but no more than a twentieth of those seen."""
    half_life = 64 * 10 / 32 * 1000
    assert abs(0.5 ** (64 / half_life) - 0.9978) < 1e-4
    method = build("stylegan2")
    decays = {}
    for step in (0, 10, 100, 6400, 100000):
        method.follow(batch(step))
        decays[step] = method.average.decay
    assert decays[100] == pytest.approx(math.exp(-math.log(2) / 5))  # five steps are a twentieth of a hundred
    assert decays[0] < decays[10] < decays[100] < decays[6400] == decays[100000] == 0.9978
    plain = build("stylegan2", ema_rampup=0.0, ema=0.99)
    plain.follow(batch(1))
    assert plain.average.decay == 0.99


def test_ada_hears_of_each_of_ds_turns() -> None:
    method = build("stylegan2", augmentation={"name": "ada", "interval": 2, "kimg": 0.1, "target": -1.0, "start": 0.2})
    run = engine(method)
    seen = [run.step([batch(step)])["discriminator/augmentation"].item() for step in range(4)]
    rise = 8 * 2 / 100
    assert seen == pytest.approx([0.2, 0.2 + rise, 0.2 + rise, 0.2 + 2 * rise])


def test_a_conditional_one_makes_other_images_of_other_classes() -> None:
    method = build("stylegan2", conditional=True)
    engine(method).step([batch()])
    method.eval()
    z = method.latents(1, torch.Generator().manual_seed(0)).expand(3, -1)
    with torch.no_grad():
        images = method.generate(z, torch.arange(3))
        assert (images[0] - images[1]).abs().max() > 1e-4
        # Each class is pulled towards a mean of its own.
        means = method.generate(method.latents(3, torch.Generator().manual_seed(1)), torch.tensor([0, 1, 1]), 0.0)
    assert torch.allclose(means[1], means[2], atol=1e-6) and not torch.allclose(means[0], means[1], atol=1e-6)


@BOTH
def test_a_generator_without_styles_is_named(name: str) -> None:
    seed_all(0)
    config = {"name": name, "generator": {"name": "dcgan_generator", "channels": 4, "noise": 4}}
    with pytest.raises(ParamsError, match="DCGANGenerator has none"):
        components().build("method", config, name, [INFO])
