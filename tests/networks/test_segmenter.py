from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.networks.segmenter import ConvSegmenter
from adaptgan.plugins import components


def data(channels: int = 1, height: int = 32, width: int = 32, classes: int = 2) -> DataInfo:
    return DataInfo(channels, height, width, tuple("abcdef"[:classes]), "segmentation")


@pytest.mark.parametrize("info", [data(), data(3, 28, 45, 5), data(1, 13, 7, 3)])
def test_a_logit_for_every_pixel_and_class_at_any_size(info: DataInfo) -> None:
    network = ConvSegmenter(info, widths=(4, 6, 8))
    x = torch.randn(2, info.channels, info.height, info.width)
    logits, features = network(x, features=True)
    assert logits.shape == (2, info.n_outputs, info.height, info.width)
    assert features.shape == (2, network.n_features) == (2, 8)
    assert torch.equal(network.eval()(x), network(x, features=True)[0])


def test_features_are_the_bottlenecks_mean() -> None:
    network = ConvSegmenter(data(), widths=(4, 8)).eval()
    seen: list[torch.Tensor] = []
    network.down[-1].register_forward_hook(lambda _, __, out: seen.append(out))
    _, features = network(torch.randn(3, 1, 32, 32), features=True)
    assert seen[0].shape == (3, 8, 16, 16)
    torch.testing.assert_close(features, seen[0].flatten(2).mean(2))


def test_sees_fine_detail_and_far_context() -> None:
    """Skips: a pixel's own logit follows it. Depth: so does one 9 pixels away, which 3×3 convolutions alone miss."""
    torch.manual_seed(0)
    network = ConvSegmenter(data(), widths=(4, 6, 8)).eval().double()
    x = torch.randn(1, 1, 32, 32, dtype=torch.float64)
    moved = x.clone()
    moved[0, 0, 16, 16] += 1
    change = (network(moved) - network(x)).abs().amax((0, 1))
    assert change[16, 16] > 10 * change[16, 25] > 0
    shallow = ConvSegmenter(data(), widths=(4,)).eval().double()
    assert (shallow(moved) - shallow(x))[..., 25].abs().max() == 0


def test_learns_a_mask_that_needs_the_pixel_and_its_surroundings() -> None:
    """Pixels of squares, but not lone bright pixels."""
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(1)
    truth = torch.zeros(32, 16, 16, dtype=torch.long)
    for n in range(32):
        top, left = (int(v) for v in torch.randint(0, 11, (2,), generator=rng))
        truth[n, top : top + 5, left : left + 5] = 1
    noise = torch.rand(32, 16, 16, generator=rng) < 0.1
    x = ((truth == 1) | noise).float()[:, None] * 2 - 1
    network = ConvSegmenter(data(height=16, width=16), widths=(6, 8))
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(60):
        loss = nn.functional.cross_entropy(network(x), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    wrong = (network(x).argmax(1) != truth).float().mean()
    assert wrong < 0.02 < ((x[:, 0] > 0) != (truth == 1)).float().mean()


def test_too_small_an_image_is_refused_and_the_name_is_known() -> None:
    with pytest.raises(ValueError, match="at least 4×4, these are 3×9"):
        ConvSegmenter(data(height=3, width=9))
    built = components().build("network", {"name": "conv_segmenter", "widths": [4, 4]}, "", [data(3)])
    assert isinstance(built, ConvSegmenter) and built.head.out_channels == 2
