"""Classes beside latents and images, written out one element at a time."""

from __future__ import annotations

import pytest
import torch

from adaptgan.errors import ParamsError
from adaptgan.networks.labels import concat_class_planes, concat_classes, one_hot_map, painted

LABELS = torch.tensor([2, 0])


def test_latents_carry_their_classes() -> None:
    z = torch.tensor([[0.5, -1.5], [2.0, 3.0]])
    expected = torch.tensor([[0.5, -1.5, 0.0, 0.0, 1.0], [2.0, 3.0, 1.0, 0.0, 0.0]])
    assert torch.equal(concat_classes(z, LABELS, 3), expected)
    with pytest.raises(ParamsError, match="without labels"):
        concat_classes(z, None, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_images_carry_their_classes(dtype: torch.dtype) -> None:
    images = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = concat_class_planes(images, LABELS, 3)
    assert found.shape == (2, 5, 3, 4) and found.dtype == dtype
    assert torch.equal(found[:, :2], images)
    for image, label in zip(found, LABELS.tolist(), strict=True):
        for k in range(3):
            assert (image[2 + k] == (k == label)).all()
    with pytest.raises(ParamsError, match="without labels"):
        concat_class_planes(images, None, 3)


def test_maps_become_planes() -> None:
    masks = torch.tensor([[[0, 2], [1, 1]]])
    expected = torch.tensor([[[1.0, 0], [0, 0]], [[0, 0], [1, 1]], [[0, 1], [0, 0]]])
    assert torch.equal(one_hot_map(masks, 3)[0], expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_painted_maps_tell_the_classes_apart(channels: int) -> None:
    masks = torch.arange(11).view(1, 1, 11)
    colours = painted(masks, 11, channels)[0, :, 0].T
    assert colours.shape == (11, channels) and colours.abs().max() <= 1
    assert (colours[0] == -1).all()
    assert torch.cdist(colours, colours)[~torch.eye(11, dtype=torch.bool)].min() > 0.15
