"""CDAN, MMD and Deep CORAL: their terms, and who learns from them; what all five alignment methods keep."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.data.augmentation import Identity
from adaptgan.data.batch import Side
from adaptgan.datainfo import DataInfo
from adaptgan.methods.cdan import MultilinearMap
from adaptgan.methods.deep_coral import DeepCORAL
from adaptgan.methods.mmd import MMD
from adaptgan.objectives.discrepancy import DSN_BANDWIDTHS, mmd2
from adaptgan.testing import check_method
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from tests.methods.alignment import INFO, TINY, N, batch, build, outputs


@pytest.mark.parametrize(
    "config",
    [
        {"name": "cdan", "batch_norm": "joint"},
        {"name": "cdan", "limit": 8, "random_width": 32, "class_gradient": "all"},
        {"name": "mmd"},
        {"name": "mmd", "kernels": "dsn", "estimator": "biased", "layers": ["logits"]},
        {"name": "deep_coral"},
        {"name": "deep_coral", "layer": "features", "batch_norm": "joint"},
        {"name": "adda", "source": 0.34},  # killed one step after the switch
        {"name": "adda", "domain_input": "logits"},  # killed at the switch
        {"name": "mcd", "repeats": 2},
        {"name": "mcd", "repeats": 1, "batch_norm": "joint", "head_hidden": 8},
    ],
    ids=str,
)
def test_conforms(config: dict[str, Any]) -> None:
    small = {"domain_hidden": 8} if config["name"] in ("cdan", "adda") else {}
    network = {**TINY, "dropout": 0.3}
    check_method(
        {**config, **small, "classifier": network}, steps=6, info=dataclasses.replace(INFO, classes=("a", "b"))
    )


# CDAN


@pytest.mark.parametrize("entropy_conditioning", [True, False])
def test_cdan_domain_loss_by_hand(entropy_conditioning: bool) -> None:
    method = build("cdan", domain_hidden=8, entropy_conditioning=entropy_conditioning)
    b = batch()
    loss = method.loss(b)["domain"].item()
    logits_s, f_s, logits_t, f_t = (x.detach().double().numpy() for x in outputs(method, b))
    expected = 0.0
    for logits, features, is_source in ((logits_s, f_s, True), (logits_t, f_t, False)):
        g = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        joint = np.stack([np.outer(g[i], features[i]).ravel() for i in range(N)])
        with torch.no_grad():
            d = method.domain_head(torch.from_numpy(joint).float()).sigmoid().double().numpy()
        w = 1 + np.exp((g * np.log(g)).sum(1)) if entropy_conditioning else np.ones(N)
        expected += 0.5 * float((w * -np.log(d if is_source else 1 - d)).sum() / w.sum())
    assert loss == pytest.approx(expected, rel=1e-4)


def test_cdan_reverses_into_the_encoder_exactly_and_leaves_the_head_alone() -> None:
    strength = 0.7
    method = build("cdan", domain_hidden=8, strength=strength, class_gradient="none")
    b = batch(progress=0.3)
    wanted = [method.classifier.stages[0].weight, method.domain_head[0].weight]
    encoder, head = torch.autograd.grad(method.loss(b)["domain"], wanted)
    logits_s, f_s, logits_t, f_t = outputs(method, b)
    halves = []
    for logits, features, sign in ((logits_s, f_s, -1), (logits_t, f_t, 1)):
        g = logits.softmax(1).detach()
        w = 1 + (g * g.log()).sum(1).exp()
        domain = method.domain_head((g[:, :, None] * features[:, None]).flatten(1))
        halves.append((w * F.softplus(sign * domain)).sum() / w.sum())
    plain_encoder, plain_head = torch.autograd.grad((halves[0] + halves[1]) / 2, wanted)
    λ = strength * (2 / (1 + math.exp(-3)) - 1)
    assert plain_encoder.abs().max() > 1e-6
    assert torch.allclose(encoder, -λ * plain_encoder, rtol=1e-3, atol=1e-7)
    assert torch.allclose(head, plain_head, rtol=1e-4, atol=1e-7)


def test_cdan_class_gradient_reaches_the_last_layer_only_where_asked() -> None:
    gradients = {}
    for where in ("none", "weights", "all"):
        method = build("cdan", domain_hidden=8, class_gradient=where)
        loss = method.loss(batch())["domain"]
        (gradients[where],) = torch.autograd.grad(loss, method.classifier.head.weight, allow_unused=True)
    assert gradients["none"] is None
    assert gradients["weights"].abs().max() > 0 and gradients["all"].abs().max() > 0
    assert not torch.allclose(gradients["weights"], gradients["all"])
    without = build("cdan", domain_hidden=8, class_gradient="weights", entropy_conditioning=False)
    loss = without.loss(batch())["domain"]
    assert torch.autograd.grad(loss, without.classifier.head.weight, allow_unused=True)[0] is None


def test_randomized_multilinear_map_keeps_inner_products_on_average() -> None:
    """E ⟨T(f, g), T(f', g')⟩ = ⟨f, f'⟩ ⟨g, g'⟩ (2018, theorem 1)."""
    torch.manual_seed(0)
    wide = MultilinearMap(5, 3, limit=14, random_width=100_000)
    full = MultilinearMap(5, 3, limit=15)
    assert wide.randomized and not full.randomized and full.width == 15
    assert not list(full.buffers()) and len(list(wide.buffers())) == 2
    f, g = torch.randn(4, 5), torch.randn(4, 3).softmax(1)
    expected = (f @ f.T) * (g @ g.T)
    assert torch.allclose(full(f, g) @ full(f, g).T, expected, atol=1e-5)
    assert torch.allclose(wide(f, g) @ wide(f, g).T, expected, atol=0.1)
    assert wide(f, g).shape == (4, 100_000)


# MMD and CORAL


def test_mmd_terms_by_hand() -> None:
    method = build("mmd", weight=0.5, kernels="dsn", estimator="unbiased")
    b = batch()
    losses = method.loss(b)
    logits_s, f_s, logits_t, f_t = (x.detach().double().numpy() for x in outputs(method, b))
    sigmas = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 5, 10, 15, 20, 25, 30, 35, 100, 1e3, 1e4, 1e5, 1e6]

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        squared = ((x[:, None] - y[None]) ** 2).sum(2)
        return np.mean([np.exp(-squared / (2 * sigma)) for sigma in sigmas], 0)

    for layer, s, t in (("features", f_s, f_t), ("logits", logits_s, logits_t)):
        within = [(kernel(x, x).sum() - N) / (N * (N - 1)) for x in (s, t)]
        expected = 0.5 * (sum(within) - 2 * kernel(s, t).mean())
        assert losses[f"{layer}_mmd"].item() == pytest.approx(expected, abs=1e-5)
    assert set(losses) == {"task", "features_mmd", "logits_mmd"}
    assert set(build("mmd", layers=["logits"]).loss(b)) == {"task", "logits_mmd"}


def test_mmd_ramp_is_danns() -> None:
    constant, ramp = (build("mmd", estimator="biased", ramp=r).loss(batch(progress=0.2)) for r in (False, True))
    λ = 2 / (1 + math.exp(-2)) - 1
    assert ramp["features_mmd"].item() == pytest.approx(λ * constant["features_mmd"].item(), rel=1e-5)
    assert ramp["task"].item() == constant["task"].item()


@pytest.mark.parametrize("layer", ["features", "logits"])
def test_deep_coral_term_by_hand(layer: str) -> None:
    method = build("deep_coral", weight=3.0, layer=layer)
    b = batch()
    term = method.loss(b)["coral"].item()
    logits_s, f_s, logits_t, f_t = (x.detach().double().numpy() for x in outputs(method, b))
    s, t = (f_s, f_t) if layer == "features" else (logits_s, logits_t)
    expected = 3 * ((np.cov(s.T) - np.cov(t.T)) ** 2).sum() / (4 * s.shape[1] ** 2)
    assert term == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("name", "term"), [("mmd", "features_mmd"), ("deep_coral", "coral")])
def test_discrepancies_move_the_encoder_by_both_domains(name: str, term: str) -> None:
    method = build(name, **({"layers": ["features"]} if name == "mmd" else {"layer": "features"}))
    b = batch()
    b.source.images_NCHW.requires_grad_()
    b.real.images_NCHW.requires_grad_()
    weight = method.classifier.stages[0].weight
    wanted = [weight, b.source.images_NCHW, b.real.images_NCHW, method.classifier.head.weight]
    *reached, head = torch.autograd.grad(method.loss(b)[term], wanted, allow_unused=True)
    assert all(gradient.abs().max() > 0 for gradient in reached) and head is None


class Pixels(nn.Module):
    """A segmentation network: (N, C, H, W) -> (N, K, H, W)."""

    def __init__(self, info: DataInfo) -> None:
        super().__init__()
        self.head = nn.Conv2d(info.channels, info.n_outputs, 3, padding=1)
        self.n_features = info.height * info.width

    def forward(self, images: torch.Tensor, features: bool = False) -> Any:
        return (self.head(images), images.flatten(1)) if features else self.head(images)


def test_a_segmentations_logits_are_compared_by_pixel_or_by_mean() -> None:
    info = dataclasses.replace(INFO, task="segmentation")
    torch.manual_seed(0)
    network = Pixels(info)
    b = batch()
    b.source.labels_N = torch.randint(3, (N, 16, 16))
    s, t = (network(x).detach().double() for x in (b.source.images_NCHW, b.real.images_NCHW))
    rows = [np.stack([x[:, k].flatten().numpy() for k in range(3)]) for x in (s, t)]
    expected = ((np.cov(rows[0]) - np.cov(rows[1])) ** 2).sum() / 36
    assert DeepCORAL(info, network, Identity()).loss(b)["coral"].item() == pytest.approx(expected, rel=1e-4)
    got = MMD(info, network, Identity(), estimator="biased", kernels="dsn").loss(b)["logits_mmd"]
    means = [x.mean((2, 3)) for x in (s, t)]
    assert got.item() == pytest.approx(mmd2(*means, DSN_BANDWIDTHS, "biased").item(), rel=1e-4)


@pytest.mark.parametrize("name", ["mmd", "deep_coral", "adda"])
def test_a_regression_is_standardized_and_learned(name: str) -> None:
    info = dataclasses.replace(
        INFO, classes=(), task="regression", values=("u", "v"), scales=((10.0, 2.0), (-1.0, 0.5))
    )
    method = build(name, info)
    b = batch()
    b.source.labels_N = torch.tensor([10.0, -1.0]) + torch.randn(N, 2)
    losses = method.source_loss(b) if name == "adda" else method.loss(b)
    values = method.classifier(b.source.images_NCHW).detach()
    standard = (b.source.labels_N - torch.tensor([10.0, -1.0])) / torch.tensor([2.0, 0.5])
    assert losses["task"].item() == pytest.approx((values - standard).square().mean().item(), rel=1e-4)
    assert "regression" in method.tasks and method.predict(b.real.images_NCHW).shape == (N, 2)
    assert "largest_class" not in b.measures


@pytest.mark.parametrize("name", ["cdan", "mmd", "deep_coral"])
def test_a_few_labelled_target_images_count_too(name: str) -> None:
    method = build(name)
    b = batch()
    assert "labelled" not in method.loss(b) and method.takes_labelled
    b.labelled = Side(b.real.images_NCHW[:3], torch.tensor([2, 1, 0]), torch.arange(3))
    term = method.loss(b)["labelled"]
    logits = method.classifier(b.labelled.images_NCHW).double()
    expected = (logits.logsumexp(1) - logits[torch.arange(3), torch.tensor([2, 1, 0])]).mean()
    assert term.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("name", ["cdan", "mmd", "deep_coral", "adda", "mcd"])
def test_what_the_alarms_read_is_measured(name: str) -> None:
    method = build(name)
    b = batch()
    seen: set[str] = set()
    for phase in method.phases():
        phase.loss(b)
        seen |= set(b.measures)
        assert 1 / 3 <= b.measures.get("largest_class", torch.tensor(1.0)) <= 1
        assert 0 <= b.measures.get("domain_accuracy", torch.tensor(0.0)) <= 1
    assert seen == {"largest_class"} | ({"domain_accuracy"} if name in ("cdan", "adda") else set())


@pytest.mark.parametrize("name", ["cdan", "mmd", "deep_coral", "adda", "mcd"])
def test_a_step_in_bfloat16_is_close_to_one_in_float32(name: str) -> None:
    seen = {}
    for precision in ("32-true", "bf16-mixed"):
        method = build(name, **({"domain_hidden": 8} if name in ("cdan", "adda") else {}))
        run = Engine(make_fabric(torch.device("cpu"), precision), method, 4)
        batches = [batch(number) for number in range(4)]
        seen[precision] = {
            **run.step(batches),
            **run.step([dataclasses.replace(b, step=3, shared={}) for b in batches]),
        }
    assert seen["32-true"].keys() == seen["bf16-mixed"].keys()
    for key, value in seen["32-true"].items():
        if "largest_class" not in key and "accuracy" not in key:
            assert seen["bf16-mixed"][key].item() == pytest.approx(value.item(), rel=0.15, abs=0.05), key
