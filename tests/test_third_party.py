"""Real packages of third parties, built and installed by pip: shown, checked, trained with from params.yaml alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGES = (
    ROOT / "tests" / "plugin_package",
    ROOT / "tests" / "broken_plugin_package",
    ROOT / "plugins" / "adaptgan-example",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of them installed; their sources stay clean."""
    top = tmp_path_factory.mktemp("third-party")
    for package in PACKAGES:
        shutil.copytree(package, top / "src" / package.name)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    sources = [str(top / "src" / package.name) for package in PACKAGES]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--target", str(top / "site"), *sources],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return top / "site"


def run(site: Path, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", **environment},
    )


def test_its_components_are_shown_and_the_broken_package_is_named(site: Path) -> None:
    done = run(site, "-m", "adaptgan", "components", "method", "--json")
    assert done.returncode == 0
    shown = {item["name"]: item for item in json.loads(done.stdout)}
    assert shown["acme_align"]["distribution"] == "adaptgan-acme"
    assert "simgan" in shown
    assert "adaptgan-broken 0.0.7" in done.stderr
    assert "a_library_that_nobody_has" in done.stderr
    assert "Traceback" not in done.stderr


def test_its_options_are_shown(site: Path) -> None:
    done = run(site, "-m", "adaptgan", "components", "method", "acme_align", "--json")
    options = {option["name"]: option for option in json.loads(done.stdout)["options"]}
    assert options["classifier"]["default"] == {"name": "acme_mlp"}
    assert options["weight"] == {
        "name": "weight", "type": "float", "required": False, "default": 0.1, "help": "of the alignment."
    }  # fmt: skip


def test_plugins_names_what_failed_and_why(site: Path) -> None:
    shown = json.loads(run(site, "-m", "adaptgan", "plugins", "--json").stdout)
    found = {plugin["distribution"]: plugin for plugin in shown["plugins"] if not plugin["builtin"]}
    assert found["adaptgan-acme"]["status"] == found["adaptgan-example"]["status"] == "loaded"
    assert found["adaptgan-acme"]["version"] == "1.4.0"
    assert found["adaptgan-broken"]["status"] == "failed"
    assert "a_library_that_nobody_has" in found["adaptgan-broken"]["cause"]


def test_one_is_shown_with_what_its_distribution_says(site: Path) -> None:
    (shown,) = json.loads(run(site, "-m", "adaptgan", "plugins", "adaptgan-acme", "--json").stdout)["plugins"]
    assert shown["metadata"]["summary"] == "A third party's package, for tests."
    assert shown["components"]["objective/acme_hinge"] == "a hinge"
    assert shown["hooks"] == ["adaptgan_register_components", "adaptgan_after_train"]
    assert shown["decides"] == []  # when it is called, the result is written
    assert Path(shown["file"]) == site / "adaptgan_acme" / "__init__.py"


