from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., tuple[int, str, str]]


def entry(role: str, accuracy: float) -> dict[str, object]:
    return {"method": role, "role": role, "accuracy": accuracy, "seconds": 1.0, "validators": {"a": accuracy}}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    paths = []
    for pair, seed, gain in (("p", 0, 0.1), ("p", 1, 0.2), ("q", 0, 0.05)):
        rows = {
            "source": entry("baseline", 0.7),
            "dann": entry("candidate", 0.7 + gain),
            "mcd": entry("candidate", 0.6),
            "oracle": entry("oracle", 1.0),
        }
        path = Path(f"reports/{pair}/{seed}/metrics.json")
        path.parent.mkdir(parents=True)
        selection = {"validators": ["a"], "left_out": {}, "ranks": {}}
        result = {"rows": rows, "baseline": "source", "oracle": "oracle", "selected": "dann", "selection": selection}
        path.write_text(json.dumps(result))
        paths.append(str(path))
    return paths


def test_compare(runs: list[str], run_cli: Cli) -> None:
    code, out, err = run_cli("compare", *runs, "--title", "Both", "--out", "out")
    assert (code, err) == (0, "")
    assert "p: best row dann 85.0 ± 7.1%" in out
    assert "q: best row dann 75.0%" in out
    assert "mcd on p (2 of 2)" in out
    assert "ρ = 1.00 ± 0.00" in out
    assert sorted(path.name for path in Path("out").iterdir()) == ["compare.html", "compare.json", "compare.md"]
    assert "<title>Both</title>" in Path("out/compare.html").read_text()


def test_level(runs: list[str], run_cli: Cli) -> None:
    assert run_cli("compare", "reports", "--level", "3")[0] == 0
    assert list(json.loads(Path("reports/compare/compare.json").read_text())["groups"]) == ["reports"]


def test_bad_input(runs: list[str], run_cli: Cli) -> None:
    for arguments, words in [
        ((), "nothing to compare"),
        (("reports/p/9/metrics.json",), "no such file"),
        ((runs[0], runs[0]), "would both be 'p/0'"),
        ((runs[0], "--level", "99"), "99 levels above"),
    ]:
        code, _, err = run_cli("compare", *arguments)
        assert code == 1 and words in err and "Traceback" not in err
    assert not Path("reports/compare").exists()
