"""The realism stage, with squares as images and a generator that draws them."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from adaptgan.components import ComponentSpec
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import decode_png, to_uint8
from adaptgan.datainfo import DataInfo
from adaptgan.errors import DataError, ParamsError
from adaptgan.files import read_json, scratch, staged
from adaptgan.latents.drawing import sampled
from adaptgan.methods.generative import GenerativeMethod
from adaptgan.metrics.class_balance import ClassBalance
from adaptgan.metrics.density_coverage import DensityCoverage
from adaptgan.metrics.fid import FID
from adaptgan.metrics.kid import KID
from adaptgan.metrics.precision_recall import PrecisionRecall
from adaptgan.metrics.spaces import PixelPCA, scale_to_unit
from adaptgan.models import load_model, save_model
from adaptgan.params import load
from adaptgan.plugins import components, plugins
from adaptgan.stages.environment import environment
from adaptgan.stages.image_sets import COLUMNS, named_paths
from adaptgan.stages.realism import realism
from tests import evaluated
from tests.conftest import write_params
from tests.evaluated import CLASSES, draw, write_set

INFO = DataInfo(1, 12, 12, CLASSES)
SEED = 3


class Squares(nn.Module):
    """Class y is a bright square in row y; z decides its brightness."""

    n_noise = 4

    def __init__(self, conditional: bool) -> None:
        super().__init__()
        self.conditional = conditional
        self.brightness = nn.Parameter(torch.tensor(0.8))

    def forward(self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        row = torch.zeros(len(z_NZ), dtype=torch.int64) if labels_N is None else labels_N
        there = torch.arange(12) // 4 == row[:, None]
        return torch.where(there[:, None, :, None], self.brightness * z_NZ[:, :1, None, None].tanh(), -0.9).expand(
            -1, 1, 12, 12
        )


class Drawer(GenerativeMethod):
    """A generator without a method to train it.

    Args:
        conditional: whether classes decide the row.
    """

    def __init__(self, conditional: bool = True) -> None:
        super().__init__(Squares(conditional), 0.9)


@pytest.fixture(autouse=True)
def drawer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = types.ModuleType("realism_parts")
    module.Drawer = Drawer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "realism_parts", module)
    registry = plugins().components
    registry._specs[("method", "drawer")] = ComponentSpec("method", "drawer", "realism_parts:Drawer", "squares")
    yield
    registry._specs.pop(("method", "drawer"))


def save_drawer(folder: Path, conditional: bool = True) -> Path:
    config = {"name": "drawer", "conditional": conditional}
    method = components().build("method", config, "drawer")
    with staged(folder) as out:
        save_model(method, {"method": config, "data": asdict(INFO), "fingerprint": "d" * 64}, out)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Real images (sealed), generated ones with labels and without, and a generator."""
    rng = np.random.default_rng(0)
    for name, count, level, noise in (("real", 90, 70, 40), ("good", 60, 75, 38), ("poor", 70, 200, 4)):
        labels = rng.integers(0, 3, count)
        images = draw(labels, level, noise, count)
        write_set(tmp_path / name, images, None if name == "poor" else labels, prefix="i", seal=name == "real")
    save_drawer(tmp_path / "generator")
    write_params(tmp_path / "params.yaml", seed=SEED)
    return tmp_path


def run(project: Path, *generated: str, overrides: tuple[str, ...] = (), real: str = "real") -> dict[str, Any]:
    return realism(
        load(project / "params.yaml", overrides),
        real=project / real,
        generated={name: project / name for name in generated},
        out=project / "realism.json",
        plots=project / "plots",
    )


