"""The methods' mathematics, against independent computations."""

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
from adaptgan.methods.base import Guard, Method, Phase
from adaptgan.methods.dann import DANN
from adaptgan.methods.self_ensembling import SelfEnsembling
from adaptgan.methods.simgan import SimGAN
from adaptgan.methods.supervised import Supervised
from adaptgan.plugins import components
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

INFO = DataInfo(1, 16, 16, ("a", "b", "c"))
TINY = {"name": "conv_classifier", "widths": [4, 4], "hidden": 8, "dropout": 0.0}
SIMGAN = {
    "refiner": {"name": "simgan_refiner", "channels": 4, "blocks": 1},
    "discriminator": {"name": "patch_discriminator", "layers": "strided", "channels": 4, "depth": 2},
    "pretrain_refiner": 2,
    "pretrain_discriminator": 2,
    "history": 16,
}


def build(name: str, guard: Guard | None = None, **options: Any) -> Method:
    seed_all("weights")
    method: Method = components().build("method", {"name": name, **options}, name, [INFO, guard or Guard()])
    return method


def batch(step: int = 0, progress: float = 0.5, n: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(step)
    source = torch.rand(n, 1, 16, 16, generator=generator) * 2 - 1
    target = torch.rand(n, 1, 16, 16, generator=generator) * 2 - 1
    labels = torch.arange(n) % 3
    seeds = torch.arange(n) + 100 * step
    return Batch(Side(source, labels, seeds), Side(target, None, seeds + 7), step, progress)


def engine(method: Method, steps: int = 20) -> Engine:
    fabric = make_fabric(torch.device("cpu"), "32-true")
    return Engine(fabric, method.train(), steps)


def test_supervised_loss_is_cross_entropy() -> None:
    method = build("supervised", classifier=TINY, augmentation="none", label_smoothing=0.0)
    assert isinstance(method, Supervised)
    b = batch()
    logits = method.classifier(b.source.images_NCHW).double()
    expected = -(logits - logits.logsumexp(1, keepdim=True))[torch.arange(6), b.source.labels_N].mean()
    assert method.loss(b)["task"].item() == pytest.approx(expected.item(), abs=1e-5)


def test_supervised_learns_and_predicts_with_the_average() -> None:
    method = build("supervised", classifier=TINY, augmentation="none")
    run = engine(method, 60)
    b = batch()
    for step in range(60):
        run.step([Batch(b.source, None, step, step / 60)])
    method.eval()
    assert isinstance(method, Supervised)
    assert (method.predict(b.source.images_NCHW).argmax(1) == b.source.labels_N).all()
    assert torch.allclose(method.predict(b.source.images_NCHW).sum(1), torch.ones(6), atol=1e-5)
    assert method.score(b.source) == {"source_accuracy": 1.0}


def test_dann_reverses_into_the_encoder_and_not_into_the_head() -> None:
    """On the real network and through the whole loss: domain gradient = −λ × the one without reversal."""
    gradients = {}
    for strength in (0.0, 0.5):
        method = build("dann", classifier=TINY, augmentation="none", domain_hidden=8, strength=strength)
        assert isinstance(method, DANN)
        method.train()
        loss = method.loss(batch(progress=1.0))["domain"]
        wanted = [method.classifier.stages[0].weight, method.domain_head[0].weight]
        gradients[strength] = torch.autograd.grad(loss, wanted)
    method = build("dann", classifier=TINY, augmentation="none", domain_hidden=8)
    assert isinstance(method, DANN)
    method.train()
    b = batch()
    _, f_s = method.classifier(b.source.images_NCHW, features=True)
    _, f_t = method.classifier(b.real.images_NCHW, features=True)
    logits = method.domain_head(torch.cat([f_s, f_t]))
    plain_loss = (F.softplus(-logits[:6]).sum() + F.softplus(logits[6:]).sum()) / 12
    plain = torch.autograd.grad(plain_loss, [method.classifier.stages[0].weight, method.domain_head[0].weight])
    factor = 0.5 * (2 / (1 + math.exp(-10)) - 1)
    assert gradients[0.0][0].abs().max() == 0 and plain[0].abs().max() > 0
    assert torch.allclose(gradients[0.5][0], -factor * plain[0], rtol=1e-4, atol=1e-7)
    for strength in (0.0, 0.5):
        assert torch.allclose(gradients[strength][1], plain[1], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("mode", ["joint", "separate"])
def test_batch_norm_modes(mode: str) -> None:
    """Joint statistics are those of both domains; separate ones follow the target alone."""
    method = build("dann", classifier=TINY, augmentation="none", batch_norm=mode)
    assert isinstance(method, DANN)
    method.train()
    b = batch()
    b.source.images_NCHW += 2  # far apart
    method.loss(b)
    first = method.classifier.stages
    x = torch.cat([b.source.images_NCHW, b.real.images_NCHW]) if mode == "joint" else b.real.images_NCHW
    expected = 0.1 * first[0](x).mean((0, 2, 3))
    assert torch.allclose(first[1].running_mean, expected, atol=1e-5)


def test_self_ensembling_terms() -> None:
    method = build(
        "self_ensembling",
        classifier=TINY,
        augmentation="none",
        weak_augmentation="none",
        threshold=0.3,
        consistency=2.0,
        information=0.5,
        batch_norm="separate",
    )
    assert isinstance(method, SelfEnsembling)
    method.train()
    b = batch(progress=0.9)
    losses = method.loss(b)
    teacher = method.teacher.network.eval()
    q = teacher(b.real.images_NCHW).double().softmax(1)
    method.classifier.train()
    logits = method.classifier(b.real.images_NCHW).double()
    p = logits.softmax(1)
    sure = q.amax(1) > 0.3
    expected = 2 * (-p.log()[torch.arange(6), q.argmax(1)] * sure).mean()
    mean = p.mean(0)
    information = -(mean * mean.log()).sum() + (p * p.log()).sum(1).mean()
    assert losses["consistency"].item() == pytest.approx(expected.item(), rel=1e-3)
    assert losses["information"].item() == pytest.approx(-0.5 * information.item(), rel=1e-3, abs=1e-6)


def test_self_ensembling_warms_up_on_labels_alone() -> None:
    method = build("self_ensembling", classifier=TINY, augmentation="none", weak_augmentation="none")
    assert isinstance(method, SelfEnsembling)
    assert set(method.loss(batch(progress=0.05))) == {"task"}
    assert method.weight(0.13) == 0 and method.weight(0.23) == pytest.approx(0.5) and method.weight(0.9) == 1


def test_no_method_ever_sees_target_labels() -> None:
    """The target's side of a batch has none to see; with wrong ones put there by force, nothing changes."""
    for name in ("dann", "self_ensembling"):
        losses = []
        for labels in (None, torch.zeros(6, dtype=torch.int64)):
            method = build(name, classifier=TINY, augmentation="none")
            b = batch(progress=0.9)
            assert b.target is not None
            b.target.labels_N = labels
            losses.append({key: value.item() for key, value in method.phases()[0].loss(b).items()})
        assert losses[0] == losses[1]


def test_simgan_terms_are_the_papers() -> None:
    method = build("simgan", **SIMGAN, self_regularization=0.3)
    assert isinstance(method, SimGAN)
    b = batch()
    x = b.source.images_NCHW
    losses = method.refiner_loss(b)
    refined = method.refiner(x)
    d = 1 / (1 + (-method.discriminator(refined).double()).exp())
    assert losses["adversarial"].item() == pytest.approx(-d.log().sum((1, 2)).mean().item(), rel=1e-4)
    expected = 0.3 * (refined - x).abs().sum((1, 2, 3)).mean()
    assert losses["self_regularization"].item() == pytest.approx(expected.item(), rel=1e-4)
    method.reduction = "mean"
    assert method.refiner_loss(b)["self_regularization"].item() == pytest.approx(expected.item() / 256, rel=1e-4)


def test_simgan_batch_size_does_not_change_the_balance() -> None:
    method = build("simgan", **SIMGAN)
    assert isinstance(method, SimGAN)
    small, large = batch(n=3), batch(n=3)
    large.source.images_NCHW = large.source.images_NCHW.repeat(4, 1, 1, 1)
    a, b = method.refiner_loss(small), method.refiner_loss(large)
    for name in a:
        assert a[name].item() == pytest.approx(b[name].item(), rel=1e-5)


def test_simgan_discriminator_sees_real_as_one_and_half_history() -> None:
    method = build("simgan", **SIMGAN)
    assert isinstance(method, SimGAN) and method.history is not None
    for step in range(4):
        method.discriminator_loss(batch(step))
    assert method.history.filled == 12
    method.history = None
    b = batch(9)
    losses = method.discriminator_loss(b)
    real = method.discriminator(b.real.images_NCHW)
    fake = method.discriminator(method.refiner(b.source.images_NCHW))
    assert losses["real"].item() == pytest.approx(F.softplus(-real).sum((1, 2)).mean().item(), rel=1e-4)
    assert losses["refined"].item() == pytest.approx(F.softplus(fake).sum((1, 2)).mean().item(), rel=1e-4)


def test_simgan_phases_follow_algorithm_one() -> None:
    method = build("simgan", **SIMGAN, refiner_repeats=3)
    turns = [[p.name for p in method.phases() if p.active(step)] for step in range(6)]
    assert turns == [
        *[["pretrain_refiner"]] * 2,
        *[["pretrain_discriminator"]] * 2,
        *[["refiner", "discriminator"]] * 2,
    ]
    assert {p.name: p.repeats for p in method.phases()}["refiner"] == 3


def test_simgan_players_learn_in_their_own_turns_only() -> None:
    method = build("simgan", **SIMGAN)
    run = engine(method)

    def moved(step: int) -> set[str]:
        before = {k: v.clone() for k, v in method.state_dict().items()}
        run.step([batch(step)] * 2)
        return {k.split(".")[0] for k, v in method.state_dict().items() if not torch.equal(v, before[k])}

    assert moved(0) == {"refiner", "average"}
    assert moved(2) == {"discriminator", "history"}
    assert moved(5) == {"refiner", "average", "discriminator", "history"}


def test_simgan_jitters_once_for_all_and_by_the_records_own_seed() -> None:
    plain = build("simgan", **SIMGAN)
    method = build("simgan", **SIMGAN, jitter={"name": "warp", "elastic": 1.0})
    assert isinstance(method, SimGAN) and method.moves_pixels and not plain.moves_pixels
    b = batch()
    x = b.source.images_NCHW
    jittered = method.jitter(x, b.source.seeds_N)
    assert not torch.equal(jittered, x)
    losses = method.refiner_loss(b)
    expected = method.distance(method.refiner(jittered), jittered) * method.self_regularization
    assert losses["self_regularization"].item() == pytest.approx(expected.item(), rel=1e-5)
    method.eval()
    whole = method.translate(x, b.source.seeds_N)
    assert torch.allclose(method.translate(x[2:3], b.source.seeds_N[2:3]), whole[2:3], atol=1e-5)
    assert torch.equal(method.translate(x), method.average(x))


def test_warm_up_raises_the_rate_from_a_fifth_and_clip_bounds_the_step() -> None:
    quick = {"name": "sgd", "lr": 1.0, "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"}
    method = build("supervised", classifier=TINY, augmentation="none", optimizer={**quick, "warmup": 10, "clip": 0.01})
    run = engine(method, 20)
    b = batch()
    for step, rate in ((0, 0.2), (5, 0.6), (10, 1.0), (15, 1.0)):
        before = [p.detach().clone() for p in method.classifier.parameters()]
        run.step([Batch(b.source, None, step, step / 20)])
        assert run.optimizers[0].param_groups[0]["lr"] == pytest.approx(rate)
        moved = sum((p - q).square().sum() for p, q in zip(method.classifier.parameters(), before, strict=True)).sqrt()
        assert moved.item() == pytest.approx(0.01 * rate, rel=0.02)  # the gradient is larger than the clip


def test_simgan_semantic_term_needs_a_guard_and_uses_it() -> None:
    with pytest.raises(ParamsError, match="--guard DIR"):
        build("simgan", **SIMGAN, semantic=1.0).phases()
    guard = build("supervised", classifier=TINY).eval().requires_grad_(False)
    method = build("simgan", Guard(guard), **SIMGAN, semantic=0.7)
    assert isinstance(method, SimGAN) and isinstance(guard, Supervised)
    assert not any("guard" in name for name in method.state_dict())
    b = batch()
    got = method.refiner_loss(b)["semantic"]
    logits = guard.average(method.refiner(b.source.images_NCHW))
    expected = 0.7 * F.cross_entropy(logits, b.source.labels_N, label_smoothing=0.1)
    assert got.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("psi", "change", "size"),
    [
        ("gradients", torch.full((1, 1, 16, 16), 0.25), 0.25 * 32),  # a constant shift moves only the padded edge
        ("blocks", torch.tensor([[0.5, -0.5], [-0.5, 0.5]]).repeat(8, 8)[None, None], 0.0),
        ("pixels", torch.full((1, 1, 16, 16), 0.25), 64.0),
    ],
)
def test_simgan_psi(psi: str, change: torch.Tensor, size: float) -> None:
    method = build("simgan", **SIMGAN, psi=psi)
    assert isinstance(method, SimGAN)
    x = torch.zeros(1, 1, 16, 16)
    assert method.distance(x + change, x).item() == pytest.approx(size, abs=1e-4)


def test_a_phase_that_trains_a_stranger_is_refused() -> None:
    class Odd(Supervised):
        def phases(self) -> list[Phase]:
            return [Phase("x", ("nobody",), self.loss, self.optimizer)]

    method = Odd(INFO, nn.Identity(), nn.Identity())
    with pytest.raises(ValueError, match="no child of Odd"):
        engine(method)


def test_engine_state_round_trip_continues_bit_equal() -> None:
    first = build("simgan", **SIMGAN)
    run = engine(first)
    for step in range(6):
        seed_all(step)
        run.step([batch(step)] * 2)
    saved = copy.deepcopy(run.state_dict())
    second = build("simgan", **SIMGAN)
    resumed = engine(second)
    resumed.load_state_dict(saved)
    for step in range(6, 10):
        for one in (run, resumed):
            seed_all(step)
            one.step([batch(step)] * 2)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_a_checkpoint_of_other_networks_is_refused() -> None:
    run = engine(build("simgan", **SIMGAN))
    other = engine(build("supervised", classifier=TINY))
    with pytest.raises(RuntimeError, match="entries differ"):
        other.load_state_dict(run.state_dict())
