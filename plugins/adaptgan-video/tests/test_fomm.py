from __future__ import annotations

from typing import Any

import pytest
import torch
from adaptgan_video.fomm import FOMM, pyramid_distance

from adaptgan import load_model
from adaptgan.errors import ParamsError
from adaptgan.models import save_model
from adaptgan.plugins import components
from adaptgan.testing import check_method, tiny_info, tiny_side

INFO = tiny_info(channels=3, size=16)
TINY: dict[str, Any] = {
    "name": "fomm",
    "detector": {"name": "keypoint_detector", "keypoints": 3, "channels": 4},
    "motion": {"name": "dense_motion", "keypoints": 3, "channels": 4},
    "generator": {"name": "warping_generator", "channels": 4, "blocks": 1},
    "scales": 3,
}
JUDGE = {"name": "patchgan_discriminator", "channels": 4, "depth": 1}


def built(**options: Any) -> FOMM:
    torch.manual_seed(0)
    method = components().build("method", TINY | options, "method", [INFO])
    method.info = INFO
    return method


@pytest.mark.parametrize("options", [{}, {"gan": 1.0, "discriminator": JUDGE, "ema": 0.9, "jacobian": 0.0}])
def test_it_conforms(options: dict[str, Any]) -> None:
    method = check_method(TINY | options, info=INFO, batch_size=4)
    side = tiny_side(INFO, 4, 0, frames=1)
    assert method.score(side)["l1_copied"] > 0


def test_a_saved_model_animates_alike(tmp_path: Any) -> None:
    method = built().eval()
    config = components().resolve("method", TINY, "method")
    data = {"channels": 3, "height": 16, "width": 16, "classes": []}
    save_model(method, {"method": config, "data": data}, tmp_path)
    source, driving = torch.rand(2, 2, 3, 16, 16) * 2 - 1
    loaded: Any = load_model(tmp_path)
    assert torch.allclose(loaded.animate(source, driving), method.animate(source, driving), atol=1e-5)
    assert not any(name.startswith(("detector.", "discriminator.")) for name in _stored(tmp_path))


def test_losses_are_those_of_the_paper() -> None:
    """Each from its parts, as the equations have it."""
    from adaptgan.data.batch import Batch

    method, side = built(equivariance=7.0, jacobian=3.0, reconstruction=2.0).train(), tiny_side(INFO, 4, 0, frames=1)
    batch = Batch(side, None, 0, 0.0)
    losses = method.generator_loss(batch)
    made, wanted = batch.shared["made"], side.frames[:, 0]
    pyramid = sum((_mean_of_squares(made, 2**s) - _mean_of_squares(wanted, 2**s)).abs().mean() for s in range(3))
    assert torch.allclose(losses["reconstruction"], 2.0 * pyramid, atol=1e-5)
    driving, deformed, deformation = batch.shared["equivariance"]
    assert torch.allclose(losses["equivariance"], 7 * (driving[..., :2] - deformation(deformed[..., :2])).abs().mean())
    jacobian_x, jacobian_y = (one[..., 2:].unflatten(-1, (2, 2)) for one in (driving, deformed))
    chain = torch.linalg.inv(jacobian_x) @ deformation.jacobian(deformed[..., :2]) @ jacobian_y
    assert torch.allclose(losses["jacobian"], 3 * (torch.eye(2) - chain).abs().mean(), atol=1e-4)


@torch.no_grad()
def test_relative_motion_that_has_not_begun_is_no_motion() -> None:
    method = built().eval()
    method.averages["detector"].network.heat.weight *= 30  # untrained keypoints are all near the centre
    source, driving = torch.rand(2, 2, 3, 16, 16) * 2 - 1
    still = method.animate(source, source)
    assert torch.allclose(method.animate(source, driving, driving), still, atol=1e-4)
    assert not torch.allclose(method.animate(source, driving), still, atol=1e-4)


def test_the_pyramid_is_of_means_of_squares() -> None:
    made, wanted = torch.rand(2, 1, 3, 8, 8)
    expected = sum((_mean_of_squares(made, 2**s) - _mean_of_squares(wanted, 2**s)).abs().mean() for s in range(3))
    assert torch.allclose(pyramid_distance(made, wanted, 3), expected)


def test_numbers_of_keypoints_must_agree() -> None:
    with pytest.raises(ParamsError, match="finds 4 keypoints and the motion network takes 3"):
        built(detector={"name": "keypoint_detector", "keypoints": 4, "channels": 4})
    with pytest.raises(ParamsError, match=r"fomm\.scales"):
        built(scales=6)
    with pytest.raises(ParamsError, match="it needs a `discriminator`"):
        built(gan=1.0)


def _mean_of_squares(images: torch.Tensor, side: int) -> torch.Tensor:
    return images.unflatten(-1, (-1, side)).mean(-1).unflatten(-2, (-1, side)).mean(-2)


def _stored(folder: Any) -> list[str]:
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "pt") as file:
        return list(file.keys())
