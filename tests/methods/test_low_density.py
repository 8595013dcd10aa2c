"""VADA, DIRT-T and SHOT: their terms against float64, where their gradients go, and that they help."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.data.augmentation import Identity
from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.base import OptimizerOptions
from adaptgan.methods.dirt_t import DIRTT
from adaptgan.methods.shot import SHOT
from adaptgan.methods.supervised import Supervised
from adaptgan.methods.vada import VADA
from adaptgan.networks.instance_norm import InstanceNormalized
from adaptgan.objectives.virtual_adversarial import virtual_adversarial_direction
from adaptgan.plugins import components
from adaptgan.testing import check_method
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all
from tests.methods.points import ADAM, INFO, Domains, Points, accuracy_after, blobs, moons

IMAGES = DataInfo(1, 16, 16, ("a", "b", "c"))
TINY: dict[str, Any] = {
    "classifier": {"name": "conv_classifier", "widths": [4, 4], "hidden": 8, "dropout": 0.0},
    "augmentation": "none",
}
NOISY: dict[str, Any] = {"classifier": {"name": "conv_classifier", "widths": [4, 4], "hidden": 8, "dropout": 0.5}}


def build(name: str, **options: Any) -> Any:
    seed_all("weights")
    return components().build("method", {"name": name, **TINY, **options}, name, [IMAGES]).train()


def batch(step: int = 3, steps: int = 10, n: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(step)
    source, target = (torch.rand(n, 1, 16, 16, generator=generator) * 2 - 1 for _ in range(2))
    seeds = torch.arange(n)
    return Batch(Side(source, torch.arange(n) % 3, seeds), Side(target, None, seeds + 7), step, step / steps)


def engine(method: Any, steps: int = 10, precision: str = "32-true") -> Engine:
    return Engine(make_fabric(torch.device("cpu"), precision), method, steps)


def moved_by(run: Engine, step: int) -> set[str]:
    before = {key: value.clone() for key, value in run.method.named_parameters()}
    run.step([batch(step)])
    return {k.split(".")[0] for k, v in run.method.named_parameters() if not torch.equal(v, before[k])}


@pytest.mark.parametrize(
    "config",
    [
        {"name": "vada", **TINY},
        {"name": "vada", **NOISY, "instance_norm": False, "source_smoothness": 0.0, "batch_norm": "joint"},
        {"name": "dirt_t", **TINY, "vada": 0.5, "interval": 1},
        {"name": "dirt_t", **NOISY, "vada": 0.5, "teacher": "average"},
        {"name": "shot", **TINY},
        {"name": "shot", **NOISY, "weight_norm": False},
    ],
)
def test_keeps_the_loops_promises(config: dict[str, Any]) -> None:
    check_method(config)


def test_vada_terms() -> None:
    method = build("vada", domain=0.3, source_smoothness=0.7, target_smoothness=0.2, epsilon=2.0, instance_norm=False)
    assert isinstance(method, VADA)
    b = batch()
    torch.manual_seed(0)
    losses = {name: value.item() for name, value in method.loss(b).items()}
    x_s, x_t = b.source.images_NCHW, b.real.images_NCHW
    (logits_s, f_s), (logits_t, f_t) = (method.classifier(x, features=True) for x in (x_s, x_t))
    log_p = logits_s.double().log_softmax(1)
    assert losses["task"] == pytest.approx(-log_p[torch.arange(6), b.source.labels].mean().item(), rel=1e-4)
    d_s, d_t = (method.domain_head(f).double().sigmoid() for f in (f_s, f_t))
    exchanged = -0.5 * (1 - d_s).log().mean() - 0.5 * d_t.log().mean()
    assert losses["domain"] == pytest.approx(0.3 * exchanged.item(), rel=1e-4)
    p = logits_t.double().softmax(1)
    assert losses["entropy"] == pytest.approx(-0.2 * (p * p.log()).sum(1).mean().item(), rel=1e-4)
    torch.manual_seed(0)  # the target's direction is drawn first
    for name, x, weight in (("smoothness", x_t, 0.2), ("source_smoothness", x_s, 0.7)):
        clean = method.classifier(x)
        there = x + 2.0 * virtual_adversarial_direction(method.classifier, x, clean)
        p, q = clean.double().softmax(1), method.classifier(there).double().softmax(1)
        assert losses[name] == pytest.approx(weight * (p * (p / q).log()).sum(1).mean().item(), rel=1e-2)


def test_vadas_ramp_scales_what_the_target_teaches() -> None:
    losses = {}
    for ramp in (0.0, 0.6):
        torch.manual_seed(0)
        method, b = build("vada", ramp=ramp), batch(step=3, steps=10)
        torch.manual_seed(0)
        losses[ramp] = {name: value.item() for name, value in method.loss(b).items()}
    for name in losses[0.0]:
        factor = 1 if name in ("task", "source_smoothness") else 0.5
        assert losses[0.6][name] == pytest.approx(factor * losses[0.0][name], rel=1e-5)
    method = build("dirt_t", ramp=0.6, vada=0.5)
    torch.manual_seed(0)
    once = method.refinement_loss(batch(6))["entropy"].item()
    method.ramp = 0.0
    assert method.refinement_loss(batch(6))["entropy"].item() == pytest.approx(once)


def test_vadas_domain_head_learns_the_truth_on_features_that_do_not_learn_from_it() -> None:
    method = build("vada")
    b = batch()
    method.loss(b)
    loss = method.domain_loss(b)["domain"]
    f_s, f_t = (method.classifier(side.images_NCHW, features=True)[1] for side in (b.source, b.real))
    d_s, d_t = (method.domain_head(f).double().sigmoid() for f in (f_s, f_t))
    assert loss.item() == pytest.approx((-0.5 * d_s.log().mean() - 0.5 * (1 - d_t).log().mean()).item(), rel=1e-4)
    loss.backward()
    assert all(p.grad is None for p in method.classifier.parameters())
    assert method.domain_head[0].weight.grad.abs().max() > 0
    right = ((d_s > 0.5).sum() + (d_t < 0.5).sum()).item() / 12
    assert b.measures["domain_accuracy"].item() == pytest.approx(right)


def test_vadas_players_learn_in_turns() -> None:
    run = engine(build("vada", ema=0.5))
    before = {key: value.clone() for key, value in run.method.state_dict().items()}
    assert [phase.trains for phase in run.phases] == [("classifier",), ("domain_head",)]
    assert moved_by(run, 0) == {"classifier", "domain_head", "average"}
    seen = run.step([batch(1)])
    assert {"classifier/largest_class", "domain/domain_accuracy"} <= set(seen)
    assert any(not torch.equal(value, before[key]) for key, value in run.method.state_dict().items())


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_smoothness_moves_no_running_statistics(precision: str) -> None:
    """Through the loop's wrapper and under mixed precision: the search asks for gradients of images there."""
    states = []
    for weight in (0.0, 0.5):
        run = engine(build("vada", source_smoothness=weight, target_smoothness=weight), precision=precision)
        losses = run.step([batch()])
        assert all(torch.isfinite(value) for value in losses.values())
        assert ("classifier/smoothness" in losses) == bool(weight)
        states.append({k: v for k, v in run.method.state_dict().items() if "running" in k and k.startswith("class")})
    assert len(states[0]) == 6
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("config", [{"name": "dirt_t", "interval": 1}, {"name": "shot"}])
def test_trains_in_mixed_precision(config: dict[str, Any]) -> None:
    run = engine(build(**config), precision="bf16-mixed")
    for step in (0, 8, 9):
        assert all(torch.isfinite(value) for value in run.step([batch(step)]).values())


