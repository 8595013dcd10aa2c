"""`adaptgan doctor`."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from adaptgan.cli.doctor_command import Check, examine, reach

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "params.yaml").write_text("source: {dataset: rendered_digits}\n")
    monkeypatch.chdir(folder)
    return folder


def found() -> dict[str, Check]:
    return {check.name: check for check in examine()}


def test_a_healthy_project_has_no_failure(project: Path, run_cli: Cli) -> None:
    code, out, _ = run_cli("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(out)}
    failed = [check for check in checks.values() if check["status"] == "fail"]
    assert not failed
    assert code == 0
    assert {
        "python",
        "torch",
        "device",
        "bf16",
        "threads",
        "kornia",
        "albumentations",
        "dvc",
        "mlflow",
    } <= checks.keys()
    assert {"plugins", "params.yaml", "project folder", "scratch folder", "git", "mlflow store"} <= checks.keys()


def test_advice_is_given_for_all_but_ok(project: Path, run_cli: Cli) -> None:
    assert all(check.advice for check in examine() if check.status != "ok")
    code, out, _ = run_cli("doctor")
    assert code == 0
    assert "ok    python: 3." in out
    assert "→" in out  # this folder is no DVC repository


def test_a_failure_gives_exit_status_1(project: Path, run_cli: Cli) -> None:
    (project / "params.yaml").write_text("sourse: {}\n")
    code, out, _ = run_cli("doctor")
    assert code == 1
    assert "fail  params.yaml: params.yaml: unknown section 'sourse'" in out


@pytest.mark.filterwarnings("ignore::adaptgan.plugins.PluginWarning")
def test_a_broken_plugin_is_a_failure_that_says_how_to_block_it(
    project: Path, third_party: Callable[..., None]
) -> None:
    third_party("sick-gan", "import no_such_module_at_all")
    check = found()["plugin sick-gan"]
    assert check.status == "fail"
    assert "no_such_module_at_all" in check.found
    assert "ADAPTGAN_DISABLE_PLUGINS=sick-gan" in check.advice


def test_a_check_that_breaks_does_not_stop_the_others(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("adaptgan.cli.doctor_command._folders", broken)
    checks = found()
    assert "ZeroDivisionError: oh" in checks["folders"].found
    assert checks["folders"].status == "fail"
    assert "mlflow store" in checks


def test_little_space_is_a_warning(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adaptgan.cli.doctor_command.NEEDED_GIB", 10**9)
    assert found()["scratch folder"].status == "warn"


def test_a_dvc_repository_whose_git_has_gone(project: Path) -> None:
    (project / ".dvc").mkdir()
    (project / ".dvc" / "config").write_text("")
    assert found()["dvc repository"].status == "fail"
    (project / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n")
    assert found()["dvc repository"].status == "warn"  # no dvc.yaml yet
    (project / "dvc.yaml").write_text("stages: {}\n")
    assert found()["dvc repository"].status == "ok"


def test_git_is_seen(project: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert found()["git"].status == "ok"


def test_sqlite_stores(tmp_path: Path) -> None:
    path = tmp_path / "a b.db"
    assert reach(f"sqlite:///{path}") is None
    assert not path.exists()  # looking makes nothing
    with closing(sqlite3.connect(path)) as holder:
        holder.execute("CREATE TABLE t (x)")
        holder.commit()
        assert reach(f"sqlite:///{path}") is None
        holder.execute("BEGIN EXCLUSIVE")
        assert "locked" in str(reach(f"sqlite:///{path}"))
    path.write_text("this is no database" * 100)
    assert "not a database" in str(reach(f"sqlite:///{path}"))


def test_a_relative_sqlite_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").write_text("this is no database" * 100)
    assert "not a database" in str(reach("sqlite:///mlflow.db"))


def test_server_stores() -> None:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert reach(address, seconds=5) is None
        thread.join()
    assert "no answer" in str(reach(address, seconds=2))


def test_file_stores_are_refused() -> None:
    assert "sqlite" in str(reach("mlruns"))
    assert "sqlite" in str(reach("file:///tmp/mlruns"))
