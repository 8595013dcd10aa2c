from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_fomm import TINY as FOMM
from test_pose_to_frame import TINY as POSE

from adaptgan import load_dataset
from adaptgan.files import read_json
from adaptgan.testing import check_plugin

Cli = Callable[..., tuple[int, str, str]]
Ingest = Callable[..., Path]
Train = Callable[[dict[str, object], Path], Path]
Call = Callable[..., str]


@pytest.fixture
def call(adaptgan_cli: Cli) -> Call:
    """A command that succeeds; gives what it says."""

    def run(*arguments: object) -> str:
        code, said, errors = adaptgan_cli(*arguments)
        assert code == 0, errors
        return said

    return run


@pytest.fixture
def trained(adaptgan_run: Callable[..., Any]) -> Train:
    def train(method: dict[str, object], source: Path) -> Path:
        run = adaptgan_run(method, source=source, target=None, steps=2, batch_size=4, validation=0.34)
        folder: Path = run.folder
        return folder

    return train


def test_the_plugin_conforms() -> None:
    names = {f"{spec.kind}/{spec.name}" for spec in check_plugin("adaptgan-video")}
    assert {"dataset/moving_figures", "method/fomm", "method/pose_to_frame"} <= names


def test_its_commands_cost_no_torch() -> None:
    code = (
        "import sys; from adaptgan.cli.main import run\n"
        "try: run(['animate', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "--relative" in shown


def test_fomm_from_data_to_numbers(
    tmp_path: Path, ingested: Ingest, trained: Train, call: Call, adaptgan_scratch: Path
) -> None:
    train, test = ingested(), ingested("test", sequences=2)
    model = trained(FOMM, train)
    scores, gif = tmp_path / "scores.json", tmp_path / "scores.gif"
    call("video-scores", "--model", model, "--test", test, "--train", train, "--out", scores, "--gif", gif)
    found = json.loads(scores.read_text())
    assert found["rows"].keys() == {"made", "copied", "mean"}
    assert found["rows"]["made"].keys() == {"l1", "tracking"}
    assert (found["videos"], found["frames"]) == (2, 8)
    stage = read_json(adaptgan_scratch / "stages" / "video-scores.json")
    assert stage["results"]["made/tracking"] == found["rows"]["made"]["tracking"]
    with Image.open(gif) as shown:
        assert shown.n_frames == 4

    out = tmp_path / "animated"
    call("animate", "--model", model, "--source", test, "--driving", train, "--out", out, "--relative")
    made, driving, stills = load_dataset(out), load_dataset(train), load_dataset(test)
    assert made.keys == driving.keys
    assert made.images_NCHW.shape == driving.images_NCHW.shape
    record = made.record(5)
    assert record.annotations == {"sequence": "train_000001", "frame": 1}
    assert record.provenance["source_key"] == stills.keys[4]
    assert record.provenance["driving_key"] == driving.keys[5]
    call("animate", "--model", model, "--source", test, "--driving", train, "--out", out)
    assert read_json(adaptgan_scratch / "stages" / "animate.json")["results"] == {"frames": 12}
    assert load_dataset(out).record(5).annotations == driving.record(5).annotations


def test_pose_to_frame_from_data_to_numbers(
    tmp_path: Path, ingested: Ingest, trained: Train, call: Call, adaptgan_scratch: Path
) -> None:
    train, test = ingested(pose=True), ingested("test", pose=True)
    model = trained(POSE, train)
    scores = tmp_path / "scores.json"
    call("video-scores", "--model", model, "--test", test, "--out", scores)
    assert json.loads(scores.read_text())["rows"]["made"].keys() == {"l1", "flicker"}

    out, gif = tmp_path / "frames", tmp_path / "frames.gif"
    call("pose-transfer", "--model", model, "--poses", test, "--out", out, "--gif", gif, "--rows", 2)
    made, poses = load_dataset(out), load_dataset(test)
    assert made.keys == poses.keys
    assert made.record(3).annotations == poses.record(3).annotations
    with Image.open(gif) as shown:  # poses, made and true frames, enlarged 6 times
        assert shown.size == (6 * (3 * 16 + 2), 6 * (2 * 16 + 1))

    first = tmp_path / "first"
    path = tmp_path / "params.yaml"
    path.write_text("seed: 0\ntracking: {enabled: false}\nrefine: {gate: []}\n")
    call("synthesize", "refine", "--params", path, "--model", model, "--from", test, "--out", first)
    made, single = load_dataset(out).images_NCHW, load_dataset(first).images_NCHW
    assert np.abs(made[::4].astype(int) - single[::4]).max() <= 1  # the first frames of the videos
    assert (made[1::4] != single[1::4]).any()


def test_the_wrong_model_or_data_is_refused(
    tmp_path: Path, ingested: Ingest, trained: Train, adaptgan_cli: Cli
) -> None:
    train = ingested()
    model = trained(FOMM, train)
    for arguments, message in (
        (("pose-transfer", "--poses", train), "takes a trained 'pose_to_frame'; this is 'fomm'"),
        (("video-scores", "--test", ingested(image_size=32)), "the model was trained on 3×16×16"),
    ):
        code, _, errors = adaptgan_cli(*arguments, "--model", model, "--out", tmp_path / "out")
        assert code and message in errors
    assert not (tmp_path / "out").exists()
