"""A migrated MLflow database, made once, and stages that are tracked without a process of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from adaptgan.tracking import plugin, replayer
from adaptgan.tracking.pipeline import start_pipeline
from tests.tracking.helpers import dispose


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """MLflow uses what SQLAlchemy deprecates; that is no matter of ours."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the newest schema; the migration takes MLflow seconds."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    folder = tmp_path_factory.mktemp("mlflow")
    store = SqlAlchemyStore(f"sqlite:///{folder}/mlflow.db", (folder / "unused").as_uri())
    store._dispose_engine()
    return folder / "mlflow.db"


@pytest.fixture
def project(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project's folder with a database, as a DVC stage sees it; no replayer starts by itself."""
    shutil.copy(migrated, tmp_path / "mlflow.db")
    (tmp_path / "params.yaml").write_text("seed: 7\ntask: {dann: {method: {name: dann}, training: {steps: 20}}}\n")
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADAPTGAN_TRACKING", "on")
    monkeypatch.setenv("DVC_STAGE", "dann")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    monkeypatch.setattr(replayer, "ensure_replayer", lambda prepare=None: None)
    monkeypatch.setattr(replayer, "wait_for", lambda *_: "")
    monkeypatch.setattr(plugin, "_tracking", plugin.Tracking())
    start_pipeline()
    yield tmp_path
    dispose()
