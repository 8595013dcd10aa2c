from __future__ import annotations

import math

import pytest
import torch
from adaptgan_text_to_image.matching import matching_losses, wrong_texts

from adaptgan.plugins import components


@pytest.mark.parametrize("size", [2, 3, 8, 65])
def test_wrong_texts_are_a_permutation_that_leaves_nobody_their_own(size: int) -> None:
    words_NL = torch.arange(1, 3 * size + 1).view(size, 3)
    for seed in range(20):
        torch.manual_seed(seed)
        wrong_N, differs_N = wrong_texts(words_NL)
        assert sorted(wrong_N.tolist()) == list(range(size))
        assert (wrong_N != torch.arange(size)).all() and differs_N.all()


def test_every_other_text_may_be_the_wrong_one() -> None:
    words_NL = torch.arange(1, 6)[:, None]
    torch.manual_seed(0)
    seen = {(i, int(j)) for _ in range(200) for i, j in enumerate(wrong_texts(words_NL)[0])}
    assert len(seen) == 5 * 4


def test_an_equal_caption_is_no_wrong_one() -> None:
    words_NL = torch.tensor([[1, 2, 0], [1, 2, 0], [1, 3, 0], [1, 2, 0]])
    for seed in range(20):
        torch.manual_seed(seed)
        wrong_N, differs_N = wrong_texts(words_NL)
        for i, j in enumerate(wrong_N.tolist()):
            assert bool(differs_N[i]) == (words_NL[i].tolist() != words_NL[j].tolist())


def test_the_loss_is_algorithm_1_by_hand() -> None:
    right, wrong, fake = [0.9, 0.6], [0.2, 0.7], [0.4, 0.1]  # s_r, s_w, s_f; the second wrong text is no other
    logit = lambda values: torch.tensor([math.log(s / (1 - s)) for s in values])  # noqa: E731
    objective = components().build("objective", "non_saturating")
    losses = matching_losses(objective, logit(right), logit(wrong), logit(fake), torch.tensor([True, False]))
    log_s_r = (math.log(0.9) + math.log(0.6)) / 2
    log_not_s_w = math.log(1 - 0.2)
    log_not_s_f = (math.log(1 - 0.4) + math.log(1 - 0.1)) / 2
    assert losses["real"].item() == pytest.approx(-log_s_r, rel=1e-5)
    assert losses["wrong_text"].item() == pytest.approx(-0.5 * log_not_s_w, rel=1e-5)
    assert losses["generated"].item() == pytest.approx(-0.5 * log_not_s_f, rel=1e-5)


def test_a_batch_of_one_caption_has_no_wrong_texts_and_a_finite_loss() -> None:
    objective = components().build("objective", "non_saturating")
    logits = torch.zeros(3, requires_grad=True)
    losses = matching_losses(objective, logits, logits, logits, torch.zeros(3, dtype=torch.bool))
    assert losses["wrong_text"].item() == 0
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert torch.isfinite(logits.grad).all()  # type: ignore[arg-type]
