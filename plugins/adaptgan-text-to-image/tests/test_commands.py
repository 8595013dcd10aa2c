from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from adaptgan_text_to_image import grammar
from adaptgan_text_to_image.grid import LINE, drawn
from adaptgan_text_to_image.reading import judges, read_back
from PIL import Image

from adaptgan import DataInfo
from adaptgan.cli.main import run
from adaptgan.errors import DataError, ParamsError
from adaptgan.models import save_model
from adaptgan.params import load
from adaptgan.plugins import components
from adaptgan.stages.ingest import ingest
from adaptgan.stages.synthesize import synthesize
from adaptgan.stages.train import train

INFO = DataInfo(3, 32, 32, tuple(grammar.DIGITS))
METHOD = {
    "name": "gan_cls",
    "encoder": {"name": "gru_text_encoder", "word": 6, "width": 8},
    "generator": {"name": "text_generator", "text": 8, "noise": 4, "channels": 4},
    "discriminator": {"name": "text_discriminator", "text": 8, "channels": 4},
}
CAPTIONS = ("a thick red seven on green", "on black, a fine white two")


def cli(*arguments: object) -> int:
    try:
        run([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


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
def params(tmp_path: Path, adaptgan_scratch: Path) -> Any:
    sections = {
        "tracking": {"enabled": False},
        "data": {"dataset": {"name": "captioned_digits", "count": 40}},
        "captions": {"dataset": {"name": "captioned_digits", "count": 20, "images": False}},
        "generator": {"method": METHOD, "training": {"steps": 2, "batch_size": 8, "validation": 0.2}},
        "made": {"gate": []},
    }
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(sections))
    return load(path)


def test_a_training_set_is_made_of_captions_alone(params: Any, tmp_path: Path) -> None:
    from adaptgan import load_dataset

    ingest(params, "data", tmp_path / "data", "train")
    ingest(params, "captions", tmp_path / "captions", "test")
    train(params, "generator", source=tmp_path / "data", out=tmp_path / "model", log=tmp_path / "log")
    synthesize(params, "made", model=tmp_path / "model", source=tmp_path / "captions", out=tmp_path / "made")
    captions, made = load_dataset(tmp_path / "captions"), load_dataset(tmp_path / "made")
    assert len(made) == 20 and made.labels_N.tolist() == captions.labels_N.tolist()
    assert made.annotations("caption") == captions.annotations("caption")
    assert not captions.images_NCHW.any() and made.images_NCHW.min() > 100  # untrained: grey


def test_the_grid_has_a_row_for_each_caption(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, out = saved(METHOD, tmp_path / "model"), tmp_path / "grid.png"
    options = [part for caption in CAPTIONS for part in ("--caption", caption)]
    assert cli("caption-grid", model, *options, "--out", out, "--columns", 3) == 0
    assert "2 captions, 3 images each" in capsys.readouterr().out
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


def test_what_the_grid_cannot_draw_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, other = saved(METHOD, tmp_path / "model"), saved("supervised", tmp_path / "other")
    assert cli("caption-grid", model, "--caption", "a rad seven", "--out", tmp_path / "grid.png") == 1
    assert "unknown word 'rad'. Did you mean 'red'" in capsys.readouterr().err
    assert cli("caption-grid", model, "--caption", CAPTIONS[0], "--out", tmp_path / "grid.jpg") == 2
    assert "must end in .png" in capsys.readouterr().err
    assert cli("caption-grid", other, "--caption", CAPTIONS[0], "--out", tmp_path / "grid.png") == 2
    assert "'supervised' makes no images of captions" in capsys.readouterr().err
    assert not (tmp_path / "grid.png").exists()


def test_attributes_are_read_back(params: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With readers that say one thing of every image, shares are those of that thing in the captions."""
    from adaptgan import load_dataset
    from adaptgan.stages.inference import Reader

    ingest(params, "data", tmp_path / "data", "train")
    model = saved("supervised", tmp_path / "judge")
    monkeypatch.setattr(Reader, "predictions", lambda self, images: np.arange(len(images)) % 10 // 5 * 5)
    shares = read_back(tmp_path / "data", judges([f"digit={model}"]), tmp_path / "shares.json")
    assert shares == {"images": 40, "attributes": {"digit": 0.2}, "all": 0.2}  # digits take turns: 0 and 5 are right
    assert json.loads((tmp_path / "shares.json").read_text()) == shares
    assert load_dataset(tmp_path / "data").labels_N[:10].tolist() == list(range(10))


def test_what_cannot_be_read_back_is_told(params: Any, tmp_path: Path) -> None:
    ingest(params, "data", tmp_path / "data", "train")
    with pytest.raises(ParamsError, match="ATTRIBUTE=MODEL"):
        judges(["models/judge"])
    with pytest.raises(ParamsError, match="given already"):
        judges(["digit=a", "digit=b"])
    with pytest.raises(DataError, match=r"has colour .*Train it with `label: colour`"):
        read_back(tmp_path / "data", {"colour": saved("supervised", tmp_path / "judge")})
    with pytest.raises(ParamsError, match="no classifier"):
        read_back(tmp_path / "data", {"digit": saved(METHOD, tmp_path / "model")})


def test_commands_are_shown_without_torch() -> None:
    code = (
        "import sys; from adaptgan.cli.main import run\n"
        "try: run(['caption-grid', '--help'])\n"
        "except SystemExit: sys.exit('torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert shown.returncode == 0 and "A row of images of this" in shown.stdout


def test_commands_are_known_to_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("--help") == 0
    shown = capsys.readouterr().out
    assert "caption-grid" in shown and "read-back" in shown
