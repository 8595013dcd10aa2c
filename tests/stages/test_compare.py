"""Comparing runs: every figure against one worked out by hand or by SciPy, from made-up metrics.json files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest
from scipy import stats

from adaptgan.errors import AdaptganError
from adaptgan.stages.compare import compare, gather, study
from tests.stages.test_report import Page

ROLES = {"source": "baseline", "oracle": "oracle"}


def entry(name: str, accuracy: float | None, score: float | None = None, **more: Any) -> dict[str, Any]:
    return {
        "method": "supervised" if name in ROLES else name,
        "accuracy": accuracy,
        "seconds": 60.0,
        "role": ROLES.get(name, "candidate"),
        "validators": {} if score is None else {"a": score, "b": -score},
        **more,
    }


def metrics(rows: dict[str, dict[str, Any]], selected: str = "dann", **more: Any) -> dict[str, Any]:
    selection = {"validators": ["a", "b"], "left_out": {}, "ranks": {}}
    result = {"rows": rows, "baseline": "source", "oracle": "oracle", "selected": selected, "selection": selection}
    return {**result, "gap_closed": None, **more}


def rows(**accuracies: float | None) -> dict[str, dict[str, Any]]:
    """Rows whose score `a` rises in the order they are given, and whose score `b` falls."""
    return {name: entry(name, accuracy, float(i)) for i, (name, accuracy) in enumerate(accuracies.items())}


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def two_seeds(tmp_path: Path) -> list[str]:
    zero = metrics(rows(source=0.80, mcd=0.70, dann=0.90, vada=0.95, oracle=1.0))
    one = metrics(rows(source=0.84, dann=0.92, vada=0.96, oracle=0.98), selected="vada")
    return [str(write(tmp_path / f"pair/{i}/metrics.json", content)) for i, content in enumerate((zero, one))]


def test_a_groups_rows(two_seeds: list[str]) -> None:
    (group,) = study(gather(two_seeds))["groups"].values()
    assert group["runs"] == ["0", "1"]
    assert list(group["rows"]) == ["source", "vada", "dann", "mcd", "oracle"]
    dann, mcd = group["rows"]["dann"], group["rows"]["mcd"]
    assert dann["accuracy"]["mean"] == pytest.approx(0.91)
    assert dann["accuracy"]["sd"] == pytest.approx(stdev([0.90, 0.92]))
    assert dann["accuracy"]["values"] == {"pair/0": 0.90, "pair/1": 0.92}
    assert dann["gain"]["mean"] == pytest.approx((0.10 + 0.08) / 2)
    assert dann["of_oracle"]["mean"] == pytest.approx((0.90 / 1.0 + 0.92 / 0.98) / 2)
    assert dann["gap_closed"]["mean"] == pytest.approx((0.10 / 0.20 + 0.08 / 0.14) / 2)
    assert (dann["selected"], dann["missing"], dann["below_source_only"]) == (["0"], [], [])
    assert (mcd["selected"], mcd["missing"], mcd["below_source_only"]) == ([], ["1"], ["0"])
    assert mcd["accuracy"]["sd"] is None


def test_what_choosing_cost(two_seeds: list[str]) -> None:
    result = study(gather(two_seeds))
    chosen = result["selection"]
    assert chosen["accuracy"]["mean"] == pytest.approx((0.90 + 0.96) / 2)
    assert chosen["with_labels"]["mean"] == pytest.approx((0.95 + 0.96) / 2)  # the oracle's 1.0 is no choice
    assert chosen["regret"]["values"] == {"pair/0": pytest.approx(0.05), "pair/1": 0.0}
    assert chosen["below_source_only"] == []
    assert [run["with_labels"]["row"] for run in result["runs"]] == ["vada", "vada"]


def test_a_choice_below_source_only_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "pair/0/metrics.json", metrics(rows(source=0.8, dann=0.7)))
    result = study(gather([str(path)]))
    assert result["selection"]["below_source_only"] == ["pair/0"]
    assert result["selection"]["oracle"] is None
    compare([str(path)], tmp_path / "out")
    text = (tmp_path / "out/compare.md").read_text()
    assert "below source-only in 1 of 1 runs: pair/0." in text
    assert "dann on pair (1 of 1)" in text


def test_rank_correlations_over_rows_and_snapshots_without_the_oracle(tmp_path: Path) -> None:
    table = rows(source=0.80, mcd=0.70, dann=0.90, vada=0.85, oracle=1.0)
    snapshots = {"dann@500": entry("dann", 0.90, 1.5, snapshot_of="dann")}
    path = write(tmp_path / "pair/0/metrics.json", metrics(table, selected="dann@500", snapshots=snapshots))
    result = study(gather([str(path)]))
    scores, truths = [0.0, 1.0, 2.0, 3.0, 1.5], [0.80, 0.70, 0.90, 0.85, 0.90]
    found = result["validators"]["a"]
    assert found["candidates"] == 5
    assert found["spearman"]["mean"] == pytest.approx(stats.spearmanr(scores, truths).statistic)
    assert found["kendall"]["mean"] == pytest.approx(stats.kendalltau(scores, truths).statistic)
    assert found["regret"]["mean"] == pytest.approx(0.90 - 0.85)
    backwards = result["validators"]["b"]
    assert backwards["spearman"]["mean"] == pytest.approx(-found["spearman"]["mean"])
    assert backwards["regret"]["mean"] == pytest.approx(0.90 - 0.80)
    combined = result["validators"]["mean_rank"]  # a and b cancel out: all tied
    assert (combined["spearman"], combined["regret"]["mean"]) == (None, pytest.approx(0.90 - sum(truths) / 5))
    assert result["groups"]["pair"]["rows"]["dann"]["selected"] == ["0"]  # by its snapshot
    assert result["runs"][0]["accuracy"] == 0.90


def test_correlations_are_averaged_within_runs_not_pooled(tmp_path: Path) -> None:
    """Perfect order within each run, although the runs lie far apart the other way round."""
    for i, (shift, scale) in enumerate([(0.0, 0.0), (0.5, -100.0)]):
        table = {n: entry(n, shift + 0.1 * k, scale + k) for k, n in enumerate(["source", "x", "y", "z"])}
        write(tmp_path / f"pair{i}/0/metrics.json", metrics(table, selected="z"))
    found = study(gather([str(tmp_path)]))["validators"]["a"]
    assert found["spearman"]["mean"] == pytest.approx(1.0)
    assert (found["spearman"]["sd"], found["runs"]) == (pytest.approx(0.0), 2)
    assert found["groups"]["pair1"]["spearman"]["mean"] == pytest.approx(1.0)


def test_an_observed_validator_has_no_vote(tmp_path: Path) -> None:
    table = rows(source=0.8, x=0.7, y=0.9, z=0.95)
    content = metrics(table, selected="z")
    content["selection"]["validators"] = ["a"]
    result = study(gather([str(write(tmp_path / "pair/0/metrics.json", content))]))["validators"]
    assert result["mean_rank"]["spearman"] == result["a"]["spearman"]
    assert result["b"]["spearman"]["mean"] == pytest.approx(-result["a"]["spearman"]["mean"])


def test_a_validator_without_a_score_everywhere(tmp_path: Path) -> None:
    table = rows(source=0.8, x=0.7, y=0.9, z=0.95)
    table["x"]["validators"]["b"] = None
    path = write(tmp_path / "pair/0/metrics.json", metrics(table, selected="z"))
    result = study(gather([str(path)]))
    assert result["validators"]["b"]["candidates"] == 3
    assert result["validators"]["mean_rank"]["spearman"]["mean"] == pytest.approx(
        result["validators"]["a"]["spearman"]["mean"]  # b is left out of it
    )


@pytest.mark.parametrize(
    ("given", "level", "titles"),
    [
        (["p/0/metrics.json", "q/0/metrics.json"], 2, ["p/0", "q/0"]),
        (["p", "q"], 2, ["p/0", "p/1", "q/0"]),
        (["*/0/metrics.json"], 2, ["p/0", "q/0"]),
        (["**/metrics.json"], 2, ["p/0", "p/1", "q/0"]),
        (["one=p/0/metrics.json", "one=p/1/metrics.json"], 2, ["one/0", "one/1"]),
        (["one/a=p/0/metrics.json", "two=q"], 2, ["one/a", "two/0"]),
        (["p/0/metrics.json", "p/1/metrics.json"], 1, ["0/metrics", "1/metrics"]),
        (["p/0/metrics.json", "q/0/metrics.json"], 3, ["top/p/0", "top/q/0"]),
    ],
)
def test_groups_and_runs_are_named_by_folders_or_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], level: int, titles: list[str]
) -> None:
    for name in ("p/0", "p/1", "q/0"):
        write(tmp_path / "top" / name / "metrics.json", metrics(rows(source=0.8, dann=0.9)))
    monkeypatch.chdir(tmp_path / "top")
    assert [run.title for run in gather(given, level)] == titles


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1], "holds no object"),
        ({"accuracy": 0.9}, "no metrics.json of `adaptgan evaluate`: it has no 'rows'"),
        (metrics(rows(dann=0.9)), "its baseline is none of its rows"),
        ({"task": "regression", "rows": {"source": {}}}, "learned a regression"),
        (metrics(rows(source=None, dann=None)), "without a labelled test set"),
    ],
)
def test_what_is_no_metrics_json_is_said(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises(AdaptganError, match=re.escape(words)):
        gather([str(write(tmp_path / "pair/0/metrics.json", content))])


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for given, words in [
        ([], "nothing to compare"),
        ([str(tmp_path / "absent.json")], "no such file"),
        ([str(tmp_path / "empty")], "no metrics.json in this folder"),
        ([str(tmp_path / "*/metrics.json")], "no file matches"),
    ]:
        with pytest.raises(AdaptganError, match=words):
            gather(given)


def test_two_of_one_name_are_refused(two_seeds: list[str]) -> None:
    with pytest.raises(AdaptganError, match=r"would both be 'x/0'.*GROUP/RUN=PATH"):
        gather([f"x/0={two_seeds[0]}", f"x/0={two_seeds[1]}"])


def test_the_page_stands_alone_and_shows_the_figures(tmp_path: Path, two_seeds: list[str]) -> None:
    more = metrics(
        {**rows(source=0.5, dann=0.6, vada=0.55, oracle=0.9), "<b>": entry("<b>", 0.3, 0.1)},
        snapshots={"dann@9": entry("dann", 0.58, 9.0, snapshot_of="dann")},
    )
    more["rows"]["vada"]["alarms"] = [{"step": 3, "alarm": "class_swallowed", "message": "m"}]
    more["selection"]["excluded"] = {"vada": "collapsed & gone"}
    other = write(tmp_path / "other/0/metrics.json", more)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("stays")
    result = compare([*two_seeds, str(other)], tmp_path / "out", title="Pairs & seeds")
    assert json.loads((tmp_path / "out/compare.json").read_text()) == result
    assert (tmp_path / "out/mine.txt").exists()
    source = (tmp_path / "out/compare.html").read_text()
    page = Page(source)
    assert page.open == []
    assert not re.search(r"https?://|url\(|@import|<script", source)
    for words in (
        "Pairs & seeds",
        "91.0 ± 1.4%",
        "missing in 1",
        "below source-only in 1 of 1",
        "class swallowed in 1",
    ):
        assert words in page.text, words
    assert "<b>" in page.text  # a row's name, as text
    assert any(attributes.get("title") == "collapsed & gone" for _, attributes in page.tags)
    text = (tmp_path / "out/compare.md").read_text()
    assert "| `dann` | 91.0 ± 1.4% | +9.0 | 91.9% | 54% | 1 of 2 | 1 min 00 s |  |" in text
    assert all(line.count("|") == text_columns for text_columns, line in _tables(text))


def _tables(text: str) -> list[tuple[int, str]]:
    """Each line of a Markdown table with the number of bars that its head has."""
    lines, found, bars = text.splitlines(), [], 0
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("|"):
            bars = bars if before.startswith("|") else line.count("|")
            found.append((bars, line))
    return found


def test_one_run_alone(tmp_path: Path) -> None:
    """No ±, no correlation over two candidates, no validators at all: shown as what it is."""
    table = {"source": entry("source", 0.8), "dann": entry("dann", 0.9)}
    path = write(tmp_path / "pair/0/metrics.json", metrics(table))
    result = compare([str(path)], tmp_path / "out")
    assert result["validators"] == {}
    assert "How far to trust" not in (tmp_path / "out/compare.html").read_text()
