"""Methods that learn from annotations, or from further frames: through the real stages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter, iter_records
from tests.conftest import write_params

CODE = """
from adaptgan import ComponentSpec, hookimpl

@hookimpl
def adaptgan_register_components():
    return [
        ComponentSpec("method", "shades", "shade_parts:Shades", "images of one grey from a word"),
        ComponentSpec("method", "forecast", "shade_parts:Forecast", "the next frame from this one"),
    ]
"""

PARTS = '''
import numpy as np
import torch
from torch import nn

from adaptgan import Method, OptimizerOptions, Phase
from adaptgan.datainfo import DataInfo
from adaptgan.errors import DataError

WORDS = ("dark", "middle", "bright")


class Shades(Method):
    """Images of one grey from a word.

    Args:
        lr: of its three greys.
    """

    conditions = ("shade",)
    translates = "conditions"
    needs_labels = False

    def __init__(self, data: DataInfo, lr: float = 0.1) -> None:
        super().__init__()
        self.shape, self.lr = (data.channels, data.height, data.width), lr
        self.greys = nn.Embedding(3, 1)

    def encode_conditions(self, annotations):
        if annotations["shade"] not in WORDS:
            raise DataError(f"there is no shade {annotations['shade']!r}")
        return np.array([WORDS.index(annotations["shade"])])

    def phases(self):
        return [Phase("greys", ("greys",), self.loss, OptimizerOptions(lr=self.lr))]

    def loss(self, batch):
        made = self.greys(batch.source.conditions)[:, :, :, None]
        return {"l2": (made - batch.source.images_NCHW).square().mean()}

    def translate(self, conditions_N, seeds_N=None):
        return self.greys(conditions_N)[:, :, :, None].expand(-1, *self.shape).clamp(-1, 1)


class Forecast(Method):
    """The next frame from this one: how much brighter each is than the last.

    Args:
        lr: of the one number that it learns.
    """

    frames = 1
    frame_order = "following"
    needs_labels = False

    def __init__(self, data: DataInfo, lr: float = 0.01) -> None:
        super().__init__()
        self.lr = lr
        self.brighter = nn.Linear(1, 1)

    def phases(self):
        return [Phase("brighter", ("brighter",), self.loss, OptimizerOptions(lr=self.lr))]

    def loss(self, batch):
        one = torch.ones(1, 1, device=batch.source.images_NCHW.device)
        change = batch.source.frames[:, 0] - batch.source.images_NCHW
        return {"l2": (self.brighter(one) - change).square().mean()}

    def score(self, held_out):
        return {"change": (held_out.frames[:, 0] - held_out.images_NCHW).mean().item()}
'''

LEVELS = {"dark": 40, "middle": 128, "bright": 220}


@pytest.fixture
def shades(third_party: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The methods are installed; a folder to work in."""
    third_party("shade-gan", CODE)
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "shade_parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(str(parts))
    write_params(
        tmp_path / "params.yaml",
        refiner={"method": "shades", "training": {"steps": 80, "batch_size": 12, "precision": "32-true"}},
        task={"video": {"method": "forecast", "training": {"steps": 5, "batch_size": 4, "validation": 0.5}}},
        refine={"gate": []},
    )
    return tmp_path


def written(folder: Path, records: list[Record]) -> Path:
    folder.mkdir()
    with ShardWriter(folder, ("even", "odd")) as writer:
        for record in records:
            writer.write(record)
    return folder


def greys(folder: Path, words: list[str], blank: bool = False) -> Path:
    def record(number: int, word: str) -> Record:
        image = np.zeros((4, 4) if blank else (8, 8), np.uint8) + (0 if blank else LEVELS[word])
        return Record(f"r{number}", image, number % 2, {"shade": word, "note": number})

    return written(folder, [record(number, word) for number, word in enumerate(words)])


def test_images_are_made_from_annotations_alone(shades: Path, run_cli: Any) -> None:
    source = greys(shades / "source", [*LEVELS] * 8)
    model, made = shades / "model", shades / "made"
    params = ("--params", shades / "params.yaml")
    code, _, told = run_cli("train", "refiner", *params, "--source", source, "--out", model)
    assert code == 0, told
    asked = greys(shades / "asked", ["bright", "dark", "bright"], blank=True)
    code, _, told = run_cli("synthesize", "refine", *params, "--model", model, "--from", asked, "--out", made)
    assert code == 0, told
    found = list(iter_records(made))
    assert [record.annotations["shade"] for record in found] == ["bright", "dark", "bright"]
    assert [record.label for record in found] == [0, 1, 0] and [record.annotations["note"] for record in found] == [
        0,
        1,
        2,
    ]
    for record in found:
        assert record.image.shape == (8, 8) and abs(int(record.image[0, 0]) - LEVELS[record.annotations["shade"]]) < 6
    assert ShardDataset(made).info.height == 8


def test_what_cannot_be_encoded_names_the_record(shades: Path, run_cli: Any, tiny_source: Path) -> None:
    source = written(shades / "source", [Record("r0", np.zeros((8, 8), np.uint8), 0, {"shade": "mauve"})])
    params = ("--params", shades / "params.yaml", "--out", shades / "model")
    code, _, told = run_cli("train", "refiner", *params, "--source", source)
    assert code == 1 and "record 'r0': there is no shade 'mauve'" in told and "Traceback" not in told
    code, _, told = run_cli("train", "refiner", *params, "--source", tiny_source)
    assert code == 1 and "annotation `shade`" in told


def test_sequences_are_learned_from_and_held_out_whole(shades: Path, run_cli: Any) -> None:
    """Each sequence grows brighter by its own step; half of the sequences are held out."""
    records = [
        Record(f"s{s}f{f}", np.full((8, 8), 10 + s * f * 5, np.uint8), 0, {"sequence": f"s{s}", "frame": f})
        for s in range(4)
        for f in range(6)
    ]
    source = written(shades / "video", records)
    model = shades / "forecast"
    code, _, told = run_cli(
        "train", "task.video", "--params", shades / "params.yaml", "--source", source, "--out", model
    )
    assert code == 0, told
    change = json.loads((model / "model.json").read_text())["scores"]["change"] * 127.5 / 5
    assert min(abs(change - (a + b) / 2) for a in range(4) for b in range(a)) < 0.01  # two whole sequences
