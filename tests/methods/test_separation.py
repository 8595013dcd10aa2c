"""Domain separation: its terms against NumPy, where its gradients go, and that it helps."""

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
from adaptgan.methods.dsn import DSN
from adaptgan.methods.supervised import Supervised
from adaptgan.networks.separation import PrivateEncoder, SharedDecoder
from adaptgan.objectives.separation import simse, soft_orthogonality
from adaptgan.plugins import components
from adaptgan.testing import check_method
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all
from tests.methods.points import ADAM, INFO, Points, accuracy_after, decoder, private_encoder, tell_tale

IMAGES = DataInfo(1, 16, 16, ("a", "b", "c"))
TINY: dict[str, Any] = {
    "classifier": {"name": "conv_classifier", "widths": [4, 4], "hidden": 8, "dropout": 0.0},
    "augmentation": "none",
    "source_private": {"name": "private_encoder", "widths": [4], "hidden": 8},
    "target_private": {"name": "private_encoder", "widths": [4], "hidden": 8},
    "decoder": {"name": "shared_decoder", "channels": 4, "hidden": 8},
    "domain_hidden": 6,
}


def build(info: DataInfo = IMAGES, **options: Any) -> DSN:
    seed_all("weights")
    method = components().build("method", {"name": "dsn", **TINY, **options}, "dsn", [info])
    assert isinstance(method, DSN)
    return method.train()


def batch(progress: float = 0.5, n: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(1)
    source, target = (torch.rand(n, 1, 16, 16, generator=generator) * 2 - 1 for _ in range(2))
    seeds = torch.arange(n)
    return Batch(Side(source, torch.arange(n) % 3, seeds), Side(target, None, seeds + 7), 3, progress)


def parts(method: DSN, b: Batch) -> dict[str, np.ndarray]:
    """Shared and private features and reconstructions, in float64."""
    found: dict[str, torch.Tensor] = {}
    for domain, side, private in (("s", b.source, method.source_private), ("t", b.real, method.target_private)):
        x = side.images_NCHW
        _, c = method.classifier(x, features=True)
        p = private(x)
        found |= {f"x_{domain}": x, f"c_{domain}": c, f"p_{domain}": p, f"r_{domain}": method.decoder(c + p)}
    return {name: value.detach().double().numpy() for name, value in found.items()}


@pytest.mark.parametrize("options", [{}, {"similarity": "mmd", "start": 0.5, "batch_norm": "joint"}])
def test_keeps_the_loops_promises(options: dict[str, Any]) -> None:
    check_method({"name": "dsn", **TINY, **options})


def test_learns_regressions_too() -> None:
    info = DataInfo(1, 16, 16, task="regression", values=("slant", "width"), scales=((1.0, 2.0), (0.0, 1.0)))
    method = build(info)
    b = batch()
    b.source.labels_N = torch.randn(6, 2)
    outputs = method.classifier(b.source.images_NCHW).double()
    standardized = (b.source.labels_N.double() - torch.tensor([1.0, 0.0])) / torch.tensor([2.0, 1.0])
    expected = (outputs - standardized).square().mean()
    assert method.loss(b)["task"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert "similarity" in method.loss(b) and "regression" in DSN.tasks


def test_simse_is_the_variance_of_the_error() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 5, 3, 4, 6))
    found = simse(torch.tensor(x), torch.tensor(y))
    assert found.numpy() == pytest.approx((x - y).reshape(5, -1).var(1))
    assert simse(torch.tensor(x), torch.tensor(x) + 0.3).abs().max() < 1e-12


