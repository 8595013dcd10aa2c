from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from adaptgan_text_to_image import grammar
from adaptgan_text_to_image.grid import LINE, drawn
from adaptgan_text_to_image.reading import judges, read_back
from PIL import Image

from adaptgan import DataInfo
from adaptgan.errors import DataError, ParamsError
from adaptgan.files import read_json
from adaptgan.models import save_model
from adaptgan.plugins import components

Cli = Callable[..., tuple[int, str, str]]
INFO = DataInfo(3, 32, 32, tuple(grammar.DIGITS))
METHOD = {
    "name": "gan_cls",
    "encoder": {"name": "gru_text_encoder", "word": 6, "width": 8},
    "generator": {"name": "text_generator", "text": 8, "noise": 4, "channels": 4},
    "discriminator": {"name": "text_discriminator", "text": 8, "channels": 4},
}
CAPTIONS = ("a thick red seven on green", "on black, a fine white two")


def saved(method: Any, folder: Path) -> Path:
    """A model folder of an untrained method."""
    torch.manual_seed(0)
    built = components().build("method", method, "method", [INFO])
    folder.mkdir(parents=True)
    card = {
        "method": components().resolve("method", method, "method"),
        "data": {"channels": 3, "height": 32, "width": 32, "classes": list(INFO.classes)},
        "fingerprint": "f" * 64,
    }
    save_model(built, card, folder)
    return folder


@pytest.fixture
def digits(adaptgan_ingest: Callable[..., Path]) -> Path:
    """40 captioned digits."""
    return adaptgan_ingest({"dataset": {"name": "captioned_digits", "count": 40}})


def test_a_training_set_is_made_of_captions_alone(
    digits: Path,
    adaptgan_ingest: Callable[..., Path],
    adaptgan_run: Callable[..., Any],
    adaptgan_cli: Cli,
    tmp_path: Path,
) -> None:
    from adaptgan import load_dataset

    folder = adaptgan_ingest({"dataset": {"name": "captioned_digits", "count": 20, "images": False}}, "test")
    model = adaptgan_run(METHOD, source=digits, target=None, steps=2, validation=0.2).folder
    (tmp_path / "params.yaml").write_text("tracking: {enabled: false}\nmade: {gate: []}\n")
    given = ("--model", model, "--from", folder, "--params", tmp_path / "params.yaml")
    assert adaptgan_cli("synthesize", "made", *given, "--out", tmp_path / "made")[0] == 0
    captions, made = load_dataset(folder), load_dataset(tmp_path / "made")
    assert len(made) == 20 and made.labels_N.tolist() == captions.labels_N.tolist()
    assert made.annotations("caption") == captions.annotations("caption")
    assert not captions.images_NCHW.any() and made.images_NCHW.min() > 100  # untrained: grey


def test_the_grid_has_a_row_for_each_caption(tmp_path: Path, adaptgan_cli: Cli) -> None:
    model, out = saved(METHOD, tmp_path / "model"), tmp_path / "grid.png"
    options = [part for caption in CAPTIONS for part in ("--caption", caption)]
    code, said, errors = adaptgan_cli("caption-grid", model, *options, "--out", out, "--columns", 3)
    assert code == 0 and "2 captions, 3 images each" in said, errors
    picture = np.asarray(Image.open(out))
    assert picture.shape[0] == 2 * (LINE + 64 + 2) and picture.shape[2] == 3
    assert (picture[:LINE] < 128).any()  # the caption is written there


def test_a_column_has_one_noise_and_a_seed_another(tmp_path: Path) -> None:
    from adaptgan import load_model

    model = load_model(saved(METHOD, tmp_path / "model"))
    images = drawn(model, [CAPTIONS[0], CAPTIONS[0]], 3, 0)
    assert images.shape == (2, 3, 3, 32, 32) and images.dtype == np.uint8
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0, 0], images[0, 1])
    assert not np.array_equal(images, drawn(model, [CAPTIONS[0], CAPTIONS[0]], 3, 1))


def test_what_the_grid_cannot_draw_is_told(tmp_path: Path, adaptgan_cli: Cli) -> None:
    model, other = saved(METHOD, tmp_path / "model"), saved("supervised", tmp_path / "other")
    for folder, caption, name, status, message in (
        (model, "a rad seven", "grid.png", 1, "unknown word 'rad'. Did you mean 'red'"),
        (model, CAPTIONS[0], "grid.jpg", 2, "must end in .png"),
        (other, CAPTIONS[0], "grid.png", 2, "'supervised' makes no images of captions"),
    ):
        code, _, errors = adaptgan_cli("caption-grid", folder, "--caption", caption, "--out", tmp_path / name)
        assert code == status and message in errors
    assert not (tmp_path / "grid.png").exists()


def test_attributes_are_read_back(
    digits: Path, adaptgan_cli: Cli, adaptgan_scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With readers that say one thing of every image, shares are those of that thing in the captions."""
    from adaptgan import load_dataset
    from adaptgan.stages.inference import Reader

    model = saved("supervised", tmp_path / "judge")
    monkeypatch.setattr(Reader, "predictions", lambda self, images: np.arange(len(images)) % 10 // 5 * 5)
    shares = tmp_path / "shares.json"
    code, said, errors = adaptgan_cli("read-back", digits, "--judge", f"digit={model}", "--out", shares)
    assert code == 0 and "of 40 images" in said, errors
    # Digits take turns: 0 and 5 are right.
    assert read_json(shares) == {"images": 40, "attributes": {"digit": 0.2}, "all": 0.2}
    assert load_dataset(digits).labels_N[:10].tolist() == list(range(10))
    assert read_json(adaptgan_scratch / "stages" / "read-back.json")["results"] == {"digit": 0.2, "all": 0.2}


def test_what_cannot_be_read_back_is_told(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="ATTRIBUTE=MODEL"):
        judges(["models/judge"])
    with pytest.raises(ParamsError, match="given already"):
        judges(["digit=a", "digit=b"])
    with pytest.raises(DataError, match=r"has colour .*Train it with `label: colour`"):
        read_back(digits, {"colour": saved("supervised", tmp_path / "judge")})
    with pytest.raises(ParamsError, match="no classifier"):
        read_back(digits, {"digit": saved(METHOD, tmp_path / "model")})


def test_commands_are_shown_without_torch() -> None:
    code = (
        "import sys; from adaptgan.cli.main import run\n"
        "try: run(['caption-grid', '--help'])\n"
        "except SystemExit: sys.exit('torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert shown.returncode == 0 and "A row of images of this" in shown.stdout


def test_commands_are_known_to_the_command_line(adaptgan_cli: Cli) -> None:
    code, shown, _ = adaptgan_cli("--help")
    assert code == 0 and "caption-grid" in shown and "read-back" in shown
