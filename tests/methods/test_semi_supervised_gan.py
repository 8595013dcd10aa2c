"""The K+1 classes with K logits, against an explicit softmax over K+1; who learns from what."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import ClassifierMethod, Guard, Predictor, Sampler
from adaptgan.methods.semi_supervised_gan import SemiSupervisedGAN, feature_distance, unlabelled_terms
from adaptgan.plugins import components
from adaptgan.testing import check_method
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all

INFO = DataInfo(1, 8, 8, ("a", "b", "c"))
TINY = {
    "classifier": {"name": "mlp_classifier", "widths": [12, 7]},
    "generator": {"name": "mlp_generator", "widths": [9], "noise": 5},
}


def build(**options: Any) -> SemiSupervisedGAN:
    seed_all("weights")
    config = {"name": "semi_supervised_gan", **TINY, **options}
    method = components().build("method", config, "method", [INFO, Guard()])
    assert isinstance(method, SemiSupervisedGAN)
    return method


def side(n: int, number: int, labels: bool) -> Side:
    generator = torch.Generator().manual_seed(number)
    images = torch.rand(n, 1, 8, 8, generator=generator, dtype=torch.float64) * 2 - 1
    return Side(images, torch.arange(n) % 3 if labels else None, torch.arange(n))


def batch(step: int = 0, labelled: bool = False) -> Batch:
    """Another number of labelled than of unlabelled images, so that one cannot be taken for the other."""
    extra = side(4, 3 * step + 2, True) if labelled else None
    return Batch(side(5, 3 * step, True), side(8, 3 * step + 1, False), step, step / 10, labelled=extra)


def k_plus_1(logits_NK: torch.Tensor) -> torch.Tensor:
    """The paper's probabilities, (N, K+1): softmax with l_{K+1} = 0."""
    zeros = logits_NK.new_zeros(len(logits_NK), 1)
    return torch.cat([logits_NK, zeros], 1).softmax(1)


def test_terms_are_those_of_a_softmax_over_k_plus_1_classes() -> None:
    torch.manual_seed(0)
    real, fake = (3 * torch.randn(20, 4, dtype=torch.float64) for _ in range(2))
    a, b = unlabelled_terms(real, fake)
    assert a.item() == pytest.approx(-0.5 * (1 - k_plus_1(real)[:, -1]).log().mean().item(), rel=1e-12)
    assert b.item() == pytest.approx(-0.5 * k_plus_1(fake)[:, -1].log().mean().item(), rel=1e-12)


def test_terms_stay_finite_where_the_softmax_would_not() -> None:
    real, fake = torch.full((2, 3), -800.0), torch.full((2, 3), 800.0)
    a, b = unlabelled_terms(real, fake)
    assert a.item() == pytest.approx(400, rel=0.01) and b.item() == pytest.approx(400, rel=0.01)


def test_gradients_of_the_terms_by_finite_differences() -> None:
    torch.manual_seed(0)
    real, fake = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(unlabelled_terms, (real, fake))
    assert torch.autograd.gradcheck(feature_distance, (real, fake))


def test_the_classifiers_losses_are_the_papers() -> None:
    method = build(unlabelled=0.7).double().eval()  # no noise in eval mode
    b = batch()
    torch.manual_seed(3)
    losses = method.classifier_loss(b)
    torch.manual_seed(3)
    noise = torch.rand(8, 5)
    assert 0 <= noise.min() < noise.max() < 1
    fake = k_plus_1(method.classifier(method.generator(noise.double())))
    p, q = k_plus_1(method.classifier(b.source.images_NCHW)), k_plus_1(method.classifier(b.real.images_NCHW))
    given_real = p[torch.arange(5), b.source.labels] / (1 - p[:, -1])
    assert losses["task"].item() == pytest.approx(-given_real.log().mean().item(), rel=1e-9)
    assert losses["real"].item() == pytest.approx(-0.35 * (1 - q[:, -1]).log().mean().item(), rel=1e-9)
    assert losses["generated"].item() == pytest.approx(-0.35 * fake[:, -1].log().mean().item(), rel=1e-9)
    assert set(losses) == {"task", "real", "generated"}
    assert b.measures["largest_class"].item() == pytest.approx(q[:, :-1].argmax(1).bincount().max().item() / 8)


def test_labelled_images_beside_a_source_have_a_term_of_their_own() -> None:
    method = build().double().eval()
    b = batch(labelled=True)
    assert b.labelled is not None
    logits = method.classifier(b.labelled.images_NCHW)
    got = method.classifier_loss(b)["labelled"]
    assert got.item() == pytest.approx(F.cross_entropy(logits, b.labelled.labels).item(), rel=1e-9)


def test_the_generators_loss_is_the_distance_of_mean_features() -> None:
    method = build().double().eval()
    b = batch()
    torch.manual_seed(3)
    loss = method.generator_loss(b)["feature_matching"]
    torch.manual_seed(3)
    _, fake = method.classifier(method.generator(torch.rand(8, 5).double()), features=True)
    _, real = method.classifier(b.real.images_NCHW, features=True)
    expected = sum((real[:, i].sum() / 8 - fake[:, i].sum() / 8) ** 2 for i in range(7))
    assert loss.item() == pytest.approx(torch.as_tensor(expected).item(), rel=1e-9)


