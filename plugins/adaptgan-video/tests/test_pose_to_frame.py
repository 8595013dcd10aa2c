from __future__ import annotations

from typing import Any

import pytest
import torch
from adaptgan_video.pose_to_frame import PoseToFrame

from adaptgan.data.batch import Batch
from adaptgan.errors import ParamsError
from adaptgan.plugins import components
from adaptgan.testing import check_method, check_network, tiny_info, tiny_side

INFO = tiny_info(channels=3, size=16, paired=1)
TINY: dict[str, Any] = {
    "name": "pose_to_frame",
    "generator": {"name": "frame_generator", "channels": 4},
    "discriminator": {"name": "frame_discriminator", "channels": 4, "depth": 1},
}
ALONE = {"smoothing": False, "discriminator": {**TINY["discriminator"], "frames": 1}}


def built(**options: Any) -> PoseToFrame:
    torch.manual_seed(0)
    return components().build("method", TINY | options, "method", [INFO])


@pytest.mark.parametrize("options", [{}, ALONE, {"gan": 0, "feature_matching": 0, "ema": 0.9}])
def test_it_conforms(options: dict[str, Any]) -> None:
    check_method(TINY | options, info=INFO, batch_size=4)


def test_its_networks_conform() -> None:
    poses, frames = torch.rand(8, 3, 16, 16) * 2 - 1, torch.rand(8, 1, 16, 16) * 2 - 1
    generator = check_network(TINY["generator"], poses, frames, info=INFO)
    assert torch.equal(generator(poses), generator(poses, torch.zeros(8, 1, 16, 16)))
    assert not torch.allclose(generator(poses), generator(poses, frames))
    check_network(TINY["discriminator"], torch.rand(8, 8, 16, 16), info=INFO)
    check_network(ALONE["discriminator"], torch.rand(8, 4, 16, 16), info=INFO)


def test_the_second_frame_is_made_of_the_first() -> None:
    """ŷ_{t−1} = G(x_{t−1} | 0), ŷ_t = G(x_t | ŷ_{t−1}), and D sees (x_{t−1}, x_t, ŷ_{t−1}, ŷ_t)."""
    method, side = built(), tiny_side(INFO, 4, 0, frames=1)
    batch = Batch(side, None, 0, 0.0)
    first, second = method.made(batch)
    assert torch.equal(first, method.generator(side.images_NCHW, torch.zeros(4, 1, 16, 16)))
    assert torch.equal(second, method.generator(side.frames[:, 0], first))
    seen = method.judged(method.poses(batch), method.wanted(batch))
    assert torch.equal(seen, torch.cat([side.images_NCHW, side.frames[:, 0], side.paired, side.paired_frames[:, 0]], 1))


def test_without_smoothing_frames_are_made_and_judged_alone() -> None:
    method, side = built(**ALONE), tiny_side(INFO, 4, 0, frames=1)
    batch = Batch(side, None, 0, 0.0)
    _, second = method.made(batch)
    assert torch.equal(second, method.generator(side.frames[:, 0]))
    seen = method.judged(method.poses(batch), method.wanted(batch))
    assert seen.shape == (8, 4, 16, 16)
    assert torch.equal(seen[:4], torch.cat([side.images_NCHW, side.paired], 1))


def test_the_loss_of_both_frames_reaches_the_first() -> None:
    method, side = built(gan=0, feature_matching=0, l1=3.0), tiny_side(INFO, 4, 0, frames=1)
    batch = Batch(side, None, 0, 0.0)
    losses = method.generator_loss(batch)
    (first, second), (y, z) = batch.shared["made"], (side.paired, side.paired_frames[:, 0])
    assert losses.keys() == {"l1"}
    assert torch.allclose(losses["l1"], 3 * ((first - y).abs().mean() + (second - z).abs().mean()))


def test_videos_are_rendered_frame_after_frame() -> None:
    method, poses = built().eval(), torch.rand(2, 3, 3, 16, 16) * 2 - 1
    video = method.render(poses)
    assert video.shape == (2, 3, 1, 16, 16)
    before = None
    for t in range(3):
        before = method.average(poses[:, t], before) if t else method.translate(poses[:, 0])
        assert torch.allclose(video[:, t], before, atol=1e-6)
    alone = built(**ALONE).eval()
    assert torch.allclose(alone.render(poses)[:, 2], alone.translate(poses[:, 2]), atol=1e-6)


def test_a_discriminator_of_the_wrong_number_of_frames_is_refused() -> None:
    with pytest.raises(ParamsError, match="judges 2 frame"):
        built(smoothing=False)
    with pytest.raises(ParamsError, match="judges 1 frame"):
        built(discriminator=ALONE["discriminator"])
    with pytest.raises(ParamsError, match="are all 0"):
        built(gan=0, feature_matching=0, l1=0)
