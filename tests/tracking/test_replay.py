"""Outages, crashes and resumed trainings: everything arrives, and arrives once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adaptgan.params import TrackingSection
from adaptgan.tracking import plugin
from adaptgan.tracking.journal import Journal, journal_folder, last_steps
from adaptgan.tracking.pipeline import start_pipeline
from adaptgan.tracking.replay import BATCH, Gone, Rejected, Replay, Unreachable, load_state, save_state
from tests.tracking.helpers import checkpoint, client, history, replay, runs, the_run, tiny_training

EXPECTED_STEPS = list(range(2, 21, 2))


def steps(run: Any) -> list[int]:
    return [step for step, _ in history(run, "classifier/mse")]


def test_a_locked_database_is_caught_up_later(project: Path) -> None:
    tiny_training()
    holder = sqlite3.connect("mlflow.db")
    holder.execute("BEGIN EXCLUSIVE")
    (problem,) = replay().problems.values()
    assert "locked" in problem
    holder.rollback()
    holder.close()
    assert runs() == []
    assert replay().problems == {}
    assert steps(the_run("train task.dann")) == EXPECTED_STEPS


def test_a_store_that_goes_away_in_the_middle_gets_each_point_once(project: Path) -> None:
    from adaptgan.tracking.store import MlflowStore

    tiny_training()
    for calls in range(1, 14):
        replay(lambda uri, experiment, calls=calls: Flaky(MlflowStore(uri, experiment), calls))
    replay()
    child = the_run("train task.dann")
    assert steps(child) == EXPECTED_STEPS
    assert len(runs()) == 2
    images = [item.path for item in client().list_artifacts(child.info.run_id, "images") if item.path.endswith(".png")]
    assert len(images) == 2


class Flaky:
    """A store that does its work, and after some calls dies before it can say so."""

    def __init__(self, store: Any, calls: int) -> None:
        self.store = store
        self.calls = calls

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            result = getattr(self.store, name)(*arguments)
            self.calls -= 1
            if self.calls == 0:
                raise Unreachable("gone between the work and the answer")
            return result

        return call


def test_replaying_again_adds_nothing(project: Path) -> None:
    tiny_training()
    replay()
    before = {run.info.run_id: run.to_dictionary() for run in runs()}
    replay()
    assert {run.info.run_id: run.to_dictionary() for run in runs()} == before


def test_a_lost_offset_costs_no_duplicates(project: Path) -> None:
    tiny_training()
    replay()
    for state in journal_folder().glob("*.state.json"):
        state.unlink()
    replay()
    assert len(runs()) == 2
    assert steps(the_run("train task.dann")) == EXPECTED_STEPS


def test_a_killed_training_is_marked_and_its_resumption_goes_on_in_the_same_run(project: Path) -> None:
    killed = tiny_training(die_at=14)
    replay()
    child = the_run("train task.dann")
    assert child.info.status == "KILLED"
    assert {run.info.status for run in runs()} == {"KILLED"}
    tiny_training(start=8, state=checkpoint(killed, 8))
    replay()
    resumed = the_run("train task.dann")
    assert resumed.info.run_id == child.info.run_id
    assert resumed.info.status == "FINISHED"
    assert steps(resumed) == EXPECTED_STEPS
    images = [item.path for item in client().list_artifacts(child.info.run_id, "images") if item.path.endswith(".png")]
    assert len(images) == 2


def test_a_resumption_is_found_even_when_nothing_was_replayed_before(project: Path) -> None:
    killed = tiny_training(die_at=14)
    tiny_training(start=8, state=checkpoint(killed, 8))
    replay()
    assert steps(the_run("train task.dann")) == EXPECTED_STEPS


def test_a_resumption_in_another_repro_moves_there_and_closes_the_first(project: Path) -> None:
    killed = tiny_training(die_at=14)
    start_pipeline()
    tiny_training(start=8, state=checkpoint(killed, 8))
    replay()
    parents = {run.info.run_id: run.info.status for run in runs() if run.info.run_name.startswith("repro")}
    child = the_run("train task.dann")
    assert parents.pop(child.data.tags["mlflow.parentRunId"]) == "FINISHED"
    assert list(parents.values()) == ["KILLED"]
    assert steps(child) == EXPECTED_STEPS


def test_a_lost_journal_costs_no_duplicates(project: Path) -> None:
    killed = tiny_training(die_at=8)
    replay()
    for leftover in journal_folder().glob(f"{killed.memo[plugin.MEMO]}*"):
        if leftover.is_file():
            leftover.unlink()
    tiny_training(start=8, state=checkpoint(killed, 8))
    replay()
    assert steps(the_run("train task.dann")) == EXPECTED_STEPS


def test_a_training_tracked_only_after_its_resumption_has_its_whole_history(project: Path) -> None:
    untracked = tiny_training(die_at=8, stage={"tracking": TrackingSection(enabled=False)})
    assert untracked.memo == {}
    tiny_training(start=8, state=checkpoint(untracked, 8))
    replay()
    assert steps(the_run("train task.dann")) == EXPECTED_STEPS


def test_a_deleted_database_is_filled_again(project: Path, migrated: Path) -> None:
    import shutil

    from tests.tracking.helpers import dispose

    tiny_training()
    replay()
    dispose()
    shutil.copy(migrated, project / "mlflow.db")
    (journal,) = [path for path in journal_folder().glob("*.jsonl") if not path.name.startswith("pipeline")]
    with journal.open("a") as file:
        file.write('{"t":1,"do":"tags","values":{"late":"yes"}}\n')
    replay()
    replay()
    child = the_run("train task.dann")
    assert child.data.tags["late"] == "yes"
    assert steps(child) == EXPECTED_STEPS


def test_a_run_deleted_by_a_person_stays_deleted(project: Path) -> None:
    tiny_training()
    replay()
    client().delete_run(the_run("train task.dann").info.run_id)
    (journal,) = [path for path in journal_folder().glob("*.jsonl") if not path.name.startswith("pipeline")]
    with journal.open("a") as file:
        file.write('{"t":1,"do":"tags","values":{"late":"yes"}}\n')
    assert replay().problems == {}
    assert load_state(journal).skipped


class Recording:
    """A store in memory."""

    def __init__(self, reject: str = "") -> None:
        self.batches: list[list[tuple[str, float, int, int]]] = []
        self.applied: list[str] = []
        self.reject = reject

    def begin(self, journal: str, run_id: str | None, record: Any, parent_run: str | None) -> str:
        return run_id or "run"

    def metrics(self, run_id: str, rows: list[tuple[str, float, int, int]]) -> None:
        if any(row[0] == self.reject for row in rows):
            raise Rejected(self.reject)
        self.batches.append(rows)

    def apply(self, run_id: str, record: Any) -> None:
        self.applied.append(record["do"])


def write(path: Path, count: int, names: tuple[str, ...] = ("a", "b", "c")) -> None:
    journal = Journal(path)
    journal.append("begin", name="n", parent=None, tags={}, uri="memory", experiment="e", flush=1)
    for step in range(count):
        journal.append("metrics", stream="losses", step=step, values=dict.fromkeys(names, step + 0.5))
    journal.append("end", status="FINISHED")
    journal.close()


def test_metrics_go_in_batches_of_at_most_a_thousand(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", 1001)
    store = Recording()
    Replay(tmp_path, lambda uri, experiment: store).run()
    assert sum(len(batch) for batch in store.batches) == 3003
    assert max(len(batch) for batch in store.batches) <= BATCH
    assert len(store.batches) == 4


def test_one_refused_metric_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", 5)
    store = Recording(reject="b")
    Replay(tmp_path, lambda uri, experiment: store).run()
    assert sorted(row[0] for batch in store.batches for row in batch) == ["a"] * 5 + ["c"] * 5
    assert len(load_state(tmp_path / "a.jsonl").skipped) == 5
    assert store.applied == ["end"]


def test_a_store_that_never_has_the_run_is_given_up_on(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", 1)

    class Forgetful(Recording):
        def apply(self, run_id: str, record: Any) -> None:
            raise Gone("no such run")

    replayed = Replay(tmp_path, lambda uri, experiment: Forgetful())
    for _ in range(3):
        replayed.run()
    assert replayed.pending() == []


def test_one_store_that_is_down_does_not_stop_another(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", 1)
    write(tmp_path / "b.jsonl", 1)
    text = (tmp_path / "b.jsonl").read_text().replace('"memory"', '"elsewhere"')
    (tmp_path / "b.jsonl").write_text(text)
    store = Recording()

    def connect(uri: str, experiment: str) -> Recording:
        if uri == "memory":
            raise Unreachable("down")
        return store

    replayed = Replay(tmp_path, connect)
    replayed.run()
    assert replayed.problems == {"memory": "down"}
    assert store.applied == ["end"]
    assert [path.name for path in replayed.pending()] == ["a.jsonl"]


def test_journals_are_replayed_in_the_order_they_were_begun(tmp_path: Path) -> None:
    for i, name in enumerate(("c", "a", "d", "b")):
        journal = Journal(tmp_path / f"{name}.jsonl")
        journal.append("begin", t=i, name=name, parent=None, tags={}, uri="memory", experiment="e", flush=1)
        journal.close()
    Journal(tmp_path / "pipeline-z.jsonl", exclusive=False).append("begin", t=9)
    waiting = Replay(tmp_path, lambda uri, experiment: Recording()).pending()
    assert [path.stem for path in waiting] == ["pipeline-z", "c", "a", "d", "b"]


def test_the_state_survives_a_round_trip_and_damage(tmp_path: Path) -> None:
    journal = tmp_path / "a.jsonl"
    state = load_state(journal)
    state.offset, state.run_id, state.skipped = 12, "r", ["x"]
    save_state(journal, state)
    assert load_state(journal) == state
    journal.with_suffix(".state.json").write_text('{"offset": 1')
    assert load_state(journal).offset == 0


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////proc/none/mlflow.db"])
def test_a_store_that_is_not_there_is_unreachable(project: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from adaptgan.tracking.store import MlflowStore

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(Unreachable):
        MlflowStore(uri, "adaptgan")


def test_last_steps_grow_with_the_training(project: Path) -> None:
    run = tiny_training(die_at=14)
    path = journal_folder() / f"{run.memo[plugin.MEMO]}.jsonl"
    assert last_steps(path) == {"losses": 14, "samples": 10}