def test_soft_orthogonality() -> None:
    generator = np.random.default_rng(0)
    h, p = generator.normal(size=(7, 4)) + 3, generator.normal(size=(7, 5)) * 9
    found = soft_orthogonality(torch.tensor(h), torch.tensor(p)).item()
    h, p = h - h.mean(0), p - p.mean(0)
    h, p = h / np.linalg.norm(h, axis=1, keepdims=True), p / np.linalg.norm(p, axis=1, keepdims=True)
    expected = sum(np.dot(h[:, i], p[:, j]) ** 2 for i in range(4) for j in range(5))
    assert found == pytest.approx(expected)
    same = torch.ones(4, 3, requires_grad=True)  # a batch whose features are all alike, as dead units give
    soft_orthogonality(same, torch.rand(4, 3)).backward()
    assert same.grad is not None and torch.isfinite(same.grad).all()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_terms(reduction: str) -> None:
    method = build(reconstruction=0.02, difference=0.3, similarity_weight=0.5, difference_reduction=reduction)
    b = batch()
    losses = {name: value.item() for name, value in method.loss(b).items()}
    found = parts(method, b)
    errors = [(found[f"x_{d}"] - found[f"r_{d}"]).reshape(6, -1).var(1).mean() for d in "st"]
    assert losses["reconstruction"] == pytest.approx(0.02 * sum(errors), rel=1e-4)
    difference = 0.0
    for d in "st":
        unit = [m / np.linalg.norm(m, axis=1, keepdims=True) for m in (f - f.mean(0) for f in _two(found, d))]
        difference += ((unit[0].T @ unit[1]) ** 2).sum()
    assert losses["difference"] == pytest.approx(0.3 * difference / (64 if reduction == "mean" else 1), rel=1e-3)
    assert method.domain_head is not None
    logits = [method.domain_head(torch.tensor(found[f"c_{d}"]).float()).double() for d in "st"]
    domain = torch.cat([-logits[0].sigmoid().log(), -(1 - logits[1].sigmoid()).log()]).mean()
    assert losses["similarity"] == pytest.approx(0.5 * domain.item(), rel=1e-4)
    assert 0 <= b.measures["domain_accuracy"] <= 1 and b.measures["largest_class"] >= 1 / 3


def _two(found: dict[str, np.ndarray], domain: str) -> tuple[np.ndarray, np.ndarray]:
    return found[f"c_{domain}"], found[f"p_{domain}"]


def test_mmd_has_nineteen_kernels() -> None:
    method = build(similarity="mmd", similarity_weight=0.5)
    b = batch()
    loss = method.loss(b)["similarity"].item()
    found = parts(method, b)
    sigmas = [10.0**k for k in range(-6, 1)] + [5, 10, 15, 20, 25, 30, 35, 100, 1e3, 1e4, 1e5, 1e6]
    assert len(sigmas) == 19

    def kernel(a: np.ndarray, c: np.ndarray) -> float:
        squared = ((a[:, None] - c[None]) ** 2).sum(2)
        return float(sum(np.exp(-squared / (2 * sigma)) for sigma in sigmas).mean())

    s, t = found["c_s"], found["c_t"]
    assert loss == pytest.approx(0.5 * (kernel(s, s) + kernel(t, t) - 2 * kernel(s, t)), rel=1e-3)
    assert method.domain_head is None and "domain_head" not in method.phases()[0].trains


def test_the_domain_gradient_is_reversed_into_the_shared_encoder_alone() -> None:
    method = build(similarity_weight=0.5)
    assert method.domain_head is not None
    wanted = [method.classifier.stages[0].weight, method.domain_head[0].weight]
    b = batch()
    encoder, head = torch.autograd.grad(method.loss(b)["similarity"], wanted)
    c_s, c_t = (method.classifier(side.images_NCHW, features=True)[1] for side in (b.source, b.real))
    logits = method.domain_head(torch.cat([c_s, c_t]))
    plain = (F.softplus(-logits[:6]).sum() + F.softplus(logits[6:]).sum()) / 12
    plain_encoder, plain_head = torch.autograd.grad(plain, wanted)
    assert plain_encoder.abs().max() > 0
    assert torch.allclose(encoder, -0.5 * plain_encoder, rtol=1e-4, atol=1e-7)
    assert torch.allclose(head, 0.5 * plain_head, rtol=1e-4, atol=1e-7)