def test_instance_norm_takes_light_and_contrast_away() -> None:
    method = build("vada").eval()
    x = torch.rand(4, 1, 16, 16) * 2 - 1
    assert torch.allclose(method.predict(x), method.predict(0.3 * x + 0.4), atol=1e-3)
    plain = build("vada", instance_norm=False).eval()
    assert not torch.allclose(plain.predict(x), plain.predict(0.3 * x + 0.4), atol=1e-3)
    seen: list[torch.Tensor] = []

    class Look(nn.Module):
        n_features = 1

        def forward(self, x: torch.Tensor, features: bool = False) -> torch.Tensor:
            seen.append(x)
            return x

    colour = np.random.default_rng(0).normal(2, 3, size=(2, 3, 5, 4))
    InstanceNormalized(Look())(torch.tensor(colour))
    mean, deviation = colour.mean((2, 3), keepdims=True), colour.std((2, 3), keepdims=True)
    assert seen[0].numpy() == pytest.approx((colour - mean) / deviation, abs=1e-4)


def test_vada_shows_the_worst_step() -> None:
    method = build("vada").eval()
    with torch.no_grad():
        images = method.samples(batch())
    assert not torch.equal(images["target"], images["worst step"])
    assert images["worst step"].abs().max() <= 1


def test_dirt_t_is_vada_then_the_target_alone() -> None:
    run = engine(build("dirt_t", vada=0.6, interval=2))
    turns = [[phase.name for phase in run.phases if phase.active(step)] for step in range(10)]
    assert turns == [["classifier", "domain"]] * 6 + [["refinement"]] * 4
    assert moved_by(run, 5) == {"classifier", "domain_head", "average", "previous"}
    assert "domain_head" not in moved_by(run, 6)
    b = batch(7)
    b.source.images_NCHW.fill_(torch.nan)  # whoever looks at the source now would say so
    assert all(torch.isfinite(value) for value in run.step([b]).values())


