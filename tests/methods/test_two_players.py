"""ADDA and MCD: their terms, and that each player learns in its own turn."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.errors import ParamsError
from adaptgan.methods.heads import fresh_copy, take_head
from tests.methods.alignment import INFO, N, batch, build, engine, moved


def test_adda_first_the_source_network_then_only_the_target_encoder() -> None:
    method = build("adda", domain_hidden=8)
    run = engine(method, 4)
    for step in range(2):
        assert moved(run, [batch(step)]) == {"classifier", "target_encoder"}
        mine, theirs = method.target_encoder.state_dict(), method.classifier.state_dict()
        assert theirs.keys() - mine.keys() == {"head.weight", "head.bias"}
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    images = batch(9).real.images_NCHW
    method.eval()
    assert torch.allclose(method.predict(images), method.classifier(images).softmax(1))
    method.train()
    for step in (2, 3):  # the source network's running statistics stay too
        assert moved(run, [batch(step)]) == {"target_encoder", "domain_head"}
    method.eval()
    logits = method.classifier.head(method.target_encoder(images, features=True)[1])
    assert torch.allclose(method.predict(images), logits.softmax(1))
    assert not torch.allclose(method.predict(images), method.classifier(images).softmax(1))
    assert torch.equal(method.features(images), method.target_encoder(images, features=True)[1])


def test_adda_gradients_go_to_one_player_each_and_the_label_is_inverted() -> None:
    method = build("adda", domain_hidden=8)
    b = batch()
    encoder = method.encoder_loss(b)["adversarial"]
    wanted = [method.target_encoder.stages[0].weight, method.classifier.stages[0].weight, method.classifier.head.weight]
    (target, *others) = torch.autograd.grad(encoder, wanted, allow_unused=True)
    assert others == [None, None]
    _, f_t = method.target_encoder(b.real.images_NCHW, features=True)
    d = method.domain_head(f_t).sigmoid()
    (expected,) = torch.autograd.grad(-d.log().mean(), wanted[0])
    assert torch.allclose(target, expected, rtol=1e-3, atol=1e-7) and target.abs().max() > 0
    domain = method.domain_loss(b)["domain"]
    gradients = torch.autograd.grad(domain, [*wanted, method.domain_head[0].weight], allow_unused=True)
    assert gradients[:3] == (None, None, None) and gradients[3].abs().max() > 0
    with torch.no_grad():
        _, f_s = method.classifier.eval()(b.source.images_NCHW, features=True)
        d_s = method.domain_head(f_s).sigmoid()
    assert domain.item() == pytest.approx(-(d_s.log().mean() + (1 - d).log().mean()).item() / 2, rel=1e-4)


def test_mcd_each_step_moves_its_own_players() -> None:
    method = build("mcd", repeats=2)
    run = engine(method, 4)
    batches = [batch(0), batch(1)]
    phases = run.phases
    seen = {}
    for phase in phases:
        run.phases = [phase]
        weights = {key: value.clone() for key, value in method.named_parameters()}
        run.step(batches)
        seen[phase.name] = {k.split(".")[0] for k, v in method.named_parameters() if not torch.equal(v, weights[k])}
    heads = {"head", "second_head"}
    assert seen == {"source": {"generator"} | heads, "heads": heads, "generator": {"generator"}}


def test_mcd_terms_by_hand() -> None:
    method = build("mcd", weight=2.0)
    b = batch()
    source, heads, generator = (phase.loss(b) for phase in method.phases())
    s, t = (method.generator(x, features=True)[1] for x in (b.source.images_NCHW, b.real.images_NCHW))
    p1, p2 = method.head(t).softmax(1), method.second_head(t).softmax(1)
    distance = (p1 - p2).abs().sum() / (N * 3)
    assert distance > 1e-3  # the second head has weights of its own
    assert heads["discrepancy"].item() == pytest.approx(-2 * distance.item(), rel=1e-4)
    assert generator["discrepancy"].item() == pytest.approx(2 * distance.item(), rel=1e-4)
    for losses in (source, heads):
        for term, head in (("task", method.head), ("second_task", method.second_head)):
            expected = F.cross_entropy(head(s), b.source.labels)
            assert losses[term].item() == pytest.approx(expected.item(), rel=1e-4)


def test_mcd_step_c_takes_a_batch_of_its_own_each_turn() -> None:
    method = build("mcd", repeats=3)
    run = engine(method, 4)
    seen: list[Any] = []
    forward = method.generator_loss
    method.generator_loss = lambda b: seen.append(b) or forward(b)
    run.phases = [phase.scheduled(4) for phase in method.phases()]
    batches = [batch(number) for number in range(3)]
    run.step(batches)
    assert [id(b) for b in seen] == [id(b) for b in batches]


@pytest.mark.parametrize("mode", ["joint", "separate"])
def test_mcd_batch_norm_modes(mode: str) -> None:
    method = build("mcd", batch_norm=mode)
    b = batch()
    method.heads_loss(b)
    first = method.generator.stages
    x = torch.cat([b.source.images_NCHW, b.real.images_NCHW]) if mode == "joint" else b.real.images_NCHW
    assert torch.allclose(first[1].running_mean, 0.1 * first[0](x).mean((0, 2, 3)), atol=1e-5)
    before = first[1].running_mean.clone()
    method.source_loss(b)
    assert torch.equal(first[1].running_mean, before) == (mode == "separate")


def test_mcd_predicts_with_both_heads() -> None:
    method = build("mcd", head_hidden=5).eval()
    images = batch().real.images_NCHW
    features = method.features(images)
    expected = ((method.head(features) + method.second_head(features)) / 2).softmax(1)
    assert torch.allclose(method.predict(images), expected, atol=1e-6)
    assert [tuple(p.shape) for p in method.second_head.parameters()] == [(5, 8), (5,), (3, 5), (3,)]


def test_mcd_segments() -> None:
    """Two heads per pixel; the discrepancy is the mean over pixels too."""
    info = dataclasses.replace(INFO, task="segmentation")
    network = {"name": "conv_segmenter", "widths": [4, 8]}
    method = build("mcd", info, classifier=network)
    b = batch()
    b.source.labels_N = torch.randint(3, (N, 16, 16))
    source, heads, generator = (phase.loss(b) for phase in method.phases())
    with torch.no_grad():
        t = method.generator(b.real.images_NCHW)
        p1, p2 = method.head(t).softmax(1), method.second_head(t).softmax(1)
    distance = (p1 - p2).abs().sum() / p1.numel()
    assert heads["discrepancy"].item() == pytest.approx(-distance.item(), rel=1e-3)
    assert generator["discrepancy"].item() == pytest.approx(distance.item(), rel=1e-3)
    assert source["task"].item() > 0 and method.predict(b.real.images_NCHW).shape == (N, 3, 16, 16)
    engine(method, 4).step([batch(number) if number else b for number in range(4)])
    with pytest.raises(ParamsError, match="head_hidden"):
        build("mcd", info, classifier=network, head_hidden=4)


def test_a_network_without_a_head_is_named() -> None:
    with pytest.raises(ParamsError, match="Sequential has no layer called `head`"):
        take_head(nn.Sequential(nn.Linear(2, 2)))
    head = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    other = fresh_copy(head)
    assert [p.shape for p in other.parameters()] == [p.shape for p in head.parameters()]
    assert not any(torch.equal(p, q) for p, q in zip(head.parameters(), other.parameters(), strict=True))


def test_a_head_that_cannot_be_drawn_anew_is_refused() -> None:
    """Two equal heads would never disagree, and nothing would adapt."""
    network = {"name": "mlp_classifier", "widths": [8]}
    with pytest.raises(ParamsError, match="NormalizedLinear, has no `reset_parameters`"):
        build("mcd", classifier=network)
    method = build("mcd", classifier=network, head_hidden=4)
    assert method.heads_loss(batch())["discrepancy"].abs() > 0
