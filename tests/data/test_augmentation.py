from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from kornia.filters import gaussian_blur2d
from kornia.geometry.transform import get_affine_matrix2d
from scipy import ndimage, stats

from adaptgan.data.augmentation import Augmentation, Identity, Warp, check_keeps_geometry
from adaptgan.errors import ParamsError

STILL: dict[str, Any] = {"rotation": 0.0, "scale": (1.0, 1.0), "shear": 0.0, "translate": 0.0}
EVERYTHING: dict[str, Any] = {
    "elastic": 1.0,
    "stroke": (-0.5, 1.0),
    "blur": 1.0,
    "gain": (0.8, 1.2),
    "contrast": 0.2,
    "invert": 0.3,
    "brightness": 0.1,
    "noise": 0.05,
    "cutout": 6,
}
SEEDS = torch.arange(12) * 1000003 + 17


def images(count: int = 12, channels: int = 1, height: int = 24, width: int = 24) -> torch.Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_identity() -> None:
    x = images()
    assert Identity()(x, SEEDS) is x


@pytest.mark.parametrize("options", [{}, *({key: value} for key, value in EVERYTHING.items()), EVERYTHING])
def test_a_record_is_changed_the_same_in_any_batch(options: dict[str, Any]) -> None:
    warp, x = Warp(**options), images()
    whole = warp(x, SEEDS, view=1)
    assert whole.shape == x.shape and whole.dtype == x.dtype
    singles = torch.cat([warp(x[i : i + 1], SEEDS[i : i + 1], view=1) for i in range(12)])
    assert torch.equal(whole, singles)
    order = torch.tensor([5, 2, 11])
    assert torch.equal(warp(x[order], SEEDS[order], view=1), whole[order])


@pytest.mark.parametrize("options", [{}, *({**STILL, key: value} for key, value in EVERYTHING.items())])
def test_seeds_and_views_change_the_result_and_the_global_generator_does_not(options: dict[str, Any]) -> None:
    warp, x = Warp(**options), images()
    torch.manual_seed(0)
    first = warp(x, SEEDS)
    torch.manual_seed(1)
    assert torch.equal(warp(x, SEEDS), first)
    assert not torch.equal(warp(x, SEEDS + 1), first) and not torch.equal(warp(x, SEEDS, view=1), first)


def test_an_option_leaves_the_other_draws_alone() -> None:
    torch.testing.assert_close(Warp(noise=0.1).affine(SEEDS), Warp(elastic=2.0, stroke=(-1.0, 1.0)).affine(SEEDS))


@pytest.mark.parametrize("options", [{}, {**EVERYTHING, "noise": 0.0, "contrast": 0.0}])
def test_gradients_reach_the_images_and_are_right(options: dict[str, Any]) -> None:
    # Tones are kept clear of the clamp, cutout is constant: finite differences then hold almost everywhere.
    x = (images(2, height=12, width=12) * 0.3).requires_grad_()
    warp = Warp(**options)
    weights = images(2, height=12, width=12)
    (grad,) = torch.autograd.grad((warp(x, SEEDS[:2]) * weights).sum(), x)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    step = 2e-4  # small: max-pooling has kinks
    with torch.no_grad():
        up, down = ((warp(x + s * direction, SEEDS[:2]).double() * weights).sum() for s in (step, -step))
    assert (up - down) / (2 * step) == pytest.approx((grad * direction).sum().item(), rel=0.03)


def test_the_affine_map_is_kornias() -> None:
    height = width = 24
    warp = Warp(rotation=30, scale=(0.7, 1.4), shear=20, translate=0.1)
    inverse = warp.affine(SEEDS)
    for i in range(len(SEEDS)):
        full = torch.eye(3)
        full[:2] = inverse[i]
        forward = torch.linalg.inv(full)
        # In pixels from the centre: half the width for each unit.
        linear, shift = forward[:2, :2], forward[:2, 2] * width / 2
        # linear = R(turn) · [[1, slant], [0, 1]] · diag(across, down); read the parts back.
        across = linear[:, 0].norm()
        turn = math.atan2(linear[1, 0], linear[0, 0])
        rest = torch.tensor([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]]) @ linear
        down, slant = rest[1, 1], rest[0, 1] / rest[1, 1]
        assert abs(math.degrees(turn)) <= 30 and 0.7 <= across <= 1.4 and 0.7 <= down <= 1.4
        assert abs(math.degrees(math.atan(slant))) <= 20 and shift.abs().max() <= 0.1 * width
        expected = (
            get_affine_matrix2d(
                torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([math.degrees(turn)])
            )[0, :2, :2]
            @ torch.tensor([[1.0, slant], [0.0, 1.0]])
            @ torch.diag(torch.stack([across, down]))
        )
        torch.testing.assert_close(linear, expected, atol=1e-5, rtol=1e-5)
    assert height == width