def test_dirt_t_terms() -> None:
    method = build("dirt_t", refinement=0.4, target_smoothness=0.2)
    assert isinstance(method, DIRTT) and method.previous is not None
    with torch.no_grad():
        for parameter in method.previous.parameters():
            parameter += 0.1
    b = batch(8)
    losses = method.refinement_loss(b)
    x = b.real.images_NCHW
    q = method.previous.eval()(x).double().softmax(1)
    p = method.classifier(x).double().softmax(1)
    assert losses["teacher"].item() == pytest.approx(0.4 * (q * (q / p).log()).sum(1).mean().item(), rel=1e-3)
    assert losses["entropy"].item() == pytest.approx(-0.2 * (p * p.log()).sum(1).mean().item(), rel=1e-3)
    sum(losses.values(), torch.zeros(())).backward()
    assert all(p.grad is None for p in (*method.previous.parameters(), *method.domain_head.parameters()))
    assert method.classifier.network.stages[0].weight.grad.abs().max() > 0


def test_dirt_ts_teacher_is_the_average_of_the_interval_before() -> None:
    run = engine(build("dirt_t", vada=0.5, interval=2, ema=0.5))

    def weight(child: str) -> torch.Tensor:
        state = run.method.state_dict()
        prefix = {"average": "average.network.", "previous": "previous."}[child]
        return state[prefix + "network.head.weight"].clone()

    for step in range(5):
        run.step([batch(step)])
        assert torch.equal(weight("previous"), weight("average"))
    given = weight("average")
    run.step([batch(5)])
    assert torch.equal(weight("previous"), given) and not torch.equal(weight("average"), given)
    run.step([batch(6)])
    assert torch.equal(weight("previous"), weight("average")) and not torch.equal(weight("previous"), given)
    average = build("dirt_t", teacher="average")
    assert average.previous is None
    x = batch().real.images_NCHW
    assert torch.equal(average.teach(x), average.average.network.eval()(x))


def test_shot_keeps_its_head_in_the_second_part() -> None:
    run = engine(build("shot", source=0.5))
    assert moved_by(run, 4) == {"encoder", "head"}
    head = {key: value.clone() for key, value in run.method.head.state_dict().items()}
    for step in range(5, 8):
        b = batch(step)
        b.source.images_NCHW.fill_(torch.nan)  # no source image is looked at
        run.method.zero_grad(set_to_none=True)
        run.step([b])
        assert all(parameter.grad is None for parameter in run.method.head.parameters())
    assert all(torch.equal(value, head[key]) for key, value in run.method.head.state_dict().items())
    assert moved_by(run, 8) == {"encoder"}


