"""pipelines/unpaired_256 from two folders of pictures to translated ones, at its own size with narrow networks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

from adaptgan.cli import register
from adaptgan.cli.main import app
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import to_float
from adaptgan.models import load_model
from adaptgan.params import SynthesizeSection, TrainSection, load
from adaptgan.stages.train import train

FOLDER = Path(__file__).parents[2] / "pipelines" / "unpaired_256"
COUNT = 3
NARROW = [
    *(f"translator.method.{name}generator.{option}" for name in ("", "back_") for option in ("channels=2", "blocks=1")),
    *(f"translator.method.{name}discriminator.channels=2" for name in ("", "back_")),
    "translator.training.steps=2",
    "translator.training.device=cpu",
    "translator.training.precision=32-true",
    "translator.training.workers=0",
    "translate.device=cpu",
    "translate.precision=32-true",
    "tracking.enabled=false",
]  # fmt: skip


def commands() -> list[list[str]]:
    """What `dvc repro` would run, in order."""
    stages = yaml.safe_load((FOLDER / "dvc.yaml").read_text())
    own = stages["vars"][0]["own"]
    found = []
    for stage in stages["stages"].values():
        command = (stage.get("do") or stage)["cmd"].replace("${own}", own)
        found += [command.replace("${item}", item) for item in stage.get("foreach", [""])]
    return [re.split(r"\s+", command) for command in found]


def picture(seed: int, red: bool) -> Image.Image:
    """A smooth one, of another size than 256×256."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    coarse[..., 0 if red else 2] //= 4
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, _quiet_machine: None) -> Path:
    root = tmp_path_factory.mktemp("unpaired")
    for side in ("source", "target"):
        for label in ("a", "b"):
            folder = root / "images" / side / label
            folder.mkdir(parents=True)
            for number in range(COUNT):
                picture(number, side == "source").save(folder / f"{number}.png")
    (root / "pipelines").mkdir()
    (root / "pipelines" / "unpaired_256").symlink_to(FOLDER)
    register(app)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for program, *arguments in commands():
            assert program == "adaptgan"
            given = [part for override in NARROW for part in ("--set", override)]
            answer = CliRunner().invoke(app, [*arguments, *given], catch_exceptions=False)
            assert answer.exit_code == 0, answer.output
    return root


def test_all_images_come_out_translated_with_their_labels(finished: Path) -> None:
    source = ShardDataset(finished / "data/unpaired_256/source")
    made = ShardDataset(finished / "data/unpaired_256/translated")
    assert made.images_NCHW.shape == (2 * COUNT, 3, 256, 256)
    assert made.keys == source.keys and made.labels_N.tolist() == source.labels_N.tolist()
    translator: Any = load_model(finished / "models/unpaired_256/translator")
    with torch.no_grad():
        expected = translator.translate(to_float(torch.from_numpy(source.images_NCHW[:2].copy())))
    assert (to_float(torch.from_numpy(made.images_NCHW[:2].copy())) - expected).abs().max() <= 1.01 / 127.5
    assert list((finished / "reports/unpaired_256/runs/translator/samples").glob("*.png"))


def test_training_sees_other_crops_of_both_sides(finished: Path) -> None:
    """Without the transforms of a side, its images and so the losses are others."""
    path = finished / "pipelines/unpaired_256/params.yaml"
    sides = {name: finished / "data/unpaired_256" / name for name in ("source", "target")}
    logs = {"both": finished / "reports/unpaired_256/runs/translator"}
    for which in ("transforms", "target_transforms"):
        params = load(path, [*NARROW, f"translator.training.{which}=[]"])
        logs[which] = finished / "logs" / which
        train(params, "translator", out=finished / "models" / which, log=logs[which], **sides)
    seen = {which: json.loads((log / "losses.jsonl").read_text())["losses"] for which, log in logs.items()}
    for loss in ("generators/cycle", "generators/back_cycle"):
        assert len({losses[loss] for losses in seen.values()}) == 3


def test_the_settings_are_the_papers() -> None:
    params = load(FOLDER / "params.yaml")
    section = params.section("translator", TrainSection)
    method: Any = section.method
    assert (method["cycle"], method["identity"], method["history"]) == (10, 0.5, 50)
    assert method["generator"] == {"name": "resnet_translator", "channels": 64, "blocks": 9}
    assert method["generator"] == method["back_generator"]
    assert (section.training.batch_size, section.training.steps) == (1, 200 * 1000)
    assert params.section("translate", SynthesizeSection).gate == []
