"""The replayer's process: it starts once, serves, tells what is wrong, and leaves."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adaptgan.tracking import replayer
from adaptgan.tracking.journal import journal_folder, locked
from adaptgan.tracking.replay import load_state
from tests.tracking.helpers import dispose, history, runs, the_run, tiny_training

ROOT = Path(__file__).parents[2]
START = replayer.ensure_replayer
WAIT = replayer.wait_for


@pytest.fixture
def with_process(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose stages start a replayer that leaves soon, or at the test's end."""
    monkeypatch.setattr(replayer, "ensure_replayer", START)
    monkeypatch.setattr(replayer, "wait_for", WAIT)
    monkeypatch.setenv("ADAPTGAN_REPLAYER_IDLE", "0.5")
    yield project
    lock = journal_folder() / "replayer.pid"
    if locked(lock):
        with contextlib.suppress(ProcessLookupError, ValueError):  # it is leaving, or has not said yet who it is
            os.kill(int(lock.read_text()), signal.SIGTERM)
    wait_until(lambda: not locked(lock))


@pytest.fixture
def it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is."""
    monkeypatch.setenv("ADAPTGAN_REPLAYER_IDLE", "60")


def wait_until(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def pending() -> bool:
    return any(load_state(path).offset < path.stat().st_size for path in journal_folder().glob("*.jsonl"))


def test_a_stage_ends_in_time_and_everything_arrives_by_itself(with_process: Path) -> None:
    tiny_training()
    wait_until(lambda: not pending())
    assert [step for step, _ in history(the_run("train task.dann"), "classifier/mse")] == list(range(2, 21, 2))
    wait_until(lambda: not locked(journal_folder() / "replayer.pid"))


@pytest.mark.usefixtures("with_process", "it_stays")
def test_a_locked_store_is_told_and_never_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    holder = sqlite3.connect("mlflow.db")
    holder.execute("BEGIN EXCLUSIVE")
    tiny_training()
    status = journal_folder() / "replayer.json"
    wait_until(lambda: status.exists() and "locked" in status.read_text())
    capsys.readouterr()
    tiny_training()
    message = capsys.readouterr().err
    assert "locked" in message
    assert "replayed by the next stage" in message
    holder.rollback()
    holder.close()
    tiny_training()
    wait_until(lambda: not pending())
    assert len([run for run in runs() if run.info.run_name == "train task.dann"]) == 3


@pytest.mark.usefixtures("with_process", "it_stays")
def test_only_one_replayer_runs() -> None:
    replayer.ensure_replayer()
    lock = journal_folder() / "replayer.pid"
    wait_until(lambda: locked(lock))
    second = subprocess.run([sys.executable, "-m", "adaptgan.tracking.replayer", str(journal_folder())], check=True)
    assert second.returncode == 0
    assert locked(lock)
    wait_until(lambda: lock.read_text().strip() != "")
    os.kill(int(lock.read_text()), 0)  # it is alive


def test_a_killed_trainer_is_noticed_while_the_replayer_lives(with_process: Path) -> None:
    program = (
        "import os, signal\nfrom adaptgan.tracking import plugin\n"
        "from tests.tracking import helpers\n"
        "alive = type('T', (), {'recorder': None})\n"
        "helpers.plugin = type('P', (), {'_tracking': alive, 'Tracking': plugin.Tracking})\n"
        "helpers.tiny_training(die_at=14)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    wait_until(lambda: {run.info.status for run in runs()} == {"KILLED"})
    assert [step for step, _ in history(the_run("train task.dann"), "classifier/mse")] == list(range(2, 15, 2))


def test_a_new_database_is_made_ahead_of_the_first_stage(with_process: Path) -> None:
    from adaptgan.params import TrackingSection
    from adaptgan.tracking.plugin import prepare

    dispose()
    (with_process / "mlflow.db").unlink()
    prepare(TrackingSection())
    wait_until(lambda: not locked(journal_folder() / "replayer.pid") and (with_process / "mlflow.db").exists(), 60)
    with sqlite3.connect("mlflow.db") as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM experiments")]
    connection.close()
    assert "adaptgan" in names


def test_an_old_database_is_not_prepared_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from adaptgan.params import TrackingSection
    from adaptgan.tracking.plugin import prepare

    def no(*_: object) -> None:
        raise AssertionError("a replayer was started")

    monkeypatch.setattr(replayer, "ensure_replayer", no)
    prepare(TrackingSection())
    prepare(TrackingSection(uri="http://127.0.0.1:9"))
    (project / "mlflow.db").unlink()
    prepare(TrackingSection(enabled=False))


def test_a_slow_replayer_is_waited_for_no_longer_than_the_limit(project: Path) -> None:
    tiny_training(stage={"name": "train"})
    start = time.monotonic()
    (journal,) = [path for path in journal_folder().glob("*.jsonl") if not path.name.startswith("pipeline")]
    assert WAIT(journal.stem, journal.stat().st_size, 0.3) == ""
    assert time.monotonic() - start >= 0.3
    (journal_folder() / "replayer.json").write_text(
        json.dumps({"problems": {f"sqlite:///{project}/mlflow.db": "database is locked"}})
    )
    assert "database is locked" in WAIT(journal.stem, journal.stat().st_size, 5.0)
