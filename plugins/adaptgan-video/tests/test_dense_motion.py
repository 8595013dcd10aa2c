from __future__ import annotations

import math

import torch
from adaptgan_video import affine
from adaptgan_video.dense_motion import candidates, difference

from adaptgan.plugins import components
from adaptgan.testing import check_network, tiny_info

INFO = tiny_info(channels=3, size=16)
SMALL = {"name": "dense_motion", "keypoints": 3, "channels": 4}


def some_keypoints(n: int, seed: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    places = torch.rand(n, 3, 2, generator=draw) - 0.5
    return affine.keypoints(places, torch.eye(2) + 0.2 * torch.randn(n, 3, 2, 2, generator=draw))


def test_it_conforms() -> None:
    images = torch.rand(8, 3, 16, 16) * 2 - 1
    network = check_network(SMALL, images, some_keypoints(8, 0), some_keypoints(8, 1), info=INFO)
    motion = network(images, some_keypoints(8, 0), some_keypoints(8, 1))
    assert motion.shape == (8, 3, 16, 16)
    assert motion[:, 2].min() >= 0
    assert motion[:, 2].max() <= 1


def test_its_flow_lies_among_the_candidates() -> None:
    network = components().build("network", SMALL | {"reduce": 2}, "network", [INFO])
    source, driving = some_keypoints(4, 0), some_keypoints(4, 1)
    flow = network(torch.rand(4, 3, 16, 16), source, driving)[:, :2].movedim(1, -1)
    assert flow.shape == (4, 8, 8, 2)
    among = candidates(source, driving, (8, 8))
    assert (flow >= among.amin(1) - 1e-5).all()
    assert (flow <= among.amax(1) + 1e-5).all()


def test_for_an_affine_motion_every_candidate_is_the_exact_inverse_warp() -> None:
    """The driving frame is the source moved by z ↦ A z + b: keypoints move along, Jacobians are multiplied by A."""
    turn = torch.tensor(0.4)
    matrix = 1.2 * torch.tensor([[turn.cos(), -turn.sin()], [turn.sin(), turn.cos()]]) + torch.tensor(
        [[0.0, 0.1], [0.0, 0.0]]
    )
    shift = torch.tensor([0.15, -0.2])
    source = some_keypoints(2, 5)
    driving = affine.keypoints(affine.places(source) @ matrix.T + shift, matrix @ affine.jacobians(source))
    found = candidates(source, driving, (6, 7))
    z = affine.grid(6, 7, source)
    assert torch.allclose(found[:, 0], z.expand(2, -1, -1, -1))
    expected = (z - shift) @ torch.linalg.inv(matrix).T
    for k in range(3):
        assert torch.allclose(found[:, k + 1], expected.expand(2, -1, -1, -1), atol=1e-4)


def test_the_candidates_bring_a_moved_image_back() -> None:
    z = affine.grid(64, 64, torch.zeros(1))
    picture = torch.exp(-8 * (z - torch.tensor([0.1, -0.1])).square() @ torch.tensor([1.0, 3.0]))[None, None]
    turn = math.radians(30)
    matrix = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    inverse = (z - torch.tensor([0.1, 0.0])) @ matrix  # of z ↦ A z + b, A a rotation
    driving_picture = torch.exp(-8 * (inverse - torch.tensor([0.1, -0.1])).square() @ torch.tensor([1.0, 3.0]))[
        None, None
    ]
    source = affine.keypoints(torch.zeros(1, 1, 2), torch.eye(2).expand(1, 1, 2, 2))
    driving = affine.keypoints(torch.tensor([[[0.1, 0.0]]]), matrix.expand(1, 1, 2, 2))
    warped = affine.warped(picture, candidates(source, driving, (64, 64))[:, 1])
    assert (warped - driving_picture).abs().max() < 0.01
    assert (picture - driving_picture).abs().max() > 0.2


def test_heat_maps_are_where_the_keypoints_are() -> None:
    source, driving = some_keypoints(1, 0), some_keypoints(1, 1)
    heat = difference(source, driving, (9, 9), 0.01)
    z = affine.grid(9, 9, source)
    for k in range(3):
        gaussians = [
            torch.exp(-0.5 * (z - affine.places(one)[0, k]).square().sum(-1) / 0.01) for one in (driving, source)
        ]
        assert torch.allclose(heat[0, k], gaussians[0] - gaussians[1], atol=1e-6)
    assert torch.equal(difference(source, source, (9, 9), 0.01), torch.zeros(1, 3, 9, 9))
