from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("kind", ["image_folder", "parquet", "coco"])
def test_export(tiny_source: Path, tmp_path: Path, run_cli: Cli, kind: str) -> None:
    code, out, err = run_cli("export", tiny_source, tmp_path / "out", "--to", kind)
    assert (code, err) == (0, "") and f"120 records as {kind}" in out
    expected = {"image_folder": "metadata.jsonl", "parquet": "data", "coco": "annotations.json"}[kind]
    assert (tmp_path / "out" / expected).exists()


def test_bad_input(tiny_source: Path, tmp_path: Path, run_cli: Cli) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    for arguments, words in [
        ((tmp_path, tmp_path / "out", "--to", "coco"), "no manifest.json"),
        ((tiny_source, tmp_path / "full", "--to", "coco"), "not empty"),
        ((tiny_source, tmp_path / "out", "--to", "cocos"), "'coco'"),
    ]:
        code, _, err = run_cli("export", *arguments)
        assert code in (1, 2) and words in err and "Traceback" not in err
    assert not (tmp_path / "out").exists() and (tmp_path / "full" / "mine").read_text() == "x"


def test_inspect_a_data_set(tiny_source: Path, run_cli: Cli) -> None:
    code, out, _ = run_cli("inspect", tiny_source, "--json")
    facts = json.loads(out)
    assert code == 0 and facts["records"] == 120 and facts["per_class"] == dict.fromkeys("0123456789", 12)
    assert facts["examples"][1]["provenance"]["font"] and facts["origin"]["dataset"]["name"] == "rendered_digits"
    code, out, _ = run_cli("inspect", tiny_source)
    assert code == 0 and facts["digest"] in out and "rendered_digits" in out


def test_inspect_tells_of_pairs(tiny_source: Path, ingested: Callable[..., Path], run_cli: Cli) -> None:
    paired = ingested({"dataset": {"name": "edges", "of": "mnist_m"}, "limit": 3})
    assert json.loads(run_cli("inspect", paired, "--json")[1])["paired"] == {"height": 32, "width": 32, "mode": "RGB"}
    assert json.loads(run_cli("inspect", tiny_source, "--json")[1])["paired"] is None
    assert re.search(r'paired +{"height": 32', run_cli("inspect", paired)[1])


def test_inspect_keeps_a_seal(tiny_target: Path, run_cli: Cli) -> None:
    facts = json.loads(run_cli("inspect", tiny_target, "--json")[1])
    assert facts["labels"] == "sealed" and facts["per_class"] is None
    assert all(example["label"] is None and not example["provenance"] for example in facts["examples"])


def test_inspect_a_model_and_nothing(tmp_path: Path, run_cli: Cli) -> None:
    card = {"schema": 1, "section": "refiner", "method": {"name": "simgan"}, "steps": 5}
    (tmp_path / "model.json").write_text(json.dumps(card))
    assert json.loads(run_cli("inspect", tmp_path, "--json")[1]) == card
    assert "simgan" in run_cli("inspect", tmp_path)[1]
    code, _, err = run_cli("inspect", tmp_path / "none")
    assert code == 1 and "neither a data set" in err and "Traceback" not in err
