from __future__ import annotations

import pytest
import torch
from adaptgan_video import affine
from adaptgan_video.warping_generator import blended, followed

from adaptgan.errors import ParamsError
from adaptgan.plugins import components
from adaptgan.testing import check_network, tiny_info

INFO = tiny_info(channels=3, size=16)
SMALL = {"name": "warping_generator", "channels": 4, "blocks": 1}


def still(n: int, occlusion: float) -> torch.Tensor:
    flow = affine.grid(8, 8, torch.zeros(1)).movedim(-1, 0).expand(n, -1, -1, -1)
    return torch.cat([flow, torch.full((n, 1, 8, 8), occlusion)], 1)


@pytest.mark.parametrize("options", [{}, {"skips": True, "norm": "instance"}, {"halvings": 1}])
def test_it_conforms(options: dict[str, object]) -> None:
    images = torch.rand(8, 3, 16, 16) * 2 - 1
    made = check_network(SMALL | options, images, still(8, 0.7), info=INFO)(images, still(8, 0.7))
    assert made.shape == images.shape
    assert made.abs().max() <= 1


def test_with_skips_what_stands_still_and_is_seen_is_the_source() -> None:
    network = components().build("network", SMALL | {"skips": True}, "network", [INFO]).eval()
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    assert torch.allclose(network(images, still(2, 1.0)), images, atol=1e-5)


def test_hidden_features_do_not_reach_the_decoder() -> None:
    network = components().build("network", SMALL, "network", [INFO]).eval()
    one, other = torch.rand(2, 2, 3, 16, 16)
    assert torch.allclose(network(one, still(2, 0.0)), network(other, still(2, 0.0)))
    assert not torch.allclose(network(one, still(2, 1.0)), network(other, still(2, 1.0)))


def test_maps_follow_the_flow_and_lose_what_is_hidden() -> None:
    maps = torch.rand(1, 2, 8, 8)
    motion = still(1, 1.0)
    motion[:, 0] += 2 / 8  # look one pixel to the right
    motion[:, 2, :4] = 0.5
    seen, occlusion = followed(maps, motion)
    assert torch.allclose(seen[..., 4:, :7], maps[..., 4:, 1:], atol=1e-5)
    assert torch.allclose(seen[..., :4, :7], 0.5 * maps[..., :4, 1:], atol=1e-5)
    assert torch.allclose(blended(maps, torch.ones(1, 2, 8, 8), motion), seen + 1 - occlusion)


def test_a_size_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"warping_generator\.halvings"):
        components().build("network", SMALL | {"halvings": 5}, "network", [INFO])