def test_each_term_teaches_its_own_players() -> None:
    method = build()
    children = ("classifier", "source_private", "target_private", "decoder", "domain_head")
    moved: dict[str, set[str]] = {}
    for term in ("task", "reconstruction", "difference", "similarity"):
        method.zero_grad(set_to_none=True)
        method.loss(batch())[term].backward()
        moved[term] = {
            name
            for name in children
            if any(p.grad is not None and p.grad.any() for p in getattr(method, name).parameters())
        }
        if term != "task":
            assert method.classifier.head.weight.grad is None
    assert moved == {
        "task": {"classifier"},
        "reconstruction": {"classifier", "source_private", "target_private", "decoder"},
        "difference": {"classifier", "source_private", "target_private"},
        "similarity": {"classifier", "domain_head"},
    }


def test_the_task_comes_first() -> None:
    method = build(start=0.25)
    assert set(method.loss(batch(progress=0.24))) == {"task"}
    assert set(method.loss(batch(progress=0.25))) == {"task", "reconstruction", "difference", "similarity"}


def test_few_labelled_target_images_are_learned_too() -> None:
    method = build()
    b = batch()
    b.labelled = Side(b.real.images_NCHW[:3], torch.tensor([2, 1, 0]), torch.arange(3))
    expected = F.cross_entropy(method.classifier(b.labelled.images_NCHW), b.labelled.labels)
    assert method.loss(b)["labelled"].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("similarity", ["dann", "mmd"])
def test_trains_in_mixed_precision(similarity: str) -> None:
    run = Engine(make_fabric(torch.device("cpu"), "bf16-mixed"), build(similarity=similarity), 10)
    for step in range(2):
        losses = run.step([batch()])
        assert len(losses) >= 5 and all(torch.isfinite(value) for value in losses.values()), step


def test_samples_show_what_each_part_holds() -> None:
    method = build().eval()
    with torch.no_grad():
        images = method.samples(batch())
    assert list(images) == [
        f"{domain}{part}"
        for domain in ("source", "target")
        for part in ("", " from shared and private", " from shared", " from private")
    ]
    assert all(value.shape == (6, 1, 16, 16) and value.abs().max() <= 1 for value in images.values())


@pytest.mark.parametrize(
    ("channels", "height", "width"), [(1, 16, 16), (3, 28, 28), (3, 33, 17), (1, 8, 70), (2, 5, 3)]
)
def test_the_networks_fit_any_image(channels: int, height: int, width: int) -> None:
    info = DataInfo(channels, height, width, ("a", "b"))
    x = torch.zeros(2, channels, height, width)
    features = PrivateEncoder(info, widths=(4, 4), hidden=6)(x)
    assert features.shape == (2, 6)
    assert SharedDecoder(info, hidden=6, channels=4)(features).shape == x.shape


def test_features_that_cannot_be_added_are_refused() -> None:
    with pytest.raises(ParamsError, match=r"decoder must have as many as the classifier, 8; found 9.*hidden: 8"):
        build(decoder={"name": "shared_decoder", "hidden": 9})


@pytest.mark.parametrize("similarity", ["dann", "mmd"])
def test_it_drops_what_tells_the_class_in_the_source_only(similarity: Any) -> None:
    def dsn(classifier: nn.Module) -> DSN:
        return DSN(
            INFO,
            classifier,
            Identity(),
            private_encoder(),
            private_encoder(),
            decoder(),
            similarity=similarity,
            similarity_weight=1.0,
            batch_norm="joint",
            optimizer=ADAM,
        )

    seed_all("weights")
    baseline = accuracy_after(Supervised(INFO, Points(), Identity(), optimizer=ADAM), tell_tale, steps=120)
    seed_all("weights")
    adapted = accuracy_after(dsn(Points()), tell_tale, steps=160)
    assert baseline < 0.6
    assert adapted > 0.85