def test_shots_first_part_is_smoothed_cross_entropy() -> None:
    method = build("shot", label_smoothing=0.3)
    b = batch()
    log_p = method.predictor()(b.source.images_NCHW).double().log_softmax(1)
    wanted = 0.7 * F.one_hot(b.source.labels, 3) + 0.1
    expected = -(wanted * log_p).sum(1).mean()
    assert method.source_loss(b)["task"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_shot_terms_and_centroids() -> None:
    """The running sums against NumPy over two batches, both rounds."""
    method = build("shot", momentum=0.8, pseudo_labels=0.3, diversity=2.0)
    assert isinstance(method, SHOT)
    soft, hard = np.zeros((3, 8)), np.zeros((3, 8))
    for step in (6, 7):
        b = batch(step, n=24)
        method.encoder.eval()
        logits, features = method.predictor()(b.real.images_NCHW, features=True)
        method.encoder.train()
        p, f = logits.detach().double().softmax(1).numpy(), features.detach().double().numpy()
        f = f / np.linalg.norm(f, axis=1, keepdims=True)
        soft = 0.8 * soft + p.T @ f
        first = (f @ (soft / np.linalg.norm(soft, axis=1, keepdims=True)).T).argmax(1)
        hard = 0.8 * hard
        for image, label in zip(f, first, strict=True):
            hard[label] += image
        length = np.linalg.norm(hard, axis=1, keepdims=True)
        cosine = np.where(length.T > 0, f @ (hard / np.maximum(length, 1e-12)).T, -np.inf)
        second = cosine.argmax(1)
        losses = method.target_loss(b)
        assert method.soft_KF.numpy() == pytest.approx(soft, rel=1e-3, abs=1e-5)
        assert method.hard_KF.numpy() == pytest.approx(hard, rel=1e-3, abs=1e-5)
        method.encoder.train()
        log_q = method.predictor()(b.real.images_NCHW).detach().double().log_softmax(1).numpy()
        q, mean = np.exp(log_q), np.exp(log_q).mean(0)
        assert losses["entropy"].item() == pytest.approx(-(q * log_q).sum(1).mean(), rel=1e-3)
        assert losses["diversity"].item() == pytest.approx(2 * (mean * np.log(mean)).sum(), rel=1e-3)
        assert losses["pseudo_labels"].item() == pytest.approx(-0.3 * log_q[np.arange(24), second].mean(), rel=1e-3)
    assert len(set(second)) > 1


def test_shot_never_labels_a_class_that_no_image_was_near() -> None:
    unit = F.normalize(torch.tensor([[-1.0, 0.2], [-1.0, -0.1]]), dim=1)
    sums = torch.tensor([[1.0, 0.0], [0.0, 0.0]])  # cosines with class 0 are negative
    assert SHOT._nearest(unit, sums).tolist() == [0, 0]


def test_shot_needs_a_last_layer_to_keep() -> None:
    with pytest.raises(ParamsError, match="no layer called `head`"):
        SHOT(IMAGES, nn.Flatten(), Identity())
    two_layers = Points()
    two_layers.head = nn.Sequential(nn.Linear(32, 4), nn.Linear(4, 2))
    with pytest.raises(ParamsError, match="weight_norm: false"):
        SHOT(INFO, two_layers, Identity())


SLOW = OptimizerOptions("adam", lr=1e-3)


@pytest.mark.parametrize(
    ("name", "domains", "steps"), [("vada", moons, 200), ("dirt_t", moons, 200), ("shot", blobs, 200)]
)
def test_it_moves_the_boundary_to_where_the_target_is_not(name: str, domains: Domains, steps: int) -> None:
    cluster: dict[str, Any] = {
        "domain": 0.1,
        "source_smoothness": 1.0,
        "target_smoothness": 0.3,
        "epsilon": 0.3,
        "instance_norm": False,
        "ema": 0.9,
        "optimizer": ADAM,
    }
    refine: dict[str, Any] = {"interval": 20, "refinement": 0.1, "refinement_optimizer": ADAM}
    seed_all("weights")
    baseline = accuracy_after(Supervised(INFO, Points(), Identity(), optimizer=ADAM), domains, 150)
    seed_all("weights")
    method = {
        "vada": lambda: VADA(Points(), Identity(), **cluster),
        "dirt_t": lambda: DIRTT(Points(), Identity(), **cluster, **refine),
        "shot": lambda: SHOT(INFO, Points(), Identity(), optimizer=ADAM, target_optimizer=SLOW),
    }[name]()
    adapted = accuracy_after(method, domains, steps)
    assert baseline < 0.9
    assert adapted > 0.97
