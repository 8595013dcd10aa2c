from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from adaptgan_video.motions import wave
from adaptgan_video.pictures import write_gif
from PIL import Image, ImageSequence


def levels(length: int, views: int, channels: int = 3) -> torch.Tensor:
    """Every frame of every view of a grey of its own, -1 to 1."""
    return torch.linspace(-1, 1, length * views).view(length, views, 1, 1, 1).expand(-1, -1, channels, 8, 8)


def test_a_gif_shows_every_frame_and_waits_for_the_longest(tmp_path: Path) -> None:
    write_gif(tmp_path / "a.gif", [levels(4, 2), levels(2, 2)])
    with Image.open(tmp_path / "a.gif") as shown:
        assert shown.info["loop"] == 0
        frames = [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(shown)]
    assert len(frames) == 4
    size = 8 * 12
    for t, frame in enumerate(frames):
        expected = (levels(4, 2)[t, 1, 0, 0, 0] + 1) * 127.5
        assert abs(frame[size // 2, -size // 2, 0] - expected) < 4  # the first video's second view, upper right
        expected = (levels(2, 2)[min(t, 1), 0, 0, 0, 0] + 1) * 127.5
        assert abs(frame[-size // 2, size // 2, 0] - expected) < 4  # the second video's first view, lower left


@pytest.mark.parametrize("seed", range(5))
def test_a_wave_stays_within_its_reach(seed: int) -> None:
    swing = wave(np.random.default_rng(seed), 0.3, 0.2, 0.05)
    values = np.array([swing(frame) for frame in range(400)])
    assert np.abs(values - 0.3).max() <= 0.2 + 1e-12
    assert np.ptp(values) > 0.15
