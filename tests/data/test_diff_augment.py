"""DiffAugment: each change by its definition, differentiable, decided by record and view alone."""

from __future__ import annotations

import pytest
import torch

from adaptgan.data.diff_augment import DiffAugment, colored

SEEDS = torch.arange(40) * 1000003 + 17


def images(count: int = 40, channels: int = 3, height: int = 8, width: int = 12) -> torch.Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("policy", [("color",), ("translation",), ("cutout",), ("color", "translation", "cutout")])
def test_a_record_is_changed_the_same_in_any_batch_and_otherwise_in_another_view(policy: tuple[str, ...]) -> None:
    augment, x = DiffAugment(policy=policy), images()  # type: ignore[arg-type]
    torch.manual_seed(0)
    whole = augment(x, SEEDS, view=1)
    torch.manual_seed(1)
    assert whole.shape == x.shape and not torch.equal(whole, x)
    order = torch.tensor([5, 2, 11])
    assert torch.equal(augment(x[order], SEEDS[order], view=1), whole[order])
    assert not torch.equal(augment(x, SEEDS, view=0), whole)
    assert not torch.equal(augment(x, SEEDS + 1, view=1), whole)
    assert augment(x.bfloat16(), SEEDS).dtype == torch.bfloat16


def test_gradients_flow_back_through_all_of_it() -> None:
    augment = DiffAugment()
    x = images(3).requires_grad_()
    weights = torch.randn(3, 3, 8, 12)
    (gradient,) = torch.autograd.grad((augment(x, SEEDS[:3]) * weights).sum(), x)
    with torch.no_grad():
        for place in ((0, 1, 3, 4), (1, 0, 4, 6), (2, 2, 7, 11)):
            step = torch.zeros_like(x)
            step[place] = 0.5  # it is affine in the image
            change = ((augment(x + step, SEEDS[:3]) - augment(x, SEEDS[:3])) * weights).sum() / 0.5
            assert gradient[place].item() == pytest.approx(change.item(), abs=1e-4)
    assert gradient.abs().max() > 0.1


def test_colors_by_hand() -> None:
    x = images(2)
    draws = torch.tensor([[0.9, 0.5, 0.5], [0.5, 0.1, 0.75]])
    found = colored(x, draws)
    assert torch.allclose(found[0], x[0] + 0.4, atol=1e-6)  # the draws of ½ change nothing
    grey = x[1].mean(0)
    pale = grey + (x[1] - grey) * 0.2
    assert torch.allclose(found[1], pale.mean() + (pale - pale.mean()) * 1.25, atol=1e-6)
    assert torch.allclose(colored(x[:, :1], torch.tensor([[0.5, 0.0, 0.5]]))[0], x[0, :1], atol=1e-6)


def test_translation_is_by_whole_pixels_up_to_an_eighth() -> None:
    x = images(100, 1, height=16, width=24)
    found = DiffAugment(policy=("translation",), pad=-1.0)(x, torch.arange(100))
    shifts = set()
    for n in range(len(x)):
        matches = []
        for down in range(-2, 3):
            for right in range(-3, 4):
                expected = torch.full_like(x[n], -1.0)
                rows, columns = slice(max(0, down), 16 + min(0, down)), slice(max(0, right), 24 + min(0, right))
                back = slice(max(0, -down), 16 - max(0, down)), slice(max(0, -right), 24 - max(0, right))
                expected[:, rows, columns] = x[n][:, back[0], back[1]]
                if torch.equal(expected, found[n]):
                    matches.append((down, right))
        assert len(matches) == 1
        shifts.update(matches)
    assert {down for down, _ in shifts} == set(range(-2, 3)) and {right for _, right in shifts} == set(range(-3, 4))


def test_cutout_is_half_the_sides_or_what_lies_inside() -> None:
    x = images(height=8, width=12).clamp(-0.9, 0.9)
    found = DiffAugment(policy=("cutout",), pad=1.0)(x, SEEDS)
    cut = found == 1.0
    assert torch.equal(found[~cut], x[~cut])
    for mask in cut[:, 0]:
        rows, columns = mask.any(1), mask.any(0)
        assert torch.equal(mask, rows[:, None] & columns[None])
        assert 2 <= rows.sum() <= 4 and 3 <= columns.sum() <= 6  # the middle lies inside
    assert cut[:, 0].any(2).sum(1).max() == 4 and cut[:, 0].any(1).sum(1).max() == 6


def test_it_says_whether_it_moves_pixels() -> None:
    assert DiffAugment().moves_pixels
    assert not DiffAugment(policy=("color", "cutout")).moves_pixels
    assert not DiffAugment(translation=0.0).moves_pixels
