from __future__ import annotations

import torch
from adaptgan_video import affine


def test_the_grid_is_of_pixels_centres() -> None:
    grid = affine.grid(2, 4, torch.zeros(1))
    assert grid.shape == (2, 4, 2)
    assert torch.allclose(grid[0, :, 0], torch.tensor([-0.75, -0.25, 0.25, 0.75]))
    assert torch.allclose(grid[:, 0, 1], torch.tensor([-0.5, 0.5]))


def test_warping_along_the_grid_changes_nothing() -> None:
    images = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    grid = affine.grid(5, 7, images).expand(2, -1, -1, -1)
    assert torch.allclose(affine.warped(images, grid), images, atol=1e-6)


def test_warping_looks_where_it_is_told() -> None:
    images = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    right = affine.grid(6, 6, images) + torch.tensor([2 / 6, 0.0])
    assert torch.allclose(affine.warped(images, right[None])[..., :5], images[..., 1:], atol=1e-6)
    assert torch.allclose(affine.warped(images, right[None])[..., 5], images[..., 5], atol=1e-6)  # the edge goes on


def test_inverses_are_torchs() -> None:
    matrices = torch.randn(40, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    matrices = matrices[torch.linalg.det(matrices).abs().amin(1) > 0.05]
    assert len(matrices) > 10
    expected = torch.linalg.inv(matrices.double()).float()
    assert torch.allclose(affine.inverse(matrices), expected, rtol=1e-3, atol=1e-4)


def test_what_has_no_inverse_gives_finite_numbers_and_gradients() -> None:
    flat = torch.tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    affine.inverse(flat).sum().backward()
    assert torch.isfinite(affine.inverse(flat)).all()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()


def test_products_are_torchs_and_stay_in_float32_under_autocast() -> None:
    draw = torch.Generator().manual_seed(2)
    left, right, vectors = (torch.randn(5, *shape, generator=draw) for shape in ((2, 2), (2, 2), (2,)))
    with torch.autocast("cpu", torch.bfloat16):
        product, moved = affine.product(left, right), affine.applied(left, vectors)
    assert product.dtype == moved.dtype == torch.float32
    assert torch.allclose(product, left @ right, atol=1e-6)
    assert torch.allclose(moved, (left @ vectors[..., None])[..., 0], atol=1e-6)


def test_relative_keypoints_take_over_what_has_changed() -> None:
    draw = torch.Generator().manual_seed(3)
    source, driving, first = (
        affine.keypoints(
            torch.randn(1, 4, 2, generator=draw), torch.randn(1, 4, 2, 2, generator=draw) + 3 * torch.eye(2)
        )
        for _ in range(3)
    )
    assert torch.allclose(affine.relative(source, first, first), source, atol=1e-4)  # nothing has moved yet
    new = affine.relative(source, driving, first)
    assert torch.allclose(affine.places(new), affine.places(source) + affine.places(driving) - affine.places(first))
    # Eq. 14: J_k, which dense_motion makes as J_S J_new⁻¹, is J_D1 J_D⁻¹.
    made = affine.jacobians(source) @ torch.linalg.inv(affine.jacobians(new))
    assert torch.allclose(made, affine.jacobians(first) @ torch.linalg.inv(affine.jacobians(driving)), atol=1e-3)