def test_numbers_are_the_metrics_of_the_features(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(project, "good", "poor")
    images = {name: ShardDataset(project / name).images_NCHW for name in ("real", "good", "poor")}
    space = PixelPCA(images["real"])
    real, good, poor = scale_to_unit(*(space(images[name]) for name in ("real", "good", "poor")))
    for name, features in (("good", good), ("poor", poor)):
        expected: dict[str, float] = {}
        for metric in (FID(), KID(), PrecisionRecall(), DensityCoverage()):
            expected |= metric(features, real, SEED)
        assert result["sets"][name]["pixels"] == pytest.approx(expected, rel=1e-6)
    assert list(result["sets"]) == ["good", "poor", "floor"]
    floor = result["sets"]["floor"]["pixels"]
    assert floor["kid"] < result["sets"]["good"]["pixels"]["kid"] < result["sets"]["poor"]["pixels"]["kid"]
    assert result["extractors"]["pixels"]["floor"] == [45, 45]
    assert result["extractors"]["pixels"]["scaled"] is True
    about = result["about"]
    assert {name: one["images"] for name, one in about.items()} == {"real": 90, "good": 60, "poor": 70}
    assert about["good"]["digest"] == ShardDataset(project / "good").digest
    assert all(one["seconds"] >= 0 for one in about.values()) and result["seconds"] > 0
    assert read_json(project / "realism.json") == result
    out = capsys.readouterr().out
    assert all(text in out for text in ("in pixels", "precision", "good", "poor", "floor", "45/45"))


def test_the_floor_takes_other_images_where_there_are_enough(project: Path) -> None:
    result = run(project, "good", overrides=("realism.images=40",))
    assert result["extractors"]["pixels"]["floor"] == [40, 40]
    assert {name: one["images"] for name, one in result["about"].items()} == {"real": 40, "good": 40, "floor": 40}
    assert run(project, "good", overrides=("realism.images=60",))["extractors"]["pixels"]["floor"] == [30, 60]
    assert run(project, "good", overrides=("realism.images=61",))["extractors"]["pixels"]["floor"] == [30, 31]


def test_a_generator_is_sampled_evenly_and_the_seed_decides(project: Path) -> None:
    options = ("realism.images=50", "realism.batch_size=16")
    result = run(project, "generator", overrides=options)
    assert result["about"]["generator"] | {"seconds": 0} == {
        "path": str(project / "generator"),
        "made_by": "model",
        "digest": "d" * 64,
        "images": 50,
        "seconds": 0,
    }
    labels = torch.arange(50) % 3
    made = sampled(load_model(project / "generator"), SEED, range(50), labels)  # type: ignore[arg-type]
    write_set(project / "stored", to_uint8(made)[:, 0].numpy(), labels.numpy(), prefix="g")
    again = run(project, "generator", "stored", overrides=options)
    stored = again["sets"]["stored"]["pixels"]  # the same images, in another order
    assert again["sets"]["generator"] == result["sets"]["generator"]
    for name in ("fid", "precision", "recall", "density", "coverage"):
        assert stored[name] == pytest.approx(result["sets"]["generator"]["pixels"][name], rel=1e-9)
    other = run(project, "generator", overrides=(*options, "seed=4"))["sets"]["generator"]["pixels"]
    assert other["fid"] != result["sets"]["generator"]["pixels"]["fid"]
    low = run(project, "generator", overrides=(*options, "realism.truncation=0.01"))
    assert low["sets"]["generator"]["pixels"]["recall"] < 0.05


def test_contact_sheets_have_a_row_for_each_class(project: Path) -> None:
    save_drawer(project / "unconditional", conditional=False)
    run(project, "generator", "poor", "unconditional", overrides=("realism.images=45",))
    sheets = {path.stem: decode_png(path.read_bytes()) for path in (project / "plots").iterdir()}
    assert set(sheets) == {"real", "generator", "poor", "unconditional"}
    factor, cell = 4, 13
    assert sheets["generator"].shape == ((3 * cell - 1) * factor, (COLUMNS * cell - 1) * factor)
    for label in range(3):
        tile = sheets["generator"][label * cell * factor :][: 12 * factor, : 12 * factor]
        bright = tile.reshape(3, 4 * factor, -1)
        assert (bright != 13).any((1, 2)).tolist() == [row == label for row in range(3)]
    assert sheets["poor"].shape == ((3 * cell - 1) * factor, (COLUMNS * cell - 1) * factor)  # 45 images, 20 in a row


def test_class_probabilities_come_from_a_model(project: Path) -> None:
    labels = np.arange(60) % 3
    source = write_set(project / "source", draw(labels, 200, 4, 0), labels, prefix="s")
    evaluated.train_model(project / "judge", "judge", draw(labels, 200, 4, 0), labels, source=source, steps=30)
    judge = f"{{name: model, path: {project / 'judge'}}}"
    extractors = f"realism.extractors=[{judge}, pixels, {judge}]"
    measures = "realism.metrics=[fid, class_balance, {name: inception_score, splits: 2}]"
    result = run(project, "poor", overrides=(extractors, measures))
    assert list(result["extractors"]) == ["model", "pixels", "model 2"]
    assert [space["classes"] for space in result["extractors"].values()] == [3, None, 3]
    assert result["extractors"]["model"]["width"] == 12
    judged: Any = load_model(project / "judge")
    with torch.inference_mode():
        p, real = (
            judged.predict(torch.from_numpy(ShardDataset(project / name).images_NCHW) / 127.5 - 1).numpy()
            for name in ("poor", "real")
        )
    found = result["sets"]["poor"]["model"]
    assert found["class_balance"] == pytest.approx(ClassBalance()(p, real, 0)["class_balance"], rel=1e-6)
    assert 1 < found["inception_score"] <= 3
    assert result["sets"]["poor"]["model 2"] == found
    assert set(result["sets"]["poor"]["pixels"]) == {"fid"}
    (recorded,) = (scratch() / "stages").glob("realism*.json")
    results = json.loads(recorded.read_text())["results"]
    assert results["fid/poor"] == found["fid"]
    assert results["pixels.fid/floor"] == result["sets"]["floor"]["pixels"]["fid"]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["realism.metrics=[fid, {name: fid}]"], r"realism\.metrics\[1\].*'fid' is there twice"),
        (["realism.metrics=[fdi]"], r"realism\.metrics\[0\].*unknown metric 'fdi'.*'fid'"),
        (["realism.metrics=[inception_score]"], r"inception_score.*extractors \(pixels\).*name: model"),
        (["realism.extractors=[{name: pixels, components: 0}]"], r"realism\.extractors\[0\]\.components"),
        (["realism.images=3"], r"realism\.images.*found 3"),
        (["realism.extractors=[]"], r"realism\.extractors.*at least 1"),
        (["realism.imags=3"], r"realism\.imags.*'images'"),
        (["realism.truncation=0"], r"realism\.truncation"),
    ],
)
def test_a_wrong_option_is_named(project: Path, overrides: list[str], expected: str) -> None:
    with pytest.raises(ParamsError, match=f"(?s){expected}"):
        run(project, "good", overrides=tuple(overrides))


