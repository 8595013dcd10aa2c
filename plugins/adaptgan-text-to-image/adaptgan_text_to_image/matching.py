"""What tells D that text and image must fit: wrong texts, and the loss of three kinds of pairs (Reed 2016, §4.2)."""

from __future__ import annotations

import torch

from adaptgan.objectives.adversarial import Adversarial


def wrong_texts(words_NL: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A text of another image for each, and whether it says something else.

    One random cycle through the batch, drawn by the device's global generator, which training seeds each step: nobody
    keeps their own text, and every text is somebody's wrong one. Nothing waits for the device.

    Args:
        words_NL: the right texts, int64.

    Returns:
        Which text each gets, int64 (N,), and whether its words differ, bool (N,): two images may have one caption.
    """
    order_N = torch.randperm(len(words_NL), device=words_NL.device)
    wrong_N = torch.empty_like(order_N).scatter_(0, order_N, order_N.roll(1))
    return wrong_N, (words_NL[wrong_N] != words_NL).any(1)


def matching_losses(
    objective: Adversarial, right_N: torch.Tensor, wrong_N: torch.Tensor, fake_N: torch.Tensor, differs_N: torch.Tensor
) -> dict[str, torch.Tensor]:
    """What D minimizes, ℓ_real(s_r) + ½ [ℓ_fake(s_w) + ℓ_fake(s_f)] (Reed 2016, Algorithm 1, line 9), as means.

    Args:
        objective: ℓ; with cross-entropy, L_D = log s_r + ½ [log(1 − s_w) + log(1 − s_f)] is ascended.
        right_N: logits of real images beside their own texts, s_r.
        wrong_N: of real images beside wrong texts, s_w.
        fake_N: of generated images beside their texts, s_f.
        differs_N: whether the wrong text is another one; the mean is over those.
    """
    weight_N = differs_N.to(wrong_N.dtype)
    mismatched = (weight_N * objective.fake(wrong_N)).sum() / weight_N.sum().clamp(min=1)
    return {
        "real": objective.real(right_N).mean(),
        "wrong_text": 0.5 * mismatched,
        "generated": 0.5 * objective.fake(fake_N).mean(),
    }
