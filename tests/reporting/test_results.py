"""A recipe's table: its paths come from the command line, its results go to JSON, Markdown and stdout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adaptgan.reporting.results import write_results


def test_results_and_table_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.json"
    monkeypatch.setattr("sys.argv", ["table.py", "--runs", "b", "--scores", "a", "--out", str(out)])
    collect = lambda scores, runs: {"rows": [str(scores), str(runs)]}  # noqa: E731
    write_results("about", ("scores", "runs"), collect, lambda found: " | ".join(found["rows"]))
    assert json.loads(out.read_text()) == {"rows": ["a", "b"]}
    assert out.with_suffix(".md").read_text() == capsys.readouterr().out == "a | b"


def test_a_path_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["table.py", "--out", "x"])
    with pytest.raises(SystemExit):
        write_results("about", ("scores",), lambda scores: {}, str)
    assert "--scores" in capsys.readouterr().err