def test_what_cannot_be_judged_is_named(project: Path) -> None:
    with pytest.raises(DataError, match="neither a data set.*nor a model folder"):
        run(project, "nothing")
    small = np.zeros((12, 8, 8), np.uint8)
    write_set(project / "small", small, None, prefix="x")
    with pytest.raises(DataError, match=r"small .* has images of \(1, 8, 8\).*of \(1, 12, 12\)"):
        run(project, "small")
    labels = np.arange(12) % 3
    evaluated.train_model(project / "judge", "judge", draw(labels, 9, 4, 0), labels, source=project / "good", steps=1)
    with pytest.raises(ParamsError, match="'supervised' makes no images from noise"):
        run(project, "judge")
    assert not (project / "realism.json").exists()  # all or nothing


@pytest.mark.parametrize("text", ["dcgan", "=models/x", "a/b=models/x", "x=", ".x=models/x", "real=x", "floor=x"])
def test_a_wrong_name_is_named(text: str) -> None:
    with pytest.raises(ParamsError, match="--generated"):
        named_paths([text], ("real", "floor"))


def test_names_are_given_once() -> None:
    assert named_paths(["a=x=y", "b-1.2=z"], ()) == {"a": Path("x=y"), "b-1.2": Path("z")}
    with pytest.raises(ParamsError, match="'a' is taken"):
        named_paths(["a=x", "a=y"], ())
    with pytest.raises(ParamsError, match="at least one"):
        named_paths([], ())


