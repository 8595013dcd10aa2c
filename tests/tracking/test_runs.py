"""What a person finds in MLflow: runs, params, tags, data sets, images, models' folders, status."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from adaptgan import __version__
from adaptgan.errors import Interrupted
from adaptgan.plugins import plugins
from adaptgan.stages.base import Stage
from adaptgan.tracking.pipeline import start_pipeline
from tests.tracking.helpers import FINGERPRINT, client, history, replay, runs, the_run, tiny_training


def stage(name: str, section: str = "", **fields: object) -> Stage:
    made = Stage(name, section or name, {"images": 10})
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def finish(made: Stage) -> None:
    plugins().fire("adaptgan_before_stage", stage=made)
    plugins().fire("adaptgan_after_stage", stage=made)


def test_a_training_becomes_one_run_under_one_parent(project: Path) -> None:
    tiny_training()
    assert replay().problems == {}
    child = the_run("train task.dann")
    (parent,) = [run for run in runs() if run.info.run_name.startswith("repro ")]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert len(runs()) == 2
    assert child.info.status == parent.info.status == "FINISHED"
    assert child.info.end_time == pytest.approx(parent.info.end_time, abs=2000)


def test_params_and_tags_say_what_ran(project: Path) -> None:
    tiny_training()
    replay()
    child = the_run("train task.dann").data
    assert child.params == {
        "method": "dann",
        "method.lr": "0.1",
        "training.steps": "20",
        "training.batch_size": "16",
        "seed": "7",
    }
    assert child.tags["fingerprint"] == FINGERPRINT
    assert child.tags["adaptgan.version"] == __version__
    assert child.tags["dvc.stage"] == "dann"
    assert child.tags["dvc.lock.sha256"] == hashlib.sha256(b"schema: '2.0'\n").hexdigest()
    assert child.tags["section"] == "task.dann"


def test_tags_say_what_rounds_its_numbers(project: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        tiny_training()
    finally:
        torch.set_num_threads(threads)
    replay()
    tags = the_run("train task.dann").data.tags
    assert (tags["device"], tags["threads"]) == ("cpu", str(threads + 1))
    assert tags["torch"] == torch.__version__
    assert f"CPU capability usage: {tags['kernels']}" in torch.__config__.show()


def test_no_secret_of_the_environment_is_tagged(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STUDIO_TOKEN", "hush")
    tiny_training()
    replay()
    assert "hush" not in json.dumps(the_run("train task.dann").data.tags)


def test_metrics_are_the_losses_step_by_step(project: Path) -> None:
    run = tiny_training()
    replay()
    child = the_run("train task.dann")
    expected = [(entry["step"], entry["losses"]["classifier/mse"]) for entry in run.history]
    assert len(expected) == 10
    assert history(child, "classifier/mse") == expected
    assert history(child, "source_accuracy") == [(20, 0.98)]
    assert child.data.metrics["seconds"] == 1.5


def test_image_grids_are_logged_with_their_steps(project: Path) -> None:
    tiny_training()
    replay()
    child = the_run("train task.dann")
    names = [item.path for item in client().list_artifacts(child.info.run_id, "images") if item.path.endswith(".png")]
    assert sorted(int(name.split("+")[2]) for name in names) == [10, 20]


def test_inputs_carry_the_data_sets_own_digest(project: Path, tiny_source: Path) -> None:
    from adaptgan.data.manifest import Manifest

    digest = Manifest.read(tiny_source).digest
    finish(stage("synthesize", "refine", inputs={"source": tiny_source}))
    replay()
    run = the_run("synthesize refine")
    (entry,) = client().get_run(run.info.run_id).inputs.dataset_inputs
    assert digest.startswith(entry.dataset.digest)
    assert len(entry.dataset.digest) >= 16
    assert json.loads(entry.dataset.profile)["num_rows"] == 120
    assert {tag.key: tag.value for tag in entry.tags} == {"mlflow.data.context": "synthesis", "role": "source"}
    assert run.data.tags["input.source"] == digest


def test_a_model_folder_is_kept_as_it_was_when_the_stage_ended(project: Path) -> None:
    model = project / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"first")
    (model / "model.json").write_text("{}")
    tiny_training()
    (model / "model.safetensors").unlink()  # the next stage replaces files, it never writes into them
    (model / "model.safetensors").write_bytes(b"second")
    replay()
    child = the_run("train task.dann")
    local = client().download_artifacts(child.info.run_id, "model/model.safetensors", str(project))
    assert Path(local).read_bytes() == b"first"


def test_log_models_off_keeps_models_out(project: Path) -> None:
    from adaptgan.params import TrackingSection

    (project / "model").mkdir()
    (project / "model" / "model.json").write_text("{}")
    tiny_training(stage={"tracking": TrackingSection(log_models=False)})
    replay()
    paths = [item.path for item in client().list_artifacts(the_run("train task.dann").info.run_id)]
    assert "model" not in paths


def test_the_parent_tells_the_headline_the_params_and_the_report(project: Path) -> None:
    results = {
        "selected": "dann",
        "gap_closed": 0.9,
        "accuracy/dann": 0.96,
        "accuracy/source": 0.83,
        "kid/adapted": 0.01,
    }
    (project / "metrics.json").write_text("{}")
    (project / "index.html").write_text("<p>report</p>")
    finish(stage("evaluate", outputs={"out": project / "metrics.json"}, results=results))
    finish(stage("report", outputs={"out": project / "index.html"}))
    replay()
    (parent,) = [run for run in runs() if run.info.run_name.startswith("repro")]
    assert {key: parent.data.metrics[key] for key in results if key != "selected"} == {
        key: value for key, value in results.items() if key != "selected"
    }
    assert parent.data.tags["selected"] == "dann"
    assert parent.data.params["task.dann.method"] == "dann"
    paths = {item.path for item in client().list_artifacts(parent.info.run_id)}
    assert {"params.yaml", "metrics.json", "report"} <= paths
    assert len(runs()) == 3


def test_realism_has_its_numbers_and_its_sheets(project: Path) -> None:
    (project / "realism.json").write_text("{}")
    (project / "sheets").mkdir()
    (project / "sheets" / "dcgan.png").write_bytes(b"png")
    outputs = {"out": project / "realism.json", "plots": project / "sheets"}
    finish(stage("realism", outputs=outputs, results={"fid/dcgan": 1.5, "pixels.fid/floor": 0.2}))
    replay()
    run = the_run("realism")
    assert run.data.metrics["fid/dcgan"] == 1.5 and run.data.metrics["pixels.fid/floor"] == 0.2
    assert {"realism.json", "sheets"} <= {item.path for item in client().list_artifacts(run.info.run_id)}


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("boom"), "FAILED"), (Interrupted("stopped"), "KILLED"), (KeyboardInterrupt(), "KILLED")],
)
def test_a_stage_that_does_not_finish_says_so(project: Path, error: BaseException, status: str) -> None:
    made = stage("ingest", "source")
    plugins().fire("adaptgan_before_stage", stage=made)
    plugins().fire("adaptgan_on_stage_error", stage=made, error=error)
    replay()
    assert {run.info.status for run in runs()} == {status}
    assert type(error).__name__ in the_run("ingest source").data.tags["error"]


def test_a_repro_with_nothing_to_do_leaves_no_run(project: Path) -> None:
    finish(stage("ingest", "source"))
    start_pipeline()
    replay()
    assert len(runs()) == 2


def test_each_repro_has_a_parent_of_its_own(project: Path) -> None:
    finish(stage("ingest", "source"))
    start_pipeline()
    finish(stage("ingest", "source"))
    replay()
    children = [run for run in runs() if run.info.run_name == "ingest source"]
    assert len({run.data.tags["mlflow.parentRunId"] for run in children}) == 2


def test_a_command_outside_of_dvc_has_no_parent(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STAGE")
    finish(stage("ingest", "source"))
    replay()
    (run,) = runs()
    assert "mlflow.parentRunId" not in run.data.tags


def test_a_plugins_command_is_tracked_where_its_pipeline_is_named(project: Path) -> None:
    Path("numbers.json").write_text("{}")
    Path("made").mkdir()
    given = {"options": {"limit": 3}, "outputs": {"numbers": Path("numbers.json"), "out": Path("made")}}
    for params in (Path("params.yaml"), None):
        with Stage.of_command("sharpness", params, **given).running() as made:
            made.results = {"sharpness": 2.5, "of": "mine"}
    assert replay().problems == {}
    run = the_run("sharpness")  # the other one was not tracked
    assert run.data.params == {"limit": "3", "seed": "7"} and run.data.metrics["sharpness"] == 2.5
    assert run.data.tags["result.of"] == "mine" and "mlflow.parentRunId" in run.data.tags
    assert [item.path for item in client().list_artifacts(run.info.run_id)] == ["numbers.json"]
