"""ADA: its transforms, their probability, and how that follows the discriminator."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from adaptgan.data.adaptive import ALL, GEOMETRIC, AdaptiveAugmentation, Draws

SEEDS = torch.arange(60) * 1000003 + 17


def images(count: int = 60, channels: int = 3, side: int = 16) -> torch.Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def only(name: str, p: float = 1.0, **options: float) -> AdaptiveAugmentation:
    return AdaptiveAugmentation(transforms=(name,), start=p, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [*ALL, "all"])
def test_a_record_is_changed_the_same_in_any_batch_and_otherwise_in_another_view(name: str) -> None:
    ada, x = AdaptiveAugmentation(start=0.8) if name == "all" else only(name, 0.8), images()
    torch.manual_seed(0)
    whole = ada(x, SEEDS, view=1)
    torch.manual_seed(1)
    assert whole.shape == x.shape and torch.isfinite(whole).all()
    order = torch.tensor([5, 2, 11])
    assert torch.equal(ada(x[order], SEEDS[order], view=1), whole[order])
    assert not torch.equal(ada(x, SEEDS, view=0), whole)
    assert not torch.equal(ada(x, SEEDS + 1, view=1), whole)
    assert ada(x.bfloat16(), SEEDS).dtype == torch.bfloat16


@pytest.mark.parametrize("channels", [1, 3])
def test_with_probability_0_it_is_the_identity(channels: int) -> None:
    x = images(channels=channels)
    assert torch.equal(AdaptiveAugmentation()(x, SEEDS), x)


@pytest.mark.parametrize("name", ["scale", "shift", "brightness", "contrast", "hue", "saturation"])
def test_each_transform_is_drawn_as_often_as_p_says(name: str) -> None:
    """Those that change an image whenever they are drawn."""
    seeds = torch.arange(2000)
    x = images(1, side=4).expand(2000, -1, -1, -1)
    changed = (only(name, 0.3)(x, seeds) != x).flatten(1).any(1).float().mean().item()
    assert changed == pytest.approx(0.3, abs=0.04)


def test_the_two_turns_together_are_drawn_as_often_as_p_says() -> None:
    draws = Draws(ALL, torch.tensor(0.36), torch.arange(4000), 0)
    halves = draws.halves("rotate")
    assert halves.mean(0).tolist() == pytest.approx([0.2, 0.2], abs=0.02)
    assert halves.amax(1).mean().item() == pytest.approx(0.36, abs=0.03)
    assert draws.any_of(("rotate",)).float().mean().item() == pytest.approx(0.36, abs=0.03)


def test_flips_and_quarter_turns_are_exact() -> None:
    x = images()
    flipped = only("flip")(x, SEEDS)
    mirrored = [torch.allclose(y, z.flip(2), atol=1e-5) for y, z in zip(flipped, x, strict=True)]
    same = [torch.allclose(y, z, atol=1e-5) for y, z in zip(flipped, x, strict=True)]
    assert all(m != s for m, s in zip(mirrored, same, strict=True)) and 15 < sum(mirrored) < 45
    turned = only("rotate90")(x, SEEDS)
    quarters = [
        [k for k in range(4) if torch.allclose(y, z.rot90(k, (1, 2)), atol=1e-5)]
        for y, z in zip(turned, x, strict=True)
    ]
    assert all(len(found) == 1 for found in quarters) and {found[0] for found in quarters} == {0, 1, 2, 3}


def test_translation_is_by_whole_pixels_up_to_an_eighth_mirrored_at_the_border() -> None:
    x = images()
    found = only("translate")(x, SEEDS)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="symmetric")
    shifts = set()
    for n in range(len(x)):
        matches = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if np.allclose(padded[n, :, down : down + 16, right : right + 16], found[n].numpy(), atol=1e-5)
        ]
        assert len(matches) == 1
        shifts.update(matches)
    assert len(shifts) > 12


def test_the_whole_map_is_the_product_of_its_parts() -> None:
    """The inverse of shift · turn · stretch · turn · scale · translate · quarter · flip, by numpy in float64."""
    ada = AdaptiveAugmentation(transforms=GEOMETRIC, start=1.0)
    draws = Draws(ada.transforms, ada.p, SEEDS, 3)
    linear, offset = ada.affine(draws, 16, 16)

    def value(name: str, n: int = 1, normal: bool = False) -> np.ndarray:
        drawn = draws.normal(name, n) if normal else draws.uniform(name, n)  # type: ignore[arg-type]
        return drawn.double().numpy()

    def turn(angle: float) -> np.ndarray:
        return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])

    for i in range(len(SEEDS)):
        size, wide = 2 ** (0.2 * value("scale", normal=True)[i, 0]), 2 ** (0.2 * value("stretch", normal=True)[i, 0])
        whole, part = np.round((2 * value("translate", 2)[i] - 1) * 2), 0.125 * 16 * value("shift", 2, normal=True)[i]
        angles = (2 * value("rotate", 2)[i] - 1) * np.pi
        forward = np.eye(3)
        for step in (
            np.diag([1 - 2 * np.floor(2 * value("flip")[i, 0]), 1, 1]),
            turn(np.floor(4 * value("rotate90")[i, 0]) * np.pi / 2),
            np.array([[1, 0, whole[0]], [0, 1, whole[1]], [0, 0, 1]]),
            np.diag([size, size, 1]),
            turn(angles[0]),
            np.diag([wide, 1 / wide, 1]),
            turn(angles[1]),
            np.array([[1, 0, part[0]], [0, 1, part[1]], [0, 0, 1]]),
        ):
            forward = step @ forward
        inverse = np.linalg.inv(forward)
        assert np.allclose(linear[i].numpy(), inverse[:2, :2], atol=1e-5)
        assert np.allclose(offset[i].numpy(), inverse[:2, 2], atol=1e-4)


def test_reading_is_scipys_with_mirrored_borders() -> None:
    ada, x = AdaptiveAugmentation(transforms=GEOMETRIC, start=1.0), images(8)
    found = ada(x, SEEDS[:8], view=2)
    linear, offset = ada.affine(Draws(ada.transforms, ada.p, SEEDS[:8], 2), 16, 16)
    places = np.stack(np.meshgrid(np.arange(16) - 7.5, np.arange(16) - 7.5), 0)  # x, y
    for n in range(8):
        read = np.einsum("ab,bhw->ahw", linear[n].numpy(), places) + offset[n].numpy()[:, None, None] + 7.5
        expected = ndimage.map_coordinates(x[n, 0].numpy(), read[::-1], order=1, mode="reflect")
        assert np.allclose(found[n, 0].numpy(), expected, atol=1e-3)


def test_rotation_has_a_limit() -> None:
    ada = only("rotate", rotation=10.0)
    linear, _ = ada.affine(Draws(ada.transforms, ada.p, torch.arange(500), 0), 16, 16)
    angles = torch.rad2deg(torch.atan2(linear[:, 0, 1], linear[:, 0, 0]))
    assert 14 < angles.abs().max() <= 20  # two turns


def test_colors_by_hand() -> None:
    x = images()
    grey = x.mean(1, keepdim=True)
    bright = only("brightness")(x, SEEDS) - x
    assert torch.allclose(bright, bright[:, :1, :1, :1].expand_as(x), atol=1e-5)
    factor = only("contrast")(x, SEEDS) / x
    assert torch.allclose(factor, factor[:, :1, :1, :1].expand_as(x), rtol=1e-3)
    inverted = only("invert")(x, SEEDS)
    for y, z, g in zip(inverted, x, grey, strict=True):
        assert torch.allclose(y, z, atol=1e-5) != torch.allclose(y, z - 2 * g, atol=1e-5)
    for name in ("hue", "saturation"):
        y = only(name)(x, SEEDS)
        assert torch.allclose(y.mean(1, keepdim=True), grey, atol=1e-5)  # what is grey stays
        ratio = (y - grey).norm(dim=1) / (x - grey).norm(dim=1)
        assert torch.allclose(ratio, ratio[:, :1, :1].expand_as(ratio), rtol=1e-2)
        assert torch.allclose(ratio, torch.ones(())) == (name == "hue")
    assert torch.equal(only("hue")(x[:, :1], SEEDS), x[:, :1])


def test_colors_are_drawn_from_their_distributions() -> None:
    seeds = torch.arange(2000)
    x = torch.tensor([0.5, -0.1, 0.2]).view(1, 3, 1, 1).expand(2000, -1, -1, -1)
    bright = (only("brightness")(x, seeds) - x)[:, 0, 0, 0].numpy()
    assert stats.kstest(bright / 0.2, "norm").pvalue > 0.01
    factor = (only("contrast")(x, seeds) / x)[:, 0, 0, 0].log2().numpy()
    assert stats.kstest(factor / 0.5, "norm").pvalue > 0.01
    turned = (only("hue")(x, seeds) - 0.2)[:, :, 0, 0]
    across = torch.tensor([0.5, -0.1, 0.2]) - 0.2
    third = torch.linalg.cross(torch.full((3,), 1 / math.sqrt(3)), across)
    angle = torch.atan2(turned @ third, turned @ across).numpy()
    assert stats.kstest(angle / (2 * np.pi) + 0.5, "uniform").pvalue > 0.01


def test_gradients_flow_back_through_all_of_it() -> None:
    ada = AdaptiveAugmentation(start=1.0)
    x = images(3).requires_grad_()
    weights = torch.randn(3, 3, 16, 16)
    (gradient,) = torch.autograd.grad((ada(x, SEEDS[:3]) * weights).sum(), x)
    with torch.no_grad():
        step = torch.randn_like(x)
        change = ((ada(x + step, SEEDS[:3]) - ada(x, SEEDS[:3])) * weights).sum().item()  # it is affine in the image
    assert (gradient * step).sum().item() == pytest.approx(change, rel=1e-3)


def test_p_rises_where_d_is_sure_of_real_images_and_falls_where_not() -> None:
    ada = AdaptiveAugmentation(target=0.6, interval=4, kimg=0.8, start=0.1)
    sure, unsure = torch.ones(10), torch.tensor([1.0] * 7 + [-1.0] * 3)  # r = 1 and 0.4
    seen = [ada.observe(logits)["augmentation"].item() for logits in [sure] * 8 + [unsure] * 4]
    step = 10 * 4 / 800  # an interval's images as a share of kimg
    expected = [0.1] * 3 + [0.1 + step] * 4 + [0.1 + 2 * step] * 4 + [0.1 + step]
    assert seen == pytest.approx(expected)


def test_r_is_the_mean_over_the_interval() -> None:
    ada = AdaptiveAugmentation(interval=2, kimg=1.0, start=0.5)
    assert ada.observe(torch.ones(10))["overfitting"] == 1
    assert ada.observe(torch.tensor([1.0] * 5 + [-1.0] * 5))["overfitting"] == 0
    assert ada.p.item() == pytest.approx(0.5 - 20 / 1000)  # r = ½, below the target of 0.6


def test_p_stays_between_0_and_1() -> None:
    ada = AdaptiveAugmentation(interval=1, kimg=0.01)
    for _ in range(3):
        assert ada.observe(torch.full((8,), -3.0))["augmentation"] == 0
    for _ in range(3):
        ada.observe(torch.full((8,), 3.0))
    assert ada.p == 1
    fixed = AdaptiveAugmentation(interval=1, kimg=0.01, start=0.3, adapt=False)
    assert fixed.observe(torch.ones(8))["augmentation"].item() == pytest.approx(0.3)


def test_all_that_it_counts_survives_a_checkpoint() -> None:
    ada = AdaptiveAugmentation(interval=3, kimg=1.0)
    ada.observe(torch.ones(8))
    resumed = AdaptiveAugmentation(interval=3, kimg=1.0)
    resumed.load_state_dict(copy.deepcopy(ada.state_dict()))
    for augmentation in (ada, resumed):
        for _ in range(2):
            augmentation.observe(torch.ones(8))
    assert ada.p == resumed.p > 0


def test_it_says_whether_it_moves_pixels() -> None:
    assert AdaptiveAugmentation().moves_pixels
    assert not AdaptiveAugmentation(transforms=("contrast", "invert")).moves_pixels
