"""The counting of pipelines/ring, against numbers that are known without it."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml

from adaptgan.data.sources.gaussians import Layout, modes
from adaptgan.errors import DataError
from adaptgan.params import IngestSection, TrainSection, load
from adaptgan.plugins import components
from adaptgan.stages.ingest import ingest
from adaptgan.stages.train import train

FOLDER = Path(__file__).parents[2] / "pipelines" / "ring"
PARAMS = """
seed: 0
ring: {dataset: {name: gaussians, layout: ring, count: 400}}
other: {dataset: {name: rendered_digits, count: 20}}
game:
  minimax:
    method:
      name: gan
      generator: {name: plain_generator, widths: [4], noise: 2}
      discriminator: {name: plain_discriminator, widths: [4]}
    training: {steps: 2, batch_size: 16, validation: 0}
tracking: {enabled: false}
"""


@pytest.fixture(scope="module")
def ring() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ring_modes", FOLDER / "modes.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("layout", ["ring", "grid"])
def test_the_true_density_covers_all_modes_with_the_share_that_is_within_three_deviations(
    ring: ModuleType, layout: Layout
) -> None:
    """In the plane 1 − exp(−3²/2) of a Gaussian lie within three deviations."""
    rng = np.random.default_rng(0)
    labels = rng.integers(len(modes(layout)), size=20_000)
    found = ring.score(modes(layout)[labels] + 0.016 * rng.standard_normal((20_000, 2)), layout, 0.016)
    assert found["modes"] == len(modes(layout))
    assert found["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    assert np.abs(np.array(found["counts"]) - 0.989 * np.bincount(labels)).max() < 30


def test_a_uniform_generator_has_the_share_that_the_discs_have_of_the_square(ring: ModuleType) -> None:
    rng = np.random.default_rng(0)
    found = ring.score(rng.uniform(-1, 1, (40_000, 2)), "grid", 0.016)
    assert found["high_quality"] == pytest.approx(25 * math.pi * 0.048**2 / 4, rel=0.05)


def test_collapse_is_counted_as_such(ring: ModuleType) -> None:
    one = np.repeat(modes("ring")[3:4], 10_000, axis=0)
    assert ring.score(one, "ring", 0.016) == {
        "modes": 1,
        "high_quality": 1.0,
        "counts": [0, 0, 0, 10_000, 0, 0, 0, 0],
    }
    between = np.zeros((100, 2))
    assert ring.score(between, "ring", 0.016) == {"modes": 0, "high_quality": 0.0, "counts": [0] * 8}


def test_a_mode_needs_twenty(ring: ModuleType) -> None:
    points = np.concatenate([np.repeat(modes("grid")[k : k + 1], n, axis=0) for k, n in ((0, 19), (7, 20), (24, 500))])
    found = ring.score(points, "grid", 0.016)
    assert found["modes"] == 2 and found["counts"][0] == 19 and found["counts"][7] == 20


def test_the_edge_of_three_deviations(ring: ModuleType) -> None:
    inside, outside = (modes("ring")[:1] + np.array([away, 0]) for away in (0.0479, 0.0481))
    assert ring.score(inside, "ring", 0.016)["high_quality"] == 1
    assert ring.score(outside, "ring", 0.016)["high_quality"] == 0


def test_a_table_of_what_was_trained(ring: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points go the whole way: ingested, trained on, sampled as floats, counted, drawn."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS)
    params = load("params.yaml")
    data, models = Path("data/ring"), Path("models/ring")
    ingest(params, "ring", data)
    for seed in (0, 1):
        train(load("params.yaml", [f"seed={seed}"]), "game.minimax", out=models / f"{seed}/minimax", source=data)
    results, pictured = ring.measure(Path("models"), Path("data"))
    games = results["ring"]["games"]
    assert list(games) == [ring.REAL, "minimax"] and list(games["minimax"]["seeds"]) == ["0", "1"]
    assert results["ring"]["all_modes"] == 8 and results["ring"]["std"] == 0.016
    assert games[ring.REAL]["modes"] == {"mean": 8.0, "std": None}
    assert games[ring.REAL]["high_quality"]["mean"] > 0.97
    points = ring.sampled(models / "0/minimax", 200)
    assert points.shape == (200, 2) and points.dtype == np.float32
    assert not np.allclose((points + 1) * 127.5, ((points + 1) * 127.5).round(), atol=1e-3)  # no rounding
    lines = ring.table(results).splitlines()
    assert lines[0] == "| | ring: modes of 8 | high quality |" and lines[2].startswith("| real points | 8.0 | 9")
    assert lines[3].startswith("| GAN, minimax | ")
    ring.draw(pictured, Path("table.png"))
    assert Path("table.png").stat().st_size > 5_000


def test_other_images_are_refused(ring: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    ingest(load(tmp_path / "params.yaml"), "other", tmp_path / "data")
    with pytest.raises(DataError, match="that the data set `gaussians` made"):
        ring.opened(tmp_path / "data")


def test_the_recipe_is_for_networks_of_equal_size(ring: ModuleType) -> None:
    """Same batches, steps of G and networks for all; and each of its sections is one that the commands accept."""
    params = load(FOLDER / "params.yaml")
    games = yaml.safe_load((FOLDER / "params.yaml").read_text())["game"]
    assert list(games) == list(ring.GAMES)
    for layout in ("ring", "grid"):
        dataset = params.section(layout, IngestSection).dataset
        assert components().resolve("dataset", dataset, layout)["layout"] == layout
    sizes = set()
    for game in games:
        section = params.section(f"game.{game}", TrainSection)
        method = components().resolve("method", section.method, game)
        generator, discriminator = method["generator"], method["discriminator"]
        sizes.add((str(generator), str(discriminator["widths"]), discriminator["activation"], method["ema"]))
        assert section.training.precision == "32-true" and section.training.batch_size == 256
    assert len(sizes) == 1


def test_all_seeds_and_games_are_in_the_pipeline(ring: ModuleType) -> None:
    stages = yaml.safe_load((FOLDER / "dvc.yaml").read_text())["stages"]
    assert stages["train"]["matrix"]["game"] == list(ring.GAMES)
    assert stages["train"]["matrix"]["seed"] == [0, 1, 2]
