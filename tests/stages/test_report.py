from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from adaptgan.data.images import decode_png
from adaptgan.data.shards import iter_records
from adaptgan.errors import AdaptganError
from adaptgan.files import read_json, scratch, write_json
from adaptgan.stages.evaluate import evaluate
from adaptgan.stages.report import report
from tests import evaluated

VOID = {"meta", "link", "img", "input", "br", "path", "line", "circle"}


class Page(HTMLParser):
    """What a browser would see: text, attributes, and whether every tag is closed."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, _quiet_machine: None) -> Path:
    root = tmp_path_factory.mktemp("finished")
    evaluated.build(root)
    evaluate(evaluated.params(root), **evaluated.paths(root))
    return root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "project")
    return tmp_path / "project"


def make(root: Path, *without: str, beside: Sequence[str] = ()) -> tuple[str, Page]:
    roles = ("source", "target", "adapted", "quarantine", "test")
    given: dict[str, Any] = {role: root / "data" / role for role in roles if role not in without}
    reports = root / "reports"
    report(
        evaluated.params(root),
        metrics=reports / "metrics.json",
        plots=reports / "plots",
        runs=reports / "runs",
        out=reports / "index.html",
        beside=beside,
        **given,
    )
    source = (reports / "index.html").read_text()
    page = Page(source)
    assert page.open == []
    return source, page


def test_needs_nothing_from_outside(root: Path) -> None:
    source, page = make(root)
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "embed", "base")
        for name in ("src", "href", "srcset", "action"):
            value = attributes.get(name) or ""
            assert value == "" or value.startswith(("data:image/png;base64,", "#")) or value == "data:,", (tag, value)
    assert "@import" not in source
    assert not re.search(r"https?://|url\(", source)


def test_everything_from_the_data_is_escaped(root: Path) -> None:
    source, page = make(root)
    assert "Squares <script>" in page.text  # the title of params.yaml, as text
    assert "read as <b>, not a" in page.text  # a reason in provenance, as text
    assert source.count("<script") == 1


def test_shows_what_was_measured(root: Path) -> None:
    metrics = evaluate(evaluated.params(root), **evaluated.paths(root))
    _, page = make(root)
    for name, row in metrics["rows"].items():
        assert name in page.text
        assert f"{100 * row['accuracy']:.1f}%" in page.text
        assert row["fingerprint"] in page.text
    assert "never selectable" in page.text
    assert f"{metrics['realism']['adapted']['kid']:.4f}".replace("-", "−") in page.text
    for digest in (data["digest"] for data in metrics["data"].values()):
        assert digest in page.text


def test_shows_the_feature_map_in_both_lights(root: Path) -> None:
    source, page = make(root)
    assert page.text.index("Where the domains lie") < page.text.index("What each stage cost")
    assert "its labels are sealed" in page.text
    figures = [attributes for tag, attributes in page.tags if tag == "svg" and "features of" in str(attributes)]
    metrics = read_json(root / "reports/metrics.json")
    assert len(figures) == len({metrics["baseline"], metrics["selected"]})
    dots = [
        attributes["d"] or "" for tag, attributes in page.tags if tag == "path" and attributes.get("class") == "dot"
    ]
    rings = [
        attributes["d"] or "" for tag, attributes in page.tags if tag == "path" and attributes.get("class") == "ring"
    ]
    drawn = read_json(root / "reports/plots/feature_map.json")["panels"]
    assert sum(path.count("h0") for path in dots) == sum(len(panel["target"]["points"]) for panel in drawn)
    assert sum(path.count("M") for path in rings) == sum(len(panel["source"]["points"]) for panel in drawn)
    assert len(re.findall(r"--even: [\d.]+; --odd", source)) == 2  # a light and a dark palette
    (root / "reports/plots/feature_map.json").unlink()
    assert "Where the domains lie" not in make(root)[1].text


def test_lists_each_alarm_with_what_usually_helps(root: Path) -> None:
    _, before = make(root)
    assert "What usually helps" in before.text  # of the row that has collapsed
    path = root / "reports/metrics.json"
    metrics = read_json(path)
    for row in metrics["rows"].values():
        row["alarms"] = []
    write_json(path, metrics)
    assert "What usually helps" not in make(root)[1].text
    message = "It <b>fell</b>. What usually helps: a smaller `strength`."
    metrics["rows"]["adapted"]["alarms"] = [{"step": 1200, "alarm": "domain_head_at_100", "message": message}]
    write_json(path, metrics)
    source, page = make(root)
    assert "1 alarm" in page.text
    assert "adapted domain_head_at_100 step 1 200 It <b>fell</b>. What usually helps: a smaller strength ." in page.text
    assert "<code>strength</code>" in source
    assert "<b>fell" not in source


def test_lists_alarms_of_trainings_that_are_no_rows(root: Path) -> None:
    """A refiner's or a generator's; one that a row has, too, is shown once."""
    path, runs = root / "reports/metrics.json", root / "reports/runs"
    metrics = read_json(path)
    for row in metrics["rows"].values():
        row["alarms"] = []
    alarm = {"step": 90, "alarm": "class_swallowed", "message": "One has <all>. What usually helps: less."}
    metrics["rows"]["adapted"]["alarms"] = [alarm]
    write_json(path, metrics)
    write_json(runs / "task.adapted" / "alarms.json", [alarm])
    assert "1 alarm " in make(root)[1].text
    won = {"step": 1300, "alarm": "discriminator_won", "message": "It has won. What usually helps: a `lower` rate."}
    write_json(runs / "refiner" / "alarms.json", [won])
    _, page = make(root)
    assert "2 alarms" in page.text and page.text.count("class_swallowed") == 1
    assert "refiner discriminator_won step 1 300 It has won. What usually helps: a lower rate." in page.text


def test_a_selected_snapshot_has_a_line_of_its_own(root: Path) -> None:
    path = root / "reports/metrics.json"
    metrics = read_json(path)
    entry = metrics["rows"]["adapted"] | {"snapshot_of": "adapted", "accuracy": 0.4321, "steps": 20, "labelled": 7}
    metrics |= {"snapshots": {"adapted@20": entry}, "selected": "adapted@20"}
    metrics["oracle_choice"] = {"row": "adapted", "accuracy": 0.9876, "regret": 0.5555}
    metrics["selection"]["excluded"] = {"bad": "one class <has> all"}
    write_json(path, metrics)
    _, page = make(root)
    assert "adapted@20 selected, a snapshot 43.2%" in page.text
    assert "1 snapshot, a candidate like the rows" in page.text
    assert "What test labels would have chosen: adapted, 98.8%, +55.5 points" in re.sub(" +", " ", page.text)
    assert "bad could not be selected: one class <has> all" in page.text
    assert "not selectable: collapsed" in page.text
    assert "selected, 7 labelled real images used" in page.text
    assert "no real label used" not in page.text


def test_shows_what_each_gate_turned_away(root: Path) -> None:
    """Counts and thresholds of the origin; examples from quarantine, each under every gate that rejected it."""
    _, page = make(root)
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert "#turned-away" in links
    places = {attributes.get("id") for _, attributes in page.tags}
    assert set(links) <= {f"#{place}" for place in places if place}
    assert "classifier_agreement min confidence 0.5 80 10 11.1%" in page.text
    assert "edge_consistency added for boxes threshold 0.2 87 3 3.3%" in page.text
    assert "near_duplicates – 90 0 0.0%" in page.text
    assert "classifier_agreement 10 of 10, before and after" in page.text
    assert "edge_consistency 3 of 3, before and after" in page.text
    assert "near_duplicates 0 of" not in page.text
    assert page.text.count("edge_consistency throws away c: it rejects 40% of this class, and 0.0% of the others") == 1
    assert "throws away" not in page.text.replace("edge_consistency throws away c", "")
    shown = [a["src"] for tag, a in page.tags if tag == "img" and a.get("alt") == "refined, turned away"]
    assert len(shown) == 13
    held = {r.image.tobytes() for r in iter_records(root / "data/quarantine")}
    assert {decode_png(base64.b64decode((src or "").partition(",")[2])).tobytes() for src in shown} == held
    for score in ("0.0625", "0.125"):
        assert score in page.text


def test_gates_without_quarantine_and_quarantine_without_names(root: Path) -> None:
    _, page = make(root, "quarantine")
    assert "edge_consistency added for boxes threshold 0.2 87 3 3.3%" in page.text
    assert "before and after" not in page.text
    _, page = make(root, "adapted")
    assert "classifier_agreement – – 10 –" in page.text
    _, page = make(root, "adapted", "quarantine")
    assert "Turned away" not in page.text


def test_wipes_between_the_same_records(root: Path) -> None:
    """The two sheets hold a refined image and the source image it was made from, at the same place."""
    _, page = make(root)
    before, after = (
        decode_png(base64.b64decode((attributes["src"] or "").partition(",")[2]))
        for tag, attributes in page.tags
        if tag == "img" and re.search("synthetic images|same .* records", attributes["alt"] or "")
    )
    made_from = {r.image.tobytes(): r.provenance["source_key"] for r in iter_records(root / "data/adapted")}
    drawn = {r.key: r.image.tobytes() for r in iter_records(root / "data/source")}
    cells = [(y, x) for y in range(0, before.shape[0], 13) for x in range(0, before.shape[1], 13)]
    assert len(cells) == 9  # report.images
    for y, x in cells:
        refined, source = (sheet[y : y + 12, x : x + 12].tobytes() for sheet in (after, before))
        assert drawn[made_from[refined]] == source


def test_costs_are_those_the_stages_recorded(root: Path) -> None:
    write_json(scratch() / "stages/train-x.json", {"stage": "train x", "seconds": 75.0, "finished": 1.0, "results": {}})
    write_json(
        scratch() / "stages/ingest-y.json", {"stage": "ingest y", "seconds": 25.0, "finished": 0.5, "results": {}}
    )
    _, page = make(root)
    cost = page.text[page.text.index("What each stage cost") :]
    assert cost.index("ingest y") < cost.index("train x")
    assert "1 min 15 s" in cost
    assert "1 min 40 s" in cost  # all


def test_without_the_optional_parts(root: Path) -> None:
    given = evaluated.paths(root)
    for role in ("test", "adapted", "judge", "quarantine"):
        del given[role]
    evaluate(evaluated.params(root), **given)
    shutil.rmtree(root / "reports/runs")
    _, page = make(root, "adapted", "quarantine", "test")
    assert "Accuracy was not measured" in page.text
    assert "Before, after" not in page.text
    assert "Where it errs" not in page.text


def test_is_deterministic(root: Path) -> None:
    assert make(root)[0] == make(root)[0]


def test_says_where_it_is(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(root)
    assert f"report: {root / 'reports/index.html'}" in capsys.readouterr().out


def test_tells_the_mlflow_command_when_runs_are_tracked(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    from adaptgan.stages.report import print_where

    print_where(Path("reports/index.html"), evaluated.params(root, "tracking={uri: 'sqlite:///x.db'}"))
    assert "mlflow ui --backend-store-uri sqlite:///x.db" in capsys.readouterr().out


def test_missing_metrics_say_what_to_run(root: Path) -> None:
    (root / "reports/metrics.json").unlink()
    with pytest.raises(AdaptganError, match=r"metrics\.json: there is no such file.*dvc repro"):
        make(root)


@pytest.mark.parametrize(
    ("content", "says"),
    [({"task": "regression"}, "learned a regression"), ({"rows": {}}, "another version.*adaptgan evaluate")],
)
def test_metrics_of_another_kind_are_named(root: Path, content: dict[str, Any], says: str) -> None:
    write_json(root / "reports/metrics.json", content)
    with pytest.raises(AdaptganError, match=says):
        make(root)


def test_two_runs_stand_side_by_side(root: Path) -> None:
    assert "Beside" not in make(root)[1].text
    other = read_json(root / "reports/metrics.json")
    other["rows"]["adapted"]["accuracy"] = 0.1234
    other["realism"]["adapted"]["kid"] = 0.98765
    write_json(root / "other.json", other)
    source, page = make(root, beside=[f"Cyc<b>={root / 'other.json'}"])
    text = page.text[page.text.index("Beside Cyc<b> row") :]
    text = text[: text.index("Where it errs")]
    mine = read_json(root / "reports/metrics.json")["rows"]["adapted"]["accuracy"]
    assert f"{100 * mine:.1f}%" in text and "12.3%" in text
    assert f"{100 * (0.1234 - mine):+.1f}".replace("-", "−") in text
    assert "0.9877 ±" in text and "do not compare" not in text
    assert "--beside Cyc&lt;b&gt;=" in source
    other["data"]["test"]["digest"] = "0" * 64
    write_json(root / "other.json", other)
    assert "test set of Cyc<b> is another" in make(root, beside=[f"Cyc<b>={root / 'other.json'}"])[1].text


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["metrics.json"], "expected `NAME=metrics.json`"),
        (["=metrics.json"], "expected `NAME=metrics.json`"),
        (["this run=metrics.json"], "'this run' already"),
        (["a=nowhere.json"], r"nowhere\.json: there is no such file"),
    ],
)
def test_other_runs_that_cannot_be_shown(root: Path, given: list[str], says: str) -> None:
    with pytest.raises(AdaptganError, match=says):
        make(root, beside=given)


def test_command_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from adaptgan.cli import register
    from adaptgan.cli.main import app

    register(app)
    monkeypatch.chdir(root)
    answer = CliRunner().invoke(
        app, ["report", "--source", "data/source", "--target", "data/target"], catch_exceptions=False
    )
    assert answer.exit_code == 0, answer.output
    assert "reports/index.html" in answer.output
    assert Path("reports/index.html").is_file()
