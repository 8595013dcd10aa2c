"""Exported models: what MLflow serves under an alias is what our own model says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from adaptgan.datainfo import DataInfo
from adaptgan.models import load_model, save_model
from adaptgan.plugins import components, plugins
from adaptgan.stages.base import Stage
from tests.tracking.helpers import client, replay, the_run

INFO = DataInfo(1, 16, 16, ("a", "b", "c"))


def write_model(folder: Path, seed: int, fingerprint: str) -> None:
    torch.manual_seed(seed)
    config = {"name": "supervised", "classifier": {"name": "conv_classifier", "widths": [4, 8, 8], "hidden": 8}}
    resolved = components().resolve("method", config, "task.dann.method")
    method = components().build("method", resolved, "task.dann.method", [INFO])
    folder.mkdir(parents=True)
    data = {"channels": 1, "height": 16, "width": 16, "classes": list(INFO.classes)}
    save_model(method, {"section": "task.dann", "method": resolved, "data": data, "fingerprint": fingerprint}, folder)


def evaluate(selected: str) -> None:
    stage = Stage(
        "evaluate", "evaluate", {}, {"models": Path("models/task")}, results={"selected": selected, "gap_closed": 0.9}
    )
    plugins().fire("adaptgan_before_stage", stage=stage)
    plugins().fire("adaptgan_after_stage", stage=stage)


@pytest.mark.filterwarnings("ignore")  # torch.export and MLflow's packaging warn of their own deprecations
def test_the_selected_model_is_served_under_its_alias(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    write_model(project / "models/task/dann", 1, "one")
    write_model(project / "models/task/source", 2, "two")
    evaluate("dann")
    assert replay().problems == {}
    version = client().get_model_version_by_alias("adaptgan", "selected")
    assert version.tags["fingerprint"] == "one"
    run = the_run("evaluate")
    assert run.info.status == "FINISHED"
    assert version.run_id == run.info.run_id
    uri = f"sqlite:///{project}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    served = mlflow.pytorch.load_model("models:/adaptgan@selected")
    images = torch.rand(5, 1, 16, 16) * 2 - 1
    expected = load_model("models/task/dann").predict(images)  # type: ignore[operator]
    assert torch.allclose(served(images), expected, atol=1e-6)

    evaluate("source")
    evaluate("dann")
    replay()
    version = client().get_model_version_by_alias("adaptgan", "selected")
    assert version.tags["fingerprint"] == "one"
    assert len(client().search_model_versions("name = 'adaptgan'")) == 2


def test_a_model_that_cannot_be_exported_is_left_out_and_said(project: Path) -> None:
    from adaptgan.tracking.journal import journal_folder
    from adaptgan.tracking.replay import load_state

    folder = project / "models/task/dann"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text('{"schema": 99}')
    evaluate("dann")
    assert replay().problems == {}
    (journal,) = [path for path in journal_folder().glob("*.jsonl") if not path.name.startswith("pipeline")]
    (skipped,) = load_state(journal).skipped
    assert "schema 99" in skipped
