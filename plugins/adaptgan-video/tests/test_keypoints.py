from __future__ import annotations

import pytest
import torch
from adaptgan_video import affine
from adaptgan_video.keypoints import distribution, expected_place

from adaptgan.errors import ParamsError
from adaptgan.plugins import components
from adaptgan.testing import check_network, tiny_info

INFO = tiny_info(channels=3, size=16)
SMALL = {"name": "keypoint_detector", "keypoints": 3, "channels": 4}


@pytest.mark.parametrize("options", [{}, {"reduce": 2}, {"levels": 1, "norm": "instance"}])
def test_it_conforms(options: dict[str, object]) -> None:
    check_network(SMALL | options, info=INFO)


def test_the_soft_argmax_of_a_gaussian_is_its_centre() -> None:
    grid = affine.grid(40, 60, torch.zeros(1))
    centre = torch.tensor([0.21, -0.37])
    heat = -(grid - centre).square().sum(-1) / (2 * 0.1**2)  # its softmax is the Gaussian's density, on a fine grid
    assert torch.allclose(expected_place(distribution(heat[None, None]))[0, 0], centre, atol=1e-4)


def test_the_soft_argmax_is_the_expectation() -> None:
    heat = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    share, expected = heat.exp(), torch.zeros(2, 3, 2, dtype=torch.float64)
    share = share / share.sum((2, 3), keepdim=True)
    for row in range(4):
        for column in range(5):
            place = torch.tensor([(2 * column + 1) / 5 - 1, (2 * row + 1) / 4 - 1], dtype=torch.float64)
            expected += share[:, :, row, column, None] * place
    assert torch.allclose(expected_place(distribution(heat.float())).double(), expected, atol=1e-6)


def test_one_hot_pixel_is_found_where_it_is() -> None:
    heat = torch.zeros(1, 1, 8, 8)
    heat[0, 0, 2, 5] = 200.0
    assert torch.allclose(expected_place(distribution(heat))[0, 0], torch.tensor([11 / 8 - 1, 5 / 8 - 1]), atol=1e-5)


def test_jacobians_start_as_the_identity_and_places_inside() -> None:
    torch.manual_seed(0)
    network = components().build("network", SMALL, "network", [INFO])
    keypoints = network(torch.rand(4, 3, 16, 16) * 2 - 1)
    assert keypoints.shape == (4, 3, 6)
    assert torch.allclose(affine.jacobians(keypoints), torch.eye(2).expand(4, 3, 2, 2), atol=1e-5)
    assert affine.places(keypoints).abs().max() < 1


def test_without_jacobians_they_are_the_identity() -> None:
    network = components().build("network", SMALL | {"jacobian": False}, "network", [INFO])
    keypoints = network(torch.rand(2, 3, 16, 16))
    assert torch.equal(affine.jacobians(keypoints), torch.eye(2).expand(2, 3, 2, 2))
    assert not any("around" in name for name, _ in network.named_parameters())


def test_images_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(ParamsError, match=r"keypoint_detector\.levels"):
        components().build("network", SMALL | {"levels": 4}, "network", [INFO])
    with pytest.raises(ParamsError, match=r"keypoint_detector\.reduce"):
        components().build("network", SMALL | {"reduce": 3}, "network", [INFO])
