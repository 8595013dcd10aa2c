"""The packages under plugins/, installed by pip like a third party's; their own tests run with what is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of them installed; their sources stay clean."""
    top = tmp_path_factory.mktemp("packages")
    sources = [shutil.copytree(ROOT / "plugins" / name, top / "src" / name) for name in PACKAGES]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--target", top / "site", *sources],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return top / "site"


def run(site: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
    )


def test_all_load_beside_each_other(site: Path, tmp_path: Path) -> None:
    done = run(site, tmp_path, "adaptgan", "plugins", "--json")
    assert done.returncode == 0 and not done.stderr, done.stderr
    found = json.loads(done.stdout)
    loaded = {plugin["distribution"]: plugin for plugin in found["plugins"] if not plugin["builtin"]}
    assert {name for name, plugin in loaded.items() if plugin["status"] == "loaded"} >= set(PACKAGES)
    assert all(loaded[name]["components"] for name in PACKAGES) and not found["conflicts"]


@pytest.mark.parametrize("name", PACKAGES)
def test_its_own_tests_pass(name: str, site: Path, tmp_path: Path) -> None:
    package = shutil.copytree(ROOT / "plugins" / name, tmp_path / name, ignore=shutil.ignore_patterns("adaptgan_*"))
    done = run(site, package, "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout and "skipped" not in done.stdout
    assert {path.name for path in package.iterdir()} <= {path.name for path in (ROOT / "plugins" / name).iterdir()}


def test_what_is_installed_is_what_is_here(site: Path) -> None:
    """Every module of a package goes into its wheel."""
    for name in PACKAGES:
        for module in (ROOT / "plugins" / name).glob("adaptgan_*/**/*.py"):
            assert (site / module.relative_to(ROOT / "plugins" / name)).is_file(), module
