"""SNGAN, AC-GAN, the projection discriminator and BigGAN: their terms by hand, who learns when, what samples are."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.plugins import components
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

INFO = DataInfo(1, 16, 16, ("a", "b", "c"))
N = 6
TINY = {"channels": 4, "widest": 2}
UP = {"name": "resnet_generator", "noise": 5, **TINY}
DOWN = {"name": "resnet_discriminator", **TINY}
CONFIGS: dict[str, dict[str, Any]] = {
    "sngan": {"generator": UP, "discriminator": DOWN},
    "acgan": {"generator": UP | {"conditional": True}, "discriminator": DOWN},
    "projection_gan": {"generator": UP | {"conditional": True}, "discriminator": DOWN | {"conditional": "projection"}},
    "biggan": {
        "generator": {"name": "biggan_generator", "noise": 7, "embedding": 6, **TINY},
        "discriminator": {"name": "biggan_discriminator", **TINY},
    },
}


def build(name: str, info: DataInfo = INFO, **options: Any) -> Any:
    seed_all(0, "weights")
    method = components().build("method", {"name": name, **CONFIGS[name], **options}, name, [info]).train()
    method.info = info
    return method


def batch(step: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(step)
    images = torch.rand(N, 1, 16, 16, generator=generator) * 2 - 1
    return Batch(Side(images, torch.arange(N) % 3, torch.arange(N) + 100 * step), None, step, 0.0)


def settled(method: Any) -> Any:
    """Spectral norms at rest, so that two forwards give the same; G still normalizes by the batch."""
    for _ in range(20):
        method.discriminator(torch.zeros(2, 1, 16, 16), torch.zeros(2, dtype=torch.int64))
    method.discriminator.eval()
    if hasattr(method, "head"):
        torch.manual_seed(2)
        nn.init.normal_(method.head.weight)
    return method


def with_fakes(method: Any) -> tuple[Batch, torch.Tensor]:
    b = batch()
    torch.manual_seed(1)
    return b, method.fake(b)


@pytest.mark.parametrize("name", ["sngan", "projection_gan", "biggan"])
def test_hinge_terms_by_hand(name: str) -> None:
    method = settled(build(name))
    b, fake = with_fakes(method)
    labels = () if name == "sngan" else (b.source.labels,)
    real_N, fake_N = method.discriminator(b.source.images_NCHW, *labels), method.discriminator(fake, *labels)
    d, g = method.discriminator_loss(b), method.generator_loss(b)
    assert d["real"].item() == pytest.approx((1 - real_N).clamp(min=0).mean().item(), rel=1e-4)
    assert d["generated"].item() == pytest.approx((1 + fake_N).clamp(min=0).mean().item(), rel=1e-4)
    assert g["adversarial"].item() == pytest.approx(-fake_N.mean().item(), rel=1e-4)
    assert set(g) == {"adversarial"} | ({"orthogonal"} if name == "biggan" else set())


def test_acgan_terms_by_hand() -> None:
    """L_S + L_C for D, L_C - L_S for G (Odena 2017, eq. 2 and 3), in their own words."""
    method = settled(build("acgan", class_weight=1.0))
    b, fake = with_fakes(method)
    y = b.source.labels
    (real_N, real_NF), (fake_N, fake_NF) = (
        method.discriminator(x, features=True) for x in (b.source.images_NCHW, fake)
    )
    classes = [(phi @ method.head.weight.T + method.head.bias).softmax(1) for phi in (real_NF, fake_NF)]
    l_s = real_N.sigmoid().log().mean() + (1 - fake_N.sigmoid()).log().mean()
    real_c, fake_c = (p[torch.arange(N), y].log().mean() for p in classes)
    d, g = method.discriminator_loss(b), method.generator_loss(b)
    assert sum(d.values()).item() == pytest.approx(-(l_s + real_c + fake_c).item(), rel=1e-4)
    fake_s = (1 - fake_N.sigmoid()).log().mean()  # what of L_S depends on G
    assert sum(g.values()).item() == pytest.approx(-(fake_c - fake_s).item(), rel=1e-4)


def test_acgan_class_weight() -> None:
    terms = []
    for weight in (1.0, 0.25):
        method = settled(build("acgan", class_weight=weight))
        b, _ = with_fakes(method)
        terms.append(method.generator_loss(b))
    assert terms[1]["class"].item() == pytest.approx(0.25 * terms[0]["class"].item(), rel=1e-4)
    assert terms[1]["adversarial"].item() == pytest.approx(terms[0]["adversarial"].item(), rel=1e-4)


def test_acgan_reads_both_logits_from_one_forward() -> None:
    method = build("acgan")
    b, _ = with_fakes(method)
    calls: list[int] = []
    method.discriminator.register_forward_hook(lambda _, args, __: calls.append(len(args[0])))
    method.discriminator_loss(b)
    assert calls == [2 * N]
    method.generator_loss(b)
    assert calls == [2 * N, N]
    by_batch = build("acgan", discriminator={"name": "dcgan_discriminator", "channels": 4})
    calls.clear()
    by_batch.discriminator.register_forward_hook(lambda _, args, __: calls.append(len(args[0])))
    by_batch.discriminator_loss(batch())
    assert calls == [N, N]


def test_acgan_the_head_learns_with_the_discriminator_only() -> None:
    method = build("acgan", penalties=[{"name": "r1", "every": 2}])
    run = Engine(make_fabric(torch.device("cpu"), "32-true"), method, 4)
    moved: dict[str, set[str]] = {}
    for phase in list(run.phases):
        run.phases = [phase]
        before = {key: value.clone() for key, value in method.named_parameters()}
        run.step([batch(0)])
        moved[phase.name] = {k.split(".")[0] for k, v in method.named_parameters() if not torch.equal(v, before[k])}
    assert moved.pop("discriminator") == {"discriminator", "head"}
    assert moved.pop("generator") == {"generator", "average"}
    assert len(moved) == 1 and "generator" not in next(iter(moved.values()))  # the lazy penalty's turn
    assert len(run.optimizers) == 2


def test_biggan_orthogonal_term_by_hand() -> None:
    """β Σ ‖WᵀW ⊙ (1 − I)‖²_F over all weights of G that are matrices or kernels, the shared embedding left out."""
    method = settled(build("biggan", orthogonal=0.3))
    with torch.no_grad():
        for parameter in method.generator.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    expected, seen = 0.0, 0
    for name, parameter in method.generator.named_parameters():
        if parameter.ndim > 1 and name != "embedding.weight":
            rows = parameter.detach().double().flatten(1)
            for i in range(len(rows)):
                for j in range(len(rows)):
                    expected += float(rows[i] @ rows[j]) ** 2 if i != j else 0.0
            seen += 1
    term = method.generator_loss(batch())["orthogonal"]
    assert seen == 20 and term.item() == pytest.approx(0.3 * expected, rel=1e-3)
    term.backward()
    assert method.generator.embedding.weight.grad is None


def test_truncated_samples() -> None:
    """z of a normal distribution between −t and t; no other change."""
    method = build("biggan").eval()
    z = method.latents(4000, torch.Generator().manual_seed(0), 0.5)
    density = math.exp(-0.125) / math.sqrt(2 * math.pi)
    variance = 1 - 2 * 0.5 * density / math.erf(0.5 / math.sqrt(2))
    assert z.shape == (4000, 7) and z.abs().max() <= 0.5
    assert z.var().item() == pytest.approx(variance, rel=0.03) and z.mean().abs() < 0.01
    y = torch.arange(N) % 3
    images = method.sample(y, torch.Generator().manual_seed(3), 0.5)
    z = method.latents(N, torch.Generator().manual_seed(3), 0.5)
    assert torch.equal(images, method.average(z, y))
    assert method.sample(y, torch.Generator().manual_seed(3), 1e-3)[::3].std(0).max() < 0.05
    with pytest.raises(ParamsError, match="truncation"):
        method.sample(y, torch.Generator(), 0.0)


@pytest.mark.parametrize("name", ["sngan", "projection_gan", "biggan"])
def test_the_averaged_generator_is_sane_when_evaluated(name: str) -> None:
    """Averaged weights, averaged running statistics and averaged u: images as with statistics of the batch itself."""
    fast = {"name": "adam", "lr": 1e-3, "betas": [0.0, 0.9]}
    method = build(name, repeats=1, ema=0.9, optimizer=fast, generator_optimizer=fast)
    run = Engine(make_fabric(torch.device("cpu"), "32-true"), method, 60)
    for step in range(60):
        run.step([batch(step)])
    network = method.average.network.eval()
    z = torch.randn(200, network.n_noise)
    labels = (torch.arange(200) % 3,) if method.conditional else ()
    with torch.no_grad():
        running, by_batch = network(z, *labels), network.train()(z, *labels)
    assert running.std().item() == pytest.approx(by_batch.std().item(), rel=0.2)
    assert (running - by_batch).square().mean() < 0.2 * by_batch.var()
    for layer in network.eval().modules():
        if hasattr(layer, "parametrizations"):
            largest = torch.linalg.svdvals(layer.weight.flatten(1))[0]
            assert largest.item() == pytest.approx(1, abs=0.1)


def test_discriminator_turns() -> None:
    for name, repeats in {"sngan": 5, "acgan": 1, "projection_gan": 5, "biggan": 2}.items():
        play, *_, generate = build(name).phases()
        assert (play.repeats, generate.repeats) == (repeats, 1)
    play, generate = build("biggan").phases()
    assert (play.optimizer.lr, generate.optimizer.lr, play.optimizer.betas) == (2e-4, 5e-5, (0.0, 0.999))


@pytest.mark.parametrize("name", CONFIGS)
def test_mixed_precision(name: str) -> None:
    method = build(name)
    run = Engine(make_fabric(torch.device("cpu"), "bf16-mixed"), method, 2)
    number = max(phase.repeats for phase in run.phases)
    for step in range(2):
        seen = run.step([batch(10 * step + turn) for turn in range(number)])
        assert all(torch.isfinite(value) for value in seen.values())
    assert all(parameter.dtype == torch.float32 for parameter in method.parameters())
    assert method.eval().sample(torch.arange(3), torch.Generator().manual_seed(0)).dtype == torch.float32


def test_networks_that_do_not_fit_are_named() -> None:
    with pytest.raises(ParamsError, match=r"projection_gan.generator: it must be conditional"):
        build("projection_gan", generator=UP)
    with pytest.raises(ParamsError, match=r"projection_gan.discriminator: it must take the class by projection"):
        build("projection_gan", discriminator=DOWN)
    with pytest.raises(ParamsError, match=r"biggan.discriminator: it must take the class"):
        build("biggan", discriminator={"name": "dcgan_discriminator", "channels": 4})
    with pytest.raises(ParamsError, match=r"acgan.generator: it must be conditional"):
        build("acgan", generator=UP)
    with pytest.raises(ParamsError, match="needs classes"):
        build("biggan", DataInfo(1, 16, 16))


def test_unlabelled_images_suffice_where_nothing_is_conditional() -> None:
    method = build("sngan", DataInfo(1, 16, 16))
    b = batch()
    b.source.labels_N = None
    assert not method.needs_labels and method.discriminator_loss(b)["real"].item() >= 0
    assert all(build(name).needs_labels for name in ("acgan", "projection_gan", "biggan"))
