"""The fixtures for plugin authors, as their own tests use them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from adaptgan import ComponentSpec, hookimpl
from adaptgan.data.shards import ShardReader
from adaptgan.plugins import components, plugins
from adaptgan.testing.plugin import pytest_runtest_call
from adaptgan.testing.runs import TrainedRun
from adaptgan.testing.workbench import Workbench

SMALL = {"name": "supervised", "classifier": {"name": "conv_classifier", "widths": [4], "hidden": 8}}

THEIRS = '''
import os
import random
import sys
import types
import numpy
import pytest
import torch
from adaptgan import ComponentSpec, hookimpl
from adaptgan.testing import check


class Brightness:
    """Difference of the means."""

    def __call__(self, one, real, seed):
        return {"brightness": float(abs(one.mean() - real.mean()))}


@hookimpl
def adaptgan_register_components():
    return [ComponentSpec("metric", "brightness", f"{__name__}:Brightness", "how bright")]


def test_a_component_before_it_is_installed(adaptgan_plugins):
    adaptgan_plugins.register(sys.modules[__name__], "adaptgan-bright", "2.5")
    assert check("metric", "brightness").__class__ is Brightness
    (plugin,) = [one for one in adaptgan_plugins.plugins.known.values() if one.distribution == "adaptgan-bright"]
    assert (plugin.version, plugin.failure) == ("2.5", "")


def test_it_is_gone_afterwards(adaptgan_plugins):
    assert "brightness" not in [spec.name for spec in adaptgan_plugins.components.specs("metric")]


def test_a_batch(tiny_batch, tiny_info):
    assert tiny_batch.source.images_NCHW.shape == (8, tiny_info.channels, tiny_info.height, tiny_info.width)


def test_a_scratch_folder(adaptgan_scratch):
    assert os.environ["ADAPTGAN_SCRATCH"] == str(adaptgan_scratch)


def test_a_training(adaptgan_run, tiny_source):
    run = adaptgan_run(SMALL, steps=2)
    assert (run.folder / "model.safetensors").is_file() and [entry["step"] for entry in run.losses] == [1, 2]
    assert run.method.card["method"]["name"] == "supervised"


def test_nothing_is_tracked():
    assert os.environ["ADAPTGAN_TRACKING"] == "off" and os.environ["HF_HUB_OFFLINE"] == "1"


@pytest.fixture(scope="session")
def shared():
    return torch.rand(5)


@pytest.fixture
def noise():
    return torch.rand(3)


DRAWN = []


def draw(noise):
    DRAWN.append((noise.tolist(), torch.rand(3).tolist(), numpy.random.rand(), random.random()))
    assert DRAWN[0] == DRAWN[-1] and DRAWN[-1][0] != DRAWN[-1][1]


def test_a_draw(noise):
    draw(noise)


def test_the_same_draw_beside_what_tests_share(noise, shared):
    draw(noise)
'''


def test_a_third_partys_tests_use_them(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["adaptgan.testing.plugin"]\n')
    (tmp_path / "test_theirs.py").write_text(f"SMALL = {SMALL!r}\n{THEIRS}")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    environment = {name: value for name, value in os.environ.items() if name != "ADAPTGAN_TRACKING"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "8 passed" in done.stdout, done.stdout + done.stderr


def test_another_seed_gives_other_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for seed in ("0", "1", "1"):
        monkeypatch.setenv("ADAPTGAN_TEST_SEED", seed)
        pytest_runtest_call()
        numpys = np.random.random()  # noqa: NPY002 - third parties draw from it
        drawn.append((torch.rand(2).tolist(), numpys, random.random()))
    assert drawn[1] == drawn[2] and all(one != other for one, other in zip(*drawn[:2], strict=True))


def test_the_plugin_is_light() -> None:
    code = "import sys, adaptgan.testing.plugin; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Counter:
    """A plugin that is an object."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    @hookimpl
    def adaptgan_before_stage(self, stage: Any) -> None:
        self.stages.append(stage.name)

    @hookimpl
    def adaptgan_register_components(self) -> list[ComponentSpec]:
        return [ComponentSpec("gate", "counted", "adaptgan.data.gates:EdgeConsistency", "for a test")]


def test_objects_are_plugins_too(adaptgan_plugins: Workbench, adaptgan_ingest: Callable[..., Path]) -> None:
    counter = Counter()
    known = adaptgan_plugins.register(counter, point="counting").known
    assert known["counting"].distribution == "plugin-under-test" and not known["counting"].failure
    assert components().find("gate", "counted").distribution == "plugin-under-test"
    adaptgan_ingest({"dataset": {"name": "gaussians", "count": 5}})
    assert counter.stages == ["ingest"]


def test_several_at_once(adaptgan_plugins: Workbench) -> None:
    adaptgan_plugins.register(Counter(), "one")
    adaptgan_plugins.install("two-gan", "VALUE = 3\n", "0.3")
    found = {plugin.distribution for plugin in plugins().known.values() if not plugin.failure}
    assert {"one", "two-gan"} <= found and adaptgan_plugins.plugins is plugins()


def test_what_cannot_be_a_plugin_is_told(adaptgan_plugins: Workbench) -> None:
    broken = SimpleNamespace(adaptgan_register_components=hookimpl(lambda: ["no spec"]))
    with pytest.warns(match="gave 'no spec', not a ComponentSpec"):
        assert adaptgan_plugins.register(broken, point="broken").known["broken"].failure


def test_tiny_data_sets_are_the_stages_own(tiny_source: Path, tiny_target: Path, tiny_test: Path) -> None:
    source, target, test = (ShardReader(folder) for folder in (tiny_source, tiny_target, tiny_test))
    assert [one.manifest.count for one in (source, target, test)] == [120, 120, 100]
    assert source.manifest.labels == "open" and target.sealed and test.sealed
    assert {str(one.manifest.image) for one in (source, target, test)} == {"32x32 L"}
    keys = [{key for key, _ in one.images()} for one in (target, test)]
    assert keys[0].isdisjoint(keys[1])


def test_a_run_on_data_of_ones_own(
    adaptgan_run: Callable[..., TrainedRun], adaptgan_ingest: Callable[..., Path], adaptgan_scratch: Path
) -> None:
    source = adaptgan_ingest({"dataset": {"name": "rendered_digits", "count": 40, "image_size": 16}})
    run = adaptgan_run({"name": "dann", "classifier": SMALL["classifier"]}, source=source, target=source, steps=3)
    assert run.method.info.height == 16 and len(run.losses) == 3
    assert json.loads((run.folder / "model.json").read_text())["method"]["name"] == "dann"
    assert run.log.is_dir() and adaptgan_scratch.is_dir()