def test_the_pixels_are_scipys() -> None:
    x = images(3, height=20, width=20)
    warp = Warp(rotation=25, scale=(0.8, 1.2), shear=10, translate=0.1)
    maps = warp.affine(SEEDS[:3]).double().numpy()
    result = warp(x, SEEDS[:3])
    for i in range(3):
        # From [-1, 1] (x, y) to pixel (row, column): index = (coordinate + 1) * 10 - 0.5.
        linear = maps[i][::-1, :2][:, ::-1]
        shift = maps[i][::-1, 2]
        offset = (shift + 1 + linear @ (np.full(2, 0.05) - 1)) * 10 - 0.5
        expected = (
            ndimage.affine_transform(x[i, 0].double().numpy() + 1, linear, offset, order=1, mode="grid-constant") - 1
        )
        np.testing.assert_allclose(result[i, 0].numpy(), expected, atol=2e-4)


def test_images_that_are_not_square_are_turned_not_squeezed() -> None:
    x = torch.full((200, 1, 20, 60), -1.0)
    x[:, :, 6:14, 26:34] = 1.0  # a square of 8 x 8 in the middle keeps its area
    turned = Warp(**{**STILL, "rotation": 45.0})(x, torch.arange(200))
    area = ((turned + 1) / 2).sum((1, 2, 3))
    torch.testing.assert_close(area, torch.full((200,), 64.0), atol=2.0, rtol=0)


def test_draws_fill_their_ranges_evenly() -> None:
    seeds = torch.arange(2000)
    maps = Warp(**{**STILL, "rotation": 15.0}).affine(seeds)
    angles = torch.rad2deg(torch.atan2(-maps[:, 1, 0], maps[:, 0, 0]))
    assert stats.kstest(angles.numpy(), "uniform", (-15, 30)).pvalue > 0.01
    shifts = Warp(**{**STILL, "translate": 0.1}).affine(seeds)[:, :, 2]
    assert stats.kstest(shifts.flatten().numpy() / 2, "uniform", (-0.1, 0.2)).pvalue > 0.01
    maps = Warp(**{**STILL, "scale": (0.5, 2.0)}).affine(seeds)
    for axis in (0, 1):
        assert stats.kstest(1 / maps[:, axis, axis].numpy(), "uniform", (0.5, 1.5)).pvalue > 0.01
    same = Warp(**{**STILL, "scale": (0.5, 2.0)}, isotropic=True).affine(seeds)
    torch.testing.assert_close(same[:, 0, 0], same[:, 1, 1])


def test_the_elastic_field_has_the_asked_size_at_the_knots() -> None:
    # A ramp reads out the horizontal displacement: value = 2 * x / width - 1.
    size = 33
    ramp = ((torch.arange(size) + 0.5) * 2 / size - 1).expand(400, 1, size, size).contiguous()
    moved = Warp(**STILL, elastic=1.5, elastic_knots=5)(ramp, torch.arange(400))
    displacement = (moved - ramp)[:, 0, 8:25:8, 8:25:8] * size / 2
    assert displacement.std().item() == pytest.approx(1.5, rel=0.06)
    assert displacement.mean().abs().item() < 0.1


def test_what_comes_from_outside_is_the_pad_value() -> None:
    x = torch.full((4, 1, 16, 16), 0.25)
    for pad in (-1.0, 0.5):
        result = Warp(**{**STILL, "translate": 0.5}, pad=pad)(x, SEEDS[:4])
        assert result.min().item() == pytest.approx(min(pad, 0.25)) and result.max().item() == pytest.approx(
            max(pad, 0.25)
        )


def test_stroke_one_is_dilation_and_minus_one_erosion() -> None:
    x = images(3)
    for amount, reference in ((1.0, ndimage.grey_dilation), (-1.0, ndimage.grey_erosion)):
        result = Warp(**STILL, stroke=(amount, amount))(x, SEEDS[:3])
        for i in range(3):
            np.testing.assert_allclose(
                result[i, 0].numpy(), reference(x[i, 0].numpy(), (3, 3), mode="nearest"), atol=1e-6
            )


def test_blur_is_kornias_gaussian_of_a_width_up_to_the_asked() -> None:
    x, widest = images(6), 1.5
    result = Warp(**STILL, blur=widest)(x, SEEDS[:6])
    for i in range(6):
        candidates = torch.linspace(0.05, widest, 300)
        blurred = torch.cat([gaussian_blur2d(x[i : i + 1], 9, (float(s), float(s))) for s in candidates])
        error = (blurred - result[i]).abs().amax((1, 2, 3))
        assert error.min() < 0.01
    assert (result - x).abs().amax((1, 2, 3)).std() > 0.05


