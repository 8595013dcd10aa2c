"""Sheets and GIFs, read back by Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from adaptgan.errors import ParamsError
from adaptgan.latents.pictures import CAPTION, check_name, picture, write_gif, write_png


def test_small_images_are_enlarged_by_a_whole_factor() -> None:
    images = torch.linspace(-1, 1, 6 * 3 * 8 * 8).view(6, 3, 8, 8)
    found = picture(images, 4)
    assert found.shape == (2 * 65 - 1, 4 * 65 - 1, 3)
    expected = ((images[5].permute(1, 2, 0).numpy() + 1) * 127.5).round()
    np.testing.assert_allclose(found[65:129:8, 65:129:8], expected, atol=1)
    assert (found[65:73, 65:73] == found[65, 65]).all()  # a pixel became a square
    assert (found[65:, 130:] == 255).all() and (found[64] == 255).all()
    assert picture(torch.zeros(1, 1, 28, 28), 1).shape == (56, 56)
    assert picture(torch.zeros(1, 1, 100, 80), 1).shape == (100, 80)


def test_captions_are_below_the_images() -> None:
    found = picture(-torch.ones(2, 1, 32, 32), 2, ["1", "88"])
    assert found.shape == (64 + CAPTION, 129) and (found[:64, :64] == 0).all()
    inks = [int((255 - found[64:, left : left + 64].astype(int)).sum()) for left in (0, 65)]
    assert 0 < inks[0] < inks[1]


@pytest.mark.parametrize("channels", [1, 3])
def test_files(tmp_path: Path, channels: int) -> None:
    frames = [picture(torch.full((1, channels, 32, 32), level), 1) for level in (-1.0, 0.0, 1.0)]
    write_png(tmp_path / "a.png", frames[1])
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), frames[1])
    write_gif(tmp_path / "a.gif", frames, 0.1)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 3 and image.info["loop"] == 0  # type: ignore[attr-defined]
        shown = []
        for frame in range(3):
            image.seek(frame)
            shown.append((int(np.asarray(image.convert("L"))[5, 5]), image.info["duration"]))
        assert shown == [(0, 800), (128, 100), (255, 800)]
    assert {path.name for path in tmp_path.iterdir()} <= {"a.png", "a.gif", ".adaptgan"}


def test_names() -> None:
    check_name(Path("a.PNG"), ".png")
    with pytest.raises(ParamsError, match="must end in .png or .gif"):
        check_name(Path("a.jpg"), ".png", ".gif")
