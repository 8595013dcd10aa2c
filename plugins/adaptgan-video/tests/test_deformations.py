from __future__ import annotations

import torch
from adaptgan_video import affine
from adaptgan_video.deformations import Deformation, random_deformation
from adaptgan_video.fomm import inequivariance

SEEDS = torch.tensor([3, 2**60, 17])


def test_the_jacobian_is_autograds() -> None:
    deformation = random_deformation(SEEDS, 0.1, 0.05)
    places = torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = deformation.jacobian(places)
    for n in range(3):
        for m in range(4):

            def at(place: torch.Tensor, n: int = n) -> torch.Tensor:
                return deformation(place.expand(3, 1, 2))[n, 0]

            expected = torch.autograd.functional.jacobian(at, places[n, m])
            assert torch.allclose(found[n, m], expected, atol=1e-4)


def test_without_strength_it_is_the_identity() -> None:
    deformation, places = random_deformation(SEEDS, 0.0, 0.0), torch.rand(3, 5, 2)
    images = torch.rand(3, 1, 8, 8)
    assert torch.allclose(deformation(places), places)
    assert torch.allclose(deformation.deformed(images), images, atol=1e-6)


def test_each_record_has_a_deformation_of_its_own() -> None:
    places = torch.rand(1, 5, 2)
    together = random_deformation(SEEDS, 0.05, 0.005)(places.expand(3, -1, -1))
    alone = random_deformation(SEEDS[1:2], 0.05, 0.005)(places)
    assert torch.allclose(together[1], alone[0])
    assert not torch.allclose(together[0], together[1])


def test_a_detector_that_follows_has_no_equivariance_loss_and_one_that_does_not_has_some() -> None:
    """Keypoints of X are T(those of Y), their Jacobians dT · those of Y: what eq. 10 asks of a true detector."""
    draw = torch.Generator().manual_seed(1)
    deformation = random_deformation(SEEDS, 0.1, 0.02)
    y_places, y_jacobians = (
        torch.rand(3, 4, 2, generator=draw) - 0.5,
        torch.eye(2) + 0.1 * torch.randn(3, 4, 2, 2, generator=draw),
    )
    deformed = affine.keypoints(y_places, y_jacobians)
    driving = affine.keypoints(deformation(y_places), deformation.jacobian(y_places) @ y_jacobians)
    place, jacobian = inequivariance(driving, deformed, deformation)
    assert place < 1e-6
    assert jacobian < 1e-4
    place, jacobian = inequivariance(deformed, deformed, deformation)
    assert place > 0.01
    assert jacobian > 0.01


def test_a_bright_spot_moves_against_the_deformation() -> None:
    """Y(z) = X(T(z)): what is at p in X is at T⁻¹(p) in Y. The brightest pixel's keypoint obeys T_{X←Y}(p_Y) = p_X."""
    identity = torch.eye(2, 3).expand(1, -1, -1).clone()
    identity[:, :, 2] = torch.tensor([0.25, -0.125])  # T(z) = z + b
    deformation = Deformation(identity, torch.zeros(1, 25, 2), torch.zeros(25, 2))
    images = torch.zeros(1, 1, 16, 16)
    images[0, 0, 6, 10] = 1.0
    row, column = divmod(int(deformation.deformed(images).argmax()), 16)
    grid = affine.grid(16, 16, images)
    assert torch.allclose(deformation(grid[row, column].view(1, 1, 2))[0, 0], grid[6, 10], atol=1e-6)