def test_the_command(project: Path, run_cli: Callable[..., tuple[int, str, str]], monkeypatch: Any) -> None:
    monkeypatch.chdir(project)
    arguments = ["realism", "--real", "real", "--generated", "a=good", "--generated", "b=generator"]
    code, out, err = run_cli(*arguments, "--set", "realism.images=50", "--plots", "reports/realism")
    assert code == 0, err
    assert "floor" in out
    assert list(read_json(Path("reports/realism.json"))["sets"]) == ["a", "b", "floor"]
    assert {path.name for path in Path("reports/realism").iterdir()} == {"real.png", "a.png", "b.png"}
    code, _, err = run_cli("realism", "other", "--real", "real", "--generated", "a=good")
    assert code == 2 and "no section 'other'" in err
    write_params(Path("params.yaml"), judged={"extractors": ["pixels"], "metrics": ["kid"], "images": 20})
    code, _, err = run_cli("realism", "judged", "--real", "real", "--generated", "a=good")
    assert code == 0, err
    assert set(read_json(Path("reports/realism.json"))["sets"]["a"]["pixels"]) == {"kid", "kid_std"}


def test_the_environment_knows_the_section(tmp_path: Path) -> None:
    params = write_params(tmp_path / "params.yaml", realism={"metrics": ["fid"]}, mine={"extractors": ["pixels"]})
    environment(load(params), out=tmp_path / "environment")
    used = {name: read_json(tmp_path / f"environment/{name}.json")["components"] for name in ("realism", "mine")}
    assert set(used["realism"]) == {"extractor/pixels", "metric/fid"}
    assert {"extractor/pixels", "metric/precision_recall"} <= set(used["mine"])
    params = write_params(tmp_path / "params.yaml", realism={"extractors": ["pixls"]}, mine={"extractors": [], "a": 1})
    with pytest.raises(ParamsError, match=r"(?s)realism\.extractors\[0\].*pixls.*mine\.a") as caught:
        environment(load(params), out=tmp_path / "environment")
    assert "'pixels'" in str(caught.value)


def test_evaluate_can_name_the_new_metrics(tmp_path: Path) -> None:
    evaluated.build(tmp_path)
    quick = "evaluate.feature_map=false"
    found = evaluated.run(tmp_path, quick, "evaluate.realism=[fid, precision_recall, density_coverage]")["realism"]
    for name in ("source", "adapted", "floor"):
        assert {"fid", "precision", "recall", "density", "coverage"} <= set(found[name])
    assert found["floor"]["fid"] < found["source"]["fid"]


@pytest.mark.parametrize("metric", ["inception_score", "class_balance"])
def test_evaluate_refuses_metrics_of_probabilities_before_it_loads_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str
) -> None:
    loaded: list[str] = []
    for name in ("ShardDataset", "load_rows", "load_snapshots", "load_judge"):
        monkeypatch.setattr(f"adaptgan.stages.evaluate.{name}", lambda *_, name=name, **__: loaded.append(name))
    (tmp_path / "params.yaml").write_text("seed: 0\ntracking: {enabled: false}\n")
    with pytest.raises(ParamsError, match=rf"evaluate\.realism\[1\]: {metric} is measured.*`adaptgan realism`"):
        evaluated.run(tmp_path, f"evaluate.realism=[fid, {metric}]")
    assert loaded == []
