"""The hourglass translator: what passes its waist, and what goes round it."""

from __future__ import annotations

import pytest
import torch

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.hourglass import HourglassTranslator


@pytest.mark.parametrize("skips", [0, 1, 2])
def test_any_size_and_the_channels_of_the_pair(skips: int) -> None:
    data = DataInfo(1, 40, 80, paired=3)
    network = HourglassTranslator(data, noise=5, channels=4, skips=skips)
    made = network(torch.rand(2, 1, 40, 80), torch.randn(2, 5))
    assert made.shape == (2, 3, 40, 80)
    assert made.abs().max() < 1


def test_without_skips_all_goes_through_the_waist() -> None:
    torch.manual_seed(0)
    x, z = torch.rand(2, 1, 32, 32), torch.randn(2, 8)
    for skips in (0, 2):
        network = HourglassTranslator(DataInfo(1, 32, 32), noise=8, channels=4, skips=skips).eval()
        with torch.no_grad():
            network.join[0].weight[:, : network.waist[0]] = 0  # the waist forgets the image, and keeps the noise
        moved = (network(x, z) - network(x.flip(3), z)).abs().max()
        assert (moved == 0) == (skips == 0)
        assert (network(x, z) - network(x, -z)).abs().max() > 0


def test_more_skips_than_maps() -> None:
    with pytest.raises(ParamsError, match="4 maps are to be handed over, and there are 2"):
        HourglassTranslator(DataInfo(1, 32, 32), skips=4)