@pytest.mark.parametrize(
    ("player", "name"),
    [("classifier", "hidden.0.direction"), ("classifier", "head.scale"), ("generator", "head.direction")],
)
def test_gradients_of_the_whole_losses_by_finite_differences(player: str, name: str) -> None:
    method = build().double().eval()
    weight = getattr(method, player).get_parameter(name)
    loss_of: Callable[[Batch], dict[str, torch.Tensor]] = getattr(method, f"{player}_loss")

    def loss() -> torch.Tensor:
        torch.manual_seed(3)
        return torch.stack(list(loss_of(batch()).values())).sum()

    (gradient,) = torch.autograd.grad(loss(), [weight])
    flat, slope = weight.data.view(-1), gradient.view(-1)
    for i in slope.abs().topk(3).indices:
        kept = flat[i].item()
        values = []
        for change in (1e-5, -1e-5):
            flat[i] = kept + change
            values.append(loss().item())
        flat[i] = kept
        assert slope[i].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4)


def test_feature_matching_teaches_the_generator_alone() -> None:
    method = build().double()
    engine = Engine(make_fabric(torch.device("cpu"), "64-true"), method.train(), 10)
    phase = next(phase for phase in engine.phases if phase.name == "generator")
    with engine._turn(phase):
        phase.loss(batch())["feature_matching"].backward()
    assert all(p.grad is None for p in method.classifier.parameters())
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in method.generator.parameters())


def test_each_player_moves_in_its_own_turn_and_the_average_with_the_classifier() -> None:
    method = build(ema=0.5).double()
    engine = Engine(make_fabric(torch.device("cpu"), "64-true"), method.train(), 10)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    assert [phase.name for phase in engine.phases] == ["classifier", "generator"]
    engine.step([batch()])
    moved = {name.split(".")[0] for name, value in method.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"classifier", "generator", "average"}
    assert [type(o).__name__ for o in engine.optimizers] == ["FabricAdam"] * 2
    assert all(
        o.param_groups[0]["lr"] == 3e-3 and o.param_groups[0]["betas"] == (0.5, 0.999) for o in engine.optimizers
    )


def test_prediction_is_the_averages_and_shows_no_noise() -> None:
    method = build()
    x = side(6, 1, False).images_NCHW.float()
    method.train()
    assert not torch.equal(method.classifier(x), method.classifier(x))
    method.eval()
    assert torch.equal(method.predict(x), method.predict(x))
    assert torch.equal(method.predict(x), method.average(x).softmax(1))
    assert not torch.equal(method.predict(x), method.classifier(x).softmax(1))  # its first training batch moved it


def test_samples_are_generated_and_real_and_the_same_each_time() -> None:
    method = build().double().eval()
    first, second = method.samples(batch(0)), method.samples(batch(1))
    assert set(first) == {"generated", "real"}
    assert torch.equal(first["generated"], second["generated"]) and not torch.equal(first["real"], second["real"])


def test_it_is_a_predictor_and_no_sampler_of_classes() -> None:
    method = build()
    assert isinstance(method, ClassifierMethod) and isinstance(method, Predictor) and not isinstance(method, Sampler)
    assert method.needs_target and method.takes_labelled and method.tasks == ("classification",)


def test_target_labels_change_nothing() -> None:
    losses = []
    for labels in (None, torch.zeros(8, dtype=torch.int64)):
        method = build().double().eval()
        b = batch()
        b.real.labels_N = labels
        torch.manual_seed(3)
        losses.append({key: value.item() for key, value in method.classifier_loss(b).items()})
    assert losses[0] == losses[1]


def test_three_labels_a_moon_are_enough_where_they_are_not_for_labels_alone() -> None:
    torch.manual_seed(0)
    info = DataInfo(1, 1, 2, ("upper", "lower"))
    truth = torch.arange(2).repeat_interleave(100)
    angle = math.pi * torch.rand(200)
    sign = torch.where(truth == 0, 1, -1)
    moons = 0.55 * sign[:, None] * torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1)
    u = (moons + 0.04 * torch.randn(200, 2)).view(-1, 1, 1, 2)
    few = torch.stack(  # at both ends and in the middle
        [(angle - share * math.pi + 9 * (truth != k)).abs().argmin() for k in (0, 1) for share in (0.2, 0.5, 0.8)]
    )
    network = {"name": "mlp_classifier", "widths": [64, 64], "input_noise": 0.02, "hidden_noise": 0.1}
    made = {"name": "mlp_generator", "widths": [64], "noise": 5}
    supervised = {"name": "supervised", "augmentation": "none", "label_smoothing": 0.0, "ema": 0.9}
    gan = {"name": "semi_supervised_gan", "generator": made, "ema": 0.9}
    accuracy = {}
    for config in (supervised, gan):
        seed_all("weights")
        method = components().build("method", {**config, "classifier": network}, "method", [info, Guard()])
        engine = Engine(make_fabric(torch.device("cpu"), "32-true"), method.train(), 400)
        for step in range(400):
            seed_all(step)
            engine.step([Batch(Side(u[few], truth[few], few), Side(u, None, truth), step, step / 400)])
        accuracy[config["name"]] = (method.eval().predict(u).argmax(1) == truth).float().mean().item()
    assert accuracy["semi_supervised_gan"] > max(0.95, accuracy["supervised"] + 0.03), accuracy


def test_it_keeps_the_loops_promises() -> None:
    """Among them: the start from data survives a kill and a resumption bit for bit."""
    tiny = {**TINY, "ema": 0.5}
    check_method({"name": "semi_supervised_gan", **tiny})
