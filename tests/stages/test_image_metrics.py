"""A third party's metric that looks at images: in evaluate and its report, in realism and in fidelity."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from adaptgan.components import ComponentSpec
from adaptgan.data.dataset import ShardDataset
from adaptgan.errors import ParamsError
from adaptgan.files import read_json, scratch
from adaptgan.metrics.realism import halves
from adaptgan.params import load
from adaptgan.plugins import plugins
from adaptgan.reporting.measures import further
from adaptgan.stages.fidelity import fidelity
from adaptgan.stages.realism import realism
from adaptgan.stages.report import report
from tests import evaluated
from tests.conftest import write_params
from tests.evaluated import draw, write_set

SAID = "mean <difference> of pixels"


class Brightness:
    """How much brighter the judged images are.

    Args:
        factor: of the difference.
    """

    wants: ClassVar[str] = "images"
    numbers: ClassVar[dict[str, str]] = {"how_bright": SAID}

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def __call__(self, images_NCHW: np.ndarray, real_NCHW: np.ndarray, seed: int) -> dict[str, float]:
        assert images_NCHW.dtype == real_NCHW.dtype == np.uint8
        assert images_NCHW.shape[1:] == real_NCHW.shape[1:] == (1, 12, 12)
        return {"how_bright": self.factor * float(images_NCHW.mean() - real_NCHW.mean())}


@pytest.fixture(autouse=True)
def brightness(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = types.ModuleType("image_metric_parts")
    module.Brightness = Brightness  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "image_metric_parts", module)
    specs = plugins().components._specs
    specs[("metric", "brightness")] = ComponentSpec("metric", "brightness", "image_metric_parts:Brightness", "means")
    yield
    specs.pop(("metric", "brightness"))


def mean(folder: Path) -> float:
    return float(ShardDataset(folder).images_NCHW.mean())


def test_evaluate_measures_it_once_and_the_report_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluated.build(tmp_path)
    metrics = "evaluate.realism=[kid, a_distance, {name: brightness, factor: 2}]"
    result = evaluated.run(tmp_path, metrics, "evaluate.images=1000")
    data = tmp_path / "data"
    for role in ("source", "adapted"):
        expected = 2 * (mean(data / role) - mean(data / "target"))
        assert result["realism"][role]["how_bright"] == pytest.approx(expected)
        assert "how_bright" not in str(result["realism"][role]["cross_check"])
    real = ShardDataset(data / "target").images_NCHW
    one, other = halves(len(real), evaluated.SEED)
    floor = 2 * float(real[one].mean() - real[other].mean())
    assert result["realism"]["floor"]["how_bright"] == pytest.approx(floor)
    assert result["realism_numbers"] == {"how_bright": SAID}
    recorded = read_json(scratch() / "stages/evaluate.json")["results"]
    assert recorded["how_bright/adapted"] == result["realism"]["adapted"]["how_bright"]
    assert f"how bright: source {result['realism']['source']['how_bright']:.3g}" in capsys.readouterr().out

    paths = {role: data / role for role in ("source", "target", "adapted", "quarantine", "test")}
    reports = tmp_path / "reports"
    report(
        evaluated.params(tmp_path),
        metrics=reports / "metrics.json",
        plots=reports / "plots",
        runs=reports / "runs",
        out=reports / "index.html",
        **paths,
    )
    page = re.sub(r"\s+", " ", (reports / "index.html").read_text())
    assert "how bright <span" in page and "mean &lt;difference&gt; of pixels" in page
    for role in ("source", "adapted", "floor"):
        assert f">{result['realism'][role]['how_bright']:.3f}</td>".replace("-", "−") in page


def test_a_page_without_further_measures_has_no_table_of_them() -> None:
    known = {"kid": 0.1, "kid_std": 0.01, "a_distance": 1.0, "domain_error": 0.2, "cross_check": {"pixels": {}}}
    assert further({"realism": {"source": known, "floor": known}}) is None
    fid = {"realism": {"source": known | {"fid": 3.0, "fid_std": 0.5}, "floor": known}}
    assert further(fid) == {
        "sets": ["synthetic", "real, one half to the other"],
        "rows": [("fid", "", ["3.000 ± 0.500", "–"])],
    }


def test_evaluate_still_refuses_what_wants_probabilities(tmp_path: Path) -> None:
    evaluated.build(tmp_path)
    with pytest.raises(ParamsError, match=r"evaluate.realism\[0\]: class_balance is measured on class probabilities"):
        evaluated.run(tmp_path, "evaluate.realism=[class_balance]")


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    for name, count, level in (("real", 50, 70), ("made", 40, 120)):
        labels = np.arange(count) % 3
        write_set(tmp_path / name, draw(labels, level, 10, count), labels, prefix="i")
    write_params(tmp_path / "params.yaml", seed=3)
    return tmp_path


def test_realism_has_it_beside_the_feature_spaces(sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*overrides: str) -> dict:
        given = {"generated": {"made": sets / "made"}, "out": sets / "realism.json"}
        return realism(load(sets / "params.yaml", overrides), real=sets / "real", **given)

    result = run("realism.metrics=[kid, brightness]", "realism.images=1000")
    assert list(result["extractors"]) == ["pixels", "images"]
    assert set(result["sets"]["made"]["pixels"]) == {"kid", "kid_std"}
    expected = mean(sets / "made") - mean(sets / "real")
    assert result["sets"]["made"]["images"] == {"how_bright": pytest.approx(expected)}
    assert result["extractors"]["images"]["floor"] == [25, 25]
    assert result["numbers"] == {"how_bright": SAID}
    assert "in images" in capsys.readouterr().out
    recorded = read_json(scratch() / "stages/realism.json")["results"]
    assert recorded["images.how_bright/made"] == pytest.approx(expected)

    alone = run("realism.metrics=[brightness]", "realism.images=20")
    assert list(alone["extractors"]) == ["images"]  # nothing to extract for
    assert alone["extractors"]["images"]["floor"] == [20, 20]
    assert set(alone["sets"]["floor"]["images"]) == {"how_bright"}


def test_fidelity_compares_the_images(sets: Path) -> None:
    labels = np.arange(40) % 3
    write_set(sets / "truth", draw(labels, 70, 10, 1), labels, prefix="i")
    overrides = ("fidelity.metrics=[brightness]",)
    result = fidelity(
        load(sets / "params.yaml", overrides), made=sets / "made", truth=sets / "truth", out=sets / "fidelity.json"
    )
    assert result["rows"]["made"]["how_bright"] == pytest.approx(mean(sets / "made") - mean(sets / "truth"))
    assert result["scales"]["how_bright"] == SAID
