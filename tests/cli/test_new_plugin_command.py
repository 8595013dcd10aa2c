"""`adaptgan new-plugin`: packages of every kind are rendered, linted, installed, tested and trained with."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

from adaptgan import __version__
from adaptgan.components import KINDS
from adaptgan.stages.new_plugin import TEMPLATE, checked, context, new_plugin, render

Cli = Callable[..., tuple[int, str, str]]


def named(kind: str) -> str:
    return f"my-{kind}"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package of every kind."""
    top = tmp_path_factory.mktemp("packages")
    for kind in KINDS:
        list(new_plugin(named(kind), kind, top / named(kind)))
    return top


@pytest.fixture(scope="module")
def site(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them installed by pip, from copies: what pip leaves beside sources is not part of a package."""
    top = tmp_path_factory.mktemp("installed")
    for kind in KINDS:
        list(new_plugin(named(kind), kind, top / "src" / kind))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    sources = [str(top / "src" / kind) for kind in KINDS]
    done = output([*command, "--disable-pip-version-check", "--target", str(top / "site"), *sources])
    assert done.returncode == 0, done.stderr
    return top / "site"


def output(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


def python(site: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    return output([sys.executable, *arguments], cwd=cwd, env=environment)


def test_the_command_writes_a_package_and_says_what_comes_next(
    run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run_cli("new-plugin", "Two-Critics")
    assert (code, err) == (0, "")
    assert "cd adaptgan-two-critics && pip install" in out
    package = tmp_path / "adaptgan-two-critics"
    told = tomllib.loads((package / "pyproject.toml").read_text())
    assert told["project"]["name"] == "adaptgan-two-critics"
    assert told["project"]["entry-points"]["adaptgan"] == {"two_critics": "adaptgan_two_critics"}
    assert told["project"]["dependencies"] == ["adaptgan>=" + ".".join(__version__.split(".")[:2])]
    assert "class TwoCriticsMethod(Method):" in (package / "adaptgan_two_critics" / "method.py").read_text()
    assert os.access(package / ".ci" / "run", os.X_OK)
    assert (package / "pipeline" / "dvc.yaml").is_file()


@pytest.mark.parametrize("name", ["", "-", "7up", "two--critics", "two_critics", "a/b", "../up", "é", "x-", "a b"])
def test_a_name_that_no_package_can_have_is_one_message(run_cli: Cli, tmp_path: Path, name: str) -> None:
    code, _, err = run_cli("new-plugin", "--out", tmp_path / "package", "--", name)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert f"{name!r} cannot name a plugin" in err
    assert not (tmp_path / "package").exists()


def test_a_near_name_is_suggested(run_cli: Cli) -> None:
    assert "Try 'two-critics'" in run_cli("new-plugin", "two_critics")[2]
    assert "30 is the most" in run_cli("new-plugin", "a" * 31)[2]


def test_the_prefix_may_be_given() -> None:
    assert checked("adaptgan-sharper") == checked("Sharper") == "sharper"


def test_an_unknown_kind_names_the_nearest(run_cli: Cli, tmp_path: Path) -> None:
    code, _, err = run_cli("new-plugin", "sharper", "--kind", "metrics", "--out", tmp_path / "package")
    assert code == 2
    assert "Did you mean 'metric'" in err
    assert len(err.splitlines()) == 1


def test_a_name_that_another_package_has_is_refused(run_cli: Cli, tmp_path: Path) -> None:
    code, _, err = run_cli("new-plugin", "wgan-gp", "--out", tmp_path / "package")
    assert code == 2
    assert "adaptgan has a method 'wgan_gp'" in err
    code, _, err = run_cli("new-plugin", "wgan-gp", "--kind", "gate", "--out", tmp_path / "package")  # of another kind
    assert code == 0, err


def test_a_package_of_ones_own_may_be_rendered_again(third_party: Callable[..., None], tmp_path: Path) -> None:
    code = """
from adaptgan import ComponentSpec, hookimpl
@hookimpl
def adaptgan_register_components():
    return [ComponentSpec("gate", "sharper", "adaptgan_sharper.gate:SharperGate")]
"""
    third_party("adaptgan-sharper", code)
    list(new_plugin("sharper", "gate", tmp_path / "again"))
    assert (tmp_path / "again" / "pyproject.toml").is_file()


def test_nothing_is_overwritten(run_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    list(new_plugin("sharper", out=tmp_path / "package"))  # an empty folder is as good as none
    before = (tmp_path / "package" / "README.md").read_bytes()
    code, _, err = run_cli("new-plugin", "other", "--out", tmp_path / "package")
    assert code == 1
    assert "already and not empty" in err
    assert (tmp_path / "package" / "README.md").read_bytes() == before


def test_the_template_knows_every_kind() -> None:
    told = json.loads((TEMPLATE / "cookiecutter.json").read_text())
    assert set(told["kind"]) == set(KINDS) == set(told["_about"])
    assert told["kind"][0] == "method"
    assert __version__.startswith(told["adaptgan"] + ".")


def test_the_template_has_no_file_that_other_programs_would_take_for_theirs() -> None:
    names = {path.name for path in TEMPLATE.rglob("*")}
    assert "dvc.yaml" not in names
    assert not [name for name in names if name.endswith(".py")]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_template_is_left_in_a_package(packages: Path, kind: str) -> None:
    for path in (packages / named(kind)).rglob("*"):
        text = path.read_text() if path.is_file() else ""
        for mark in ("cookiecutter", "{%", "{{", "{#"):
            assert mark not in path.name + text, f"{path.name}: {mark}"
        if path.suffix == ".py":
            ast.parse(text)
        assert not text or text.endswith("\n")
        assert "\n\n\n\n" not in text


@pytest.mark.parametrize("name", ["x", "my-{kind}", "a-name-as-long-as-a-name-can-b"])
def test_a_package_of_any_name_is_clean(tmp_path: Path, name: str) -> None:
    for kind in KINDS:
        list(new_plugin(name.format(kind=kind), kind, tmp_path / kind))
    for check in (["check"], ["format", "--diff"]):
        done = output([sys.executable, "-m", "ruff", *check, "--no-cache", "."], cwd=tmp_path)
        assert done.returncode == 0, done.stdout


def test_cookiecutter_renders_the_same(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for kind in KINDS:
        values = {"name": named(kind), "kind": kind}
        made = cookiecutter(str(TEMPLATE), no_input=True, extra_context=values, output_dir=str(tmp_path))
        ours = render(context(named(kind), kind))
        assert {path: (Path(made) / path).read_text() for path in ours} == ours
        assert len([path for path in Path(made).rglob("*") if path.is_file()]) == len(ours)


def test_their_own_tests_pass(site: Path, packages: Path) -> None:
    folders = [str(packages / named(kind) / "tests") for kind in KINDS]
    options = ["-W", "error", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir", str(packages)]
    done = python(site, "-m", "pytest", "-v", *options, "-c", os.devnull, *folders, cwd=packages)
    assert done.returncode == 0, done.stdout
    for kind in KINDS:
        conforms = [line for line in done.stdout.splitlines() if f"test_{kind}.py::test_the_plugin_conforms" in line]
        assert len(conforms) == 1 and "PASSED" in conforms[0], kind


PIPELINES = """
import os, shlex, sys
from pathlib import Path
import yaml
from adaptgan.cli.main import run
for pipeline in map(Path, sys.argv[1:]):
    os.chdir(pipeline)
    for name, stage in yaml.safe_load(Path("dvc.yaml").read_text())["stages"].items():
        program, *arguments = shlex.split(stage["cmd"])
        missing = [path for path in stage["deps"] if not Path(path).exists()]
        assert (program, missing) == ("adaptgan", []), (pipeline, name, missing)
        try:
            run(arguments)
        except SystemExit as stop:
            assert not stop.code, (pipeline, name, stop.code)
        outs = stage.get("outs", []) + stage.get("metrics", [])
        outs = [out if isinstance(out, str) else next(iter(out)) for out in outs]
        missing = [path for path in outs if not Path(path).exists()]
        assert outs and not missing, (pipeline, name, missing)
"""
"""Every stage's command in its order, what it depends on being there and what it promises being made: as DVC would run
it, but in one process."""


def test_every_pipeline_runs_with_the_component(site: Path, packages: Path) -> None:
    pipelines = {kind: packages / named(kind) / "pipeline" for kind in KINDS}
    done = python(site, "-c", PIPELINES, *map(str, pipelines.values()), cwd=packages)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    for kind, pipeline in pipelines.items():
        used = [json.loads(path.read_text())["components"] for path in (pipeline / "environment").glob("*.json")]
        claims = [one.get(f"{kind}/my_{kind}") for one in used]
        # An exporter is named on a command line, not in params.yaml.
        assert kind == "exporter" or f"adaptgan-my-{kind}==0.1.0" in claims, kind
    told = json.loads((pipelines["metric"] / "reports" / "realism.json").read_text())
    assert told["sets"]["made"]["pixels"]["my_metric"] > 0
    rows = json.loads((pipelines["validator"] / "reports" / "metrics.json").read_text())
    assert "my_validator" in json.dumps(rows)


def test_in_a_fresh_environment_its_ci_passes_and_dvc_trains_with_it(tmp_path: Path) -> None:
    """As an author would: the rendered `.ci/run` installs it, lints it, runs its pipeline and its tests."""
    package = tmp_path / "package"
    list(new_plugin("sharper", out=package))
    fresh_environment(package / ".venv")
    outer = ("PYTHONPATH", "PYTHONSAFEPATH", "VIRTUAL_ENV", "ADAPTGAN_SCRATCH", "DVC_ROOT")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    environment |= {
        "PATH": "/usr/bin:/bin",  # nothing of this environment's
        "OMP_NUM_THREADS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this as the value of `build_isolation`
    }
    done = output([str(package / ".ci" / "run")], env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Running stage 'pipeline/dvc.yaml:refiner'" in done.stdout
    assert " passed" in done.stdout.splitlines()[-1]
    (installed,) = (package / ".venv").glob("lib/python*/site-packages/adaptgan_sharper/method.py")
    assert installed.read_bytes() == (package / "adaptgan_sharper" / "method.py").read_bytes()
    card = json.loads((package / "pipeline" / "models" / "refiner" / "model.json").read_text())
    assert card["method"]["name"] == "sharper"
    assert card["versions"]["adaptgan-sharper"] == "0.1.0"
    assert (package / "pipeline" / "data" / "refined" / "manifest.json").is_file()


def fresh_environment(folder: Path) -> None:
    """A new virtual environment that has no plugin, and takes adaptgan and its dependencies from this one."""
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    command = folder / "bin" / "adaptgan"
    command.write_text(f"#!{folder / 'bin' / 'python'}\nfrom adaptgan.cli.main import run\n\nrun()\n")
    command.chmod(0o755)
