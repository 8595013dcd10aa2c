"""The method that docs/writing-a-method.md writes: an installed plugin that conforms, trains, and is its algorithm."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adaptgan import load_model
from adaptgan.plugins import components, plugins
from adaptgan.testing import check_method, check_plugin, tiny_batch, tiny_info
from adaptgan.training.seeding import seed_all
from tests.conftest import write_params
from tests.docs.pages import DOCS, EXAMPLES

SMALL: dict[str, Any] = {
    "name": "relativistic_gan",
    "generator": {"name": "dcgan_generator", "noise": 8, "channels": 4},
    "critic": {"name": "dcgan_discriminator", "channels": 4, "norm": "none"},
    "ema": 0.5,
}
CONDITIONAL: dict[str, Any] = {
    **SMALL,
    "generator": {**SMALL["generator"], "conditional": True},
    "critic": {**SMALL["critic"], "conditional": "projection"},
    "repeats": 2,
}


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package beside its metadata, as pip lays it out."""
    site = tmp_path / "site"
    shutil.copytree(EXAMPLES / "relativistic_gan", site / "relativistic_gan")
    info = site / "relativistic_gan-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: relativistic-gan\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[adaptgan]\nrelativistic_gan = relativistic_gan\n")
    monkeypatch.syspath_prepend(str(site))
    plugins.cache_clear()
    yield
    plugins.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "relativistic_gan"]:
        del sys.modules[name]


def test_it_conforms() -> None:
    (spec,) = check_plugin("relativistic-gan")
    assert spec.name == "relativistic_gan"
    assert not check_method(SMALL).conditional
    assert check_method(CONDITIONAL).conditional


def method() -> Any:
    seed_all(0, "weights")
    built = components().build("method", SMALL, "method", [tiny_info()])
    built.info = tiny_info()
    return built


@pytest.mark.parametrize(("turn", "sign"), [("critic_loss", 1), ("generator_loss", -1)])
def test_its_losses_are_the_algorithms(turn: str, sign: int) -> None:
    """−1/m Σ log σ(±(C(x) − C(G(z)))), in numpy's float64, with the same draw of z."""
    built, batch = method(), tiny_batch()
    torch.nn.init.normal_(built.critic.head.weight)
    torch.manual_seed(3)
    (loss,) = getattr(built, turn)(batch).values()
    torch.manual_seed(3)
    with torch.no_grad():
        x = batch.source.images_NCHW
        difference = (built.critic(x) - built.critic(built.generator(torch.randn(len(x), 8)))).double().numpy()
    expected = -np.mean(np.log(1 / (1 + np.exp(-sign * difference))))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_a_turn_reaches_its_own_player_alone() -> None:
    built, batch = method(), tiny_batch()
    torch.stack(list(built.critic_loss(batch).values())).sum().backward()
    assert all(weight.grad is None for weight in built.generator.parameters())
    assert all(weight.grad is not None for weight in built.critic.parameters())


@pytest.mark.parametrize("turn", ["critic_loss", "generator_loss"])
def test_a_critic_that_knows_nothing_loses_log_2(turn: str) -> None:
    built = method()
    torch.nn.init.zeros_(built.critic.head.weight)
    (loss,) = getattr(built, turn)(tiny_batch()).values()
    assert loss.item() == pytest.approx(np.log(2), abs=1e-6)


def test_adaptgan_train_trains_it_from_params_alone(
    tmp_path: Path, tiny_source: Path, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    training = {"steps": 30, "batch_size": 16, "log_every": 10, "precision": "32-true", "device": "cpu"}
    params = write_params(tmp_path / "params.yaml", rgan={"method": CONDITIONAL, "training": training})
    places = ["--out", tmp_path / "model", "--trace", tmp_path / "log"]
    code, _, errors = run_cli("train", "rgan", "--source", tiny_source, "--params", params, *places)
    assert code == 0, errors
    card = json.loads((tmp_path / "model" / "model.json").read_text())
    assert card["versions"]["relativistic-gan"] == "0.1"
    losses = [json.loads(line)["losses"] for line in (tmp_path / "log" / "losses.jsonl").read_text().splitlines()]
    assert losses[-1]["critic/relativistic"] < losses[0]["critic/relativistic"] < np.log(2) * 1.5
    model: Any = load_model(tmp_path / "model")
    labels_N = torch.arange(10)
    assert model.sample(labels_N, torch.Generator().manual_seed(0)).shape == (10, 1, 32, 32)


PAGE = (DOCS / "writing-a-method.md").read_text()


def test_the_page_shows_the_files_as_they_are() -> None:
    for name in ("__init__.py", "method.py"):
        assert f"```python\n{(EXAMPLES / 'relativistic_gan' / name).read_text()}```" in PAGE


def test_each_line_beside_the_algorithm_is_a_line_of_the_file() -> None:
    code = (EXAMPLES / "relativistic_gan" / "method.py").read_text()
    box = PAGE.split("## The algorithm box")[1].split("\n## ")[0]
    lines = re.findall(r"^\| [^|]* \| `([^`]+)` \|$", box, flags=re.MULTILINE)
    assert lines[0] == "method.py"
    assert len(lines) == 10
    for line in lines[1:]:
        assert f" {line}\n" in code, line