def test_tone_noise_and_cutout() -> None:
    x = images(400, height=10, width=10) * 0.3
    seeds = torch.arange(400)
    gain = (Warp(**STILL, gain=(0.5, 1.5))(x, seeds) + 1) / (x + 1)
    per_image = gain.mean((1, 2, 3))
    torch.testing.assert_close(gain, per_image[:, None, None, None].expand_as(gain), atol=1e-4, rtol=0)
    assert stats.kstest(per_image.numpy(), "uniform", (0.5, 1.0)).pvalue > 0.01
    bright = (Warp(**STILL, brightness=0.2)(x, seeds) - x).mean((1, 2, 3))
    assert stats.kstest(bright.numpy(), "uniform", (-0.2, 0.4)).pvalue > 0.01
    contrasted = Warp(**STILL, contrast=0.3)(x, seeds)
    torch.testing.assert_close(contrasted.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=1e-5, rtol=0)
    ratio = contrasted.std((1, 2, 3)) / x.std((1, 2, 3))
    assert stats.kstest(ratio.numpy(), "uniform", (0.7, 0.6)).pvalue > 0.01
    noise = (Warp(**STILL, noise=0.1)(x, seeds) - x).flatten().numpy()
    assert stats.kstest(noise, "norm", (0, 0.1)).pvalue > 0.01
    holes = (Warp(**STILL, cutout=4)(x, seeds) == -1).sum((1, 2, 3))
    assert holes.max() == 16 and holes.min() >= 4


def test_values_stay_in_range_under_bfloat16_autocast() -> None:
    x = images()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(Warp(**EVERYTHING)(x, SEEDS), Warp(**EVERYTHING)(x, SEEDS))
        automatic = Warp()(x, SEEDS)
    torch.testing.assert_close(automatic, Warp()(x, SEEDS), rtol=0, atol=0)
    assert Warp(**EVERYTHING)(x, SEEDS).abs().max() <= 1
    assert Warp()(x.bfloat16(), SEEDS).dtype == torch.bfloat16


def test_colour_channels_move_together() -> None:
    grey = images(4)
    colour = grey.expand(-1, 3, -1, -1)
    warped = Warp(elastic=1.0, stroke=(-1.0, 1.0), blur=1.0)(colour, SEEDS[:4])
    assert torch.equal(warped[:, 0], warped[:, 2])


def test_invert_turns_whole_channels_round() -> None:
    x = torch.rand(400, 3, 8, 8) * 2 - 1
    seeds = torch.arange(400)
    turned = Warp(**STILL, invert=0.3)(x, seeds)
    sign = turned / x
    assert torch.allclose(sign, sign[:, :, :1, :1].expand_as(sign), atol=1e-4)
    flipped = sign[:, :, 0, 0] < 0
    assert 0.25 < flipped.float().mean() < 0.35
    assert (flipped.float().std(1) > 0).any()  # channels flip on their own
    assert torch.equal(Warp(**STILL, invert=1.0)(x, seeds), -x)


@pytest.mark.parametrize("options", [{"scale": (1.2, 0.8)}, {"stroke": (-2.0, 0.0)}, {"gain": (-1.0, 1.0)}])
def test_ranges_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ParamsError, match=next(iter(options))):
        Warp(**options)


@pytest.mark.parametrize("options", [{}, *({**STILL, key: value} for key, value in EVERYTHING.items()), {**STILL}])
def test_moves_pixels_is_what_a_single_bright_pixel_shows(options: dict[str, Any]) -> None:
    """Geometry and pen width change which pixels are bright; tones, blur and noise leave the brightest in its place."""
    warp = Warp(**options)
    geometric = not options or any(key in options for key in ("elastic", "stroke"))
    assert warp.moves_pixels == geometric
    if not geometric and not options.keys() & {"cutout", "invert"}:
        x = torch.full((12, 1, 24, 24), -0.9)
        x[:, :, 11, 7] = 0.8
        assert warp(x, SEEDS).flatten(1).argmax(1).tolist() == [11 * 24 + 7] * 12


@pytest.mark.parametrize(
    "option",
    [
        {"rotation": 1.0},
        {"scale": (1.0, 1.1)},
        {"shear": 1.0},
        {"translate": 0.01},
        {"elastic": 0.1},
        {"stroke": (0, 1)},
    ],
)
def test_every_geometric_option_moves_pixels_by_itself(option: dict[str, Any]) -> None:
    warp, x = Warp(**{**STILL, **option}), images()
    assert warp.moves_pixels and not torch.equal(warp(x, SEEDS), x)
    with pytest.raises(ParamsError, match=r"task\.x\.augmentation: this augmentation moves pixels.*Use `none`"):
        check_keeps_geometry(warp, "task.x.augmentation")


def test_who_does_not_say_is_taken_to_move_pixels() -> None:
    class Quiet(Augmentation):
        pass

    class Still(Augmentation):
        moves_pixels = False

    for one in (None, Identity(), Warp(**STILL, gain=(0.5, 1.5), noise=0.1, blur=1.0), Still()):
        check_keeps_geometry(one, "here")
    for other in (Quiet(), torch.nn.Identity()):
        with pytest.raises(ParamsError, match="here"):
            check_keeps_geometry(other, "here")
