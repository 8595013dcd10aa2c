"""Pseudo-labels: which guesses count, how much, and when."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import Guard
from adaptgan.methods.pseudo_labels import PseudoLabels
from adaptgan.plugins import components
from adaptgan.testing import check_method
from adaptgan.training.seeding import seed_all

INFO = DataInfo(1, 8, 8, ("a", "b", "c"))
TINY = {"name": "mlp_classifier", "widths": [12, 7]}


def build(**options: Any) -> PseudoLabels:
    seed_all("weights")
    config = {"name": "pseudo_labels", "classifier": TINY, "augmentation": "none", **options}
    method = components().build("method", config, "method", [INFO, Guard()])
    assert isinstance(method, PseudoLabels)
    return method


def batch(progress: float = 0.5) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x, u = (torch.rand(n, 1, 8, 8, generator=generator, dtype=torch.float64) * 2 - 1 for n in (5, 8))
    return Batch(Side(x, torch.arange(5) % 3, torch.arange(5)), Side(u, None, torch.arange(8)), 1, progress)


@pytest.mark.parametrize("sure_ones", [8, 3])
def test_loss_is_cross_entropy_with_labels_and_with_sure_guesses(sure_ones: int) -> None:
    noiseless = {**TINY, "input_noise": 0.0, "hidden_noise": 0.0, "data_init": False}
    method = build(classifier=noiseless, weight=2.0, warmup=0.2, ramp=0.6).double().train()
    assert method.threshold == 0
    b = batch(progress=0.5)
    p, q = (method.classifier(side.images_NCHW).softmax(1) for side in (b.source, b.real))
    if sure_ones < 8:
        method.threshold = q.amax(1).sort(descending=True).values[sure_ones].item()
    losses = method.loss(b)
    sure = q.amax(1) > method.threshold
    assert sure.sum() == sure_ones
    expected = 2.0 * 0.5 * -(q.amax(1).log() * sure).sum() / 8  # α is half-way up at 0.5
    assert losses["pseudo_labels"].item() == pytest.approx(expected.item(), rel=1e-9)
    assert losses["task"].item() == pytest.approx(-p[torch.arange(5), b.source.labels].log().mean().item(), rel=1e-9)


def test_alpha_is_lees_ramp() -> None:
    method = build(weight=3.0, warmup=0.1, ramp=0.5)
    expected = {0.0: 0, 0.1: 0, 0.35: 1.5, 0.6: 3, 0.9: 3}
    assert {p: method.alpha(p) for p in expected} == pytest.approx(expected)


def test_before_the_warm_up_unlabelled_images_are_not_even_looked_at() -> None:
    b = batch(progress=0.05)
    b.target = None
    assert set(build().double().loss(b)) == {"task"}


def test_guesses_are_made_without_noise_and_are_no_way_for_gradients() -> None:
    method = build().double().train()
    u = batch().real.images_NCHW
    method.classifier(u)  # the start from data
    sure, first = method.guess(u)
    again, second = method.guess(u)
    assert torch.equal(first, second) and torch.equal(sure, again) and not sure.requires_grad
    assert method.classifier.training
    method.classifier.eval()
    assert torch.equal(first, method.classifier(u).argmax(1))


def test_labelled_images_beside_a_source_have_a_term_of_their_own() -> None:
    method = build().double().eval()
    for progress in (0.0, 0.5):
        b = batch(progress)
        b.labelled = b.source
        losses = method.loss(b)
        method.eval()
        logits = method.classifier(b.source.images_NCHW)
        expected = torch.nn.functional.cross_entropy(logits, b.source.labels)
        assert "labelled" in losses
        if progress == 0:
            assert losses["labelled"].item() == pytest.approx(expected.item(), rel=1e-9)


def test_it_keeps_the_loops_promises() -> None:
    check_method(
        {"name": "pseudo_labels", "classifier": TINY, "augmentation": "none", "warmup": 0.2, "ramp": 0.2, "ema": 0.5}
    )
