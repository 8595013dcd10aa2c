"""The patches' contrastive loss: closed forms, a loop in NumPy, and where its gradient goes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from adaptgan.networks.patch_heads import PatchHeads, random_places
from adaptgan.objectives.patch_nce import patch_nce


def features(*shape: int, seed: int = 0) -> torch.Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(values, dim=-1)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_orthogonal_places_have_a_closed_form(temperature: float) -> None:
    """v·v⁺ = 1 and v·v⁻ = 0: −log(e^(1/τ) / (e^(1/τ) + S − 1))."""
    places = 5
    keys = torch.eye(8, dtype=torch.float64)[None, :places]
    expected = math.log1p((places - 1) * math.exp(-1 / temperature))
    assert patch_nce(keys, keys, temperature).item() == pytest.approx(expected, rel=1e-9)


def test_places_that_look_alike_cost_log_s() -> None:
    keys = features(1, 1, 8).expand(3, 7, 8)
    assert patch_nce(features(3, 7, 8, seed=1), keys).item() == pytest.approx(math.log(7))


def test_it_is_a_loop_over_images_and_places() -> None:
    queries, keys = features(2, 6, 4), features(2, 6, 4, seed=1)
    terms = []
    for q, k in zip(queries.numpy(), keys.numpy(), strict=True):
        for s in range(6):
            negatives = [np.exp(q[s] @ k[other] / 0.2) for other in range(6) if other != s]
            positive = np.exp(q[s] @ k[s] / 0.2)
            terms.append(-np.log(positive / (positive + sum(negatives))))
    assert patch_nce(queries, keys, 0.2).item() == pytest.approx(np.mean(terms))


def test_its_gradient_is_that_of_a_softmax() -> None:
    """∂/∂q_s = (Σ p_j k_j − k_s) / (τ N S), p the softmax over places; none reaches keys that came detached."""
    queries, keys = features(2, 5, 4).requires_grad_(), features(2, 5, 4, seed=1)
    patch_nce(queries, keys, 0.3).backward()
    p = (queries.detach() @ keys.transpose(1, 2) / 0.3).softmax(2)
    torch.testing.assert_close(queries.grad, (p @ keys - keys) / (0.3 * 2 * 5))


def test_under_autocast_it_is_computed_in_float32() -> None:
    queries, keys = features(2, 50, 16).float(), features(2, 50, 16, seed=1).float()
    expected = patch_nce(queries, keys)
    with torch.autocast("cpu", torch.bfloat16):
        found = patch_nce(queries, keys)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_heads_look_at_the_places_they_are_given() -> None:
    torch.manual_seed(0)
    heads = PatchHeads((3, 5), width=8)
    maps = [torch.randn(2, 3, 4, 6), torch.randn(2, 5, 2, 2)]
    places = [torch.tensor([7, 0, 23]), torch.tensor([3, 1])]
    found = heads(maps, places)
    assert [tuple(f.shape) for f in found] == [(2, 3, 8), (2, 2, 8)]
    by_hand = F.normalize(heads.heads[0](maps[0][1, :, 1, 1]), dim=0)  # place 7 of rows of 6: row 1, column 1
    torch.testing.assert_close(found[0][1, 0], by_hand)
    torch.testing.assert_close(found[1].norm(dim=2), torch.ones(2, 2))


def test_places_are_drawn_without_repetition() -> None:
    maps = [torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 2, 2)]
    torch.manual_seed(0)
    many, few = random_places(maps, 16)
    assert len(many) == len(set(many.tolist())) == 16
    assert sorted(few.tolist()) == [0, 1, 2, 3]
    assert not torch.equal(many, random_places(maps, 16)[0])