def test_params_yaml_says_who_may_run(site: Path, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("plugins: {allow: [adaptgan-example]}\n")
    done = run(site, "-m", "adaptgan", "components", "method", "acme_align", cwd=tmp_path)
    assert done.returncode == 2
    assert (
        "adaptgan-acme 1.4.0 (entry point 'acme') is blocked: it is not in plugins.allow of params.yaml. Add it to "
        "that list to use it." in done.stderr
    )
    assert "a_library_that_nobody_has" not in done.stderr  # the broken one is not even tried
    shown = json.loads(run(site, "-m", "adaptgan", "plugins", "--json", cwd=tmp_path).stdout)
    status = {plugin["distribution"]: plugin["status"] for plugin in shown["plugins"] if not plugin["builtin"]}
    assert status == {"adaptgan-acme": "blocked", "adaptgan-broken": "blocked", "adaptgan-example": "loaded"}


def test_asking_for_what_the_broken_one_may_have_had_shows_the_cause(site: Path) -> None:
    done = run(site, "-m", "adaptgan", "components", "network", "broken_net")
    assert done.returncode == 2
    assert "unknown network 'broken_net'" in done.stderr
    assert "adaptgan-broken 0.0.7" in done.stderr


def test_blocked_is_silent(site: Path) -> None:
    done = run(site, "-m", "adaptgan", "components", ADAPTGAN_DISABLE_PLUGINS="adaptgan_broken")
    assert (done.returncode, done.stderr) == (0, "")


def test_strict_stops(site: Path) -> None:
    done = run(site, "-m", "adaptgan", "--strict-plugins", "components")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_help_stays_light_with_plugins(site: Path) -> None:
    code = """
import sys
from adaptgan.cli.main import run
try:
    run(["--help"])
finally:
    assert "torch" not in sys.modules
"""
    assert run(site, "-c", code).returncode == 0


def test_it_conforms(site: Path) -> None:
    code = """
from adaptgan.testing import check_method, check_network, check_objective, check_plugin
assert [spec.name for spec in check_plugin("adaptgan-acme")] == ["acme_align", "acme_mlp", "acme_hinge"]
check_method("acme_align"); check_network("acme_mlp"); check_objective("acme_hinge")
"""
    done = run(site, "-c", code, ADAPTGAN_DISABLE_PLUGINS="broken")
    assert done.returncode == 0, done.stderr


def test_dvc_repro_trains_with_it_from_params_alone(
    site: Path, tmp_path: Path, tiny_source: Path, tiny_target: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    params: dict[str, Any] = {
        "task": {
            "acme": {
                "method": {"name": "acme_align", "classifier": {"name": "acme_mlp", "hidden": 8}, "weight": 0.2},
                "training": {"steps": 3, "batch_size": 8},
            }
        },
        "tracking": {"enabled": False},
    }
    python = sys.executable
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    stages = {
        "environment": {
            "cmd": f"{python} -m adaptgan environment --out environment",
            "always_changed": True,
            "deps": ["params.yaml"],
            "outs": [{"environment": {"cache": False}}],
        },
        "train": {
            "cmd": f"{python} -m adaptgan train task.acme --source {tiny_source} --target {tiny_target} "
            "--out models/acme",
            "deps": ["environment/task.acme.json"],
            "params": ["task.acme"],
            "outs": ["models/acme"],
        },
    }
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    environment = {"ACME_LOG": str(tmp_path / "acme.log"), "ADAPTGAN_SCRATCH": str(project / ".adaptgan")}
    assert run(site, "-m", "dvc", "init", "--quiet", "--no-scm", cwd=project).returncode == 0
    done = run(site, "-m", "dvc", "repro", cwd=project, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    card = json.loads((project / "models" / "acme" / "model.json").read_text())
    assert card["method"]["classifier"] == {"name": "acme_mlp", "hidden": 8}
    assert card["versions"]["adaptgan-acme"] == "1.4.0"
    assert card["plugins"] == {"active": ["adaptgan-acme==1.4.0", "adaptgan-example==0.1.0"]}
    assert (tmp_path / "acme.log").read_text() == "trained task.acme\n"  # its hook ran, the broken plugin hurt nothing
    described = json.loads((project / "environment" / "task.acme.json").read_text())
    assert described["components"]["method/acme_align"] == "adaptgan-acme==1.4.0"

    again = run(site, "-m", "dvc", "repro", cwd=project, **environment)
    assert "Running stage 'train'" not in again.stdout
    assert (tmp_path / "acme.log").read_text() == "trained task.acme\n"

    # An upgrade of the plugin, and nothing else, runs what uses it again.
    upgraded = tmp_path / "upgraded"
    shutil.copytree(site, upgraded)
    info = upgraded / "adaptgan_acme-1.4.0.dist-info"
    info.rename(upgraded / "adaptgan_acme-1.5.0.dist-info")
    metadata = upgraded / "adaptgan_acme-1.5.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.4.0", "Version: 1.5.0"))
    done = run(upgraded, "-m", "dvc", "repro", cwd=project, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "acme.log").read_text() == "trained task.acme\n" * 2
