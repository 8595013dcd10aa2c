"""The documentation is complete and true: hooks, components, links, and the README's examples."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from adaptgan import hookspecs
from adaptgan.cli import COMMANDS
from adaptgan.plugins import plugins

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
HOOKS = [name for name in dir(hookspecs) if name.startswith("adaptgan_")]
OWN = [spec for spec in plugins().components.specs() if spec.distribution == "adaptgan"]
TESTS = {path: path.read_text() for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)}


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["components.md", "hooks.md"])
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == generator().PAGES[name](), "run `python docs/generate.py`"


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_and_exercised_by_a_test(hook: str) -> None:
    assert f"### {hook}\n" in (DOCS / "hooks.md").read_text()
    assert any(hook in text for text in TESTS.values()), f"no test mentions {hook}"


@pytest.mark.parametrize("spec", OWN, ids=lambda spec: f"{spec.kind}-{spec.name}")
def test_every_component_is_documented_and_named_in_a_test(spec: object) -> None:
    kind, name, attribute = spec.kind, spec.name, spec.target.split(":")[1]  # type: ignore[attr-defined]
    assert f"{{ #{kind}-{name} }}" in (DOCS / "components.md").read_text()
    word = re.compile(rf"\b({re.escape(name)}|{re.escape(attribute)})\b")
    assert any(word.search(text) for text in TESTS.values()), f"no test names the {kind} {name}"


@pytest.mark.parametrize(
    "page", [*sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md")), "README.md", "CONTRIBUTING.md"]
)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if not link.startswith("https://"):
            assert (path.parent / link).exists(), f"{page} links to {link}, which is not there"


def test_the_navigation_names_every_page() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    missing = [page for path in DOCS.rglob("*.md") if (page := path.relative_to(DOCS).as_posix()) not in text]
    assert not missing


def test_the_readme_shows_the_example_plugin_as_it_is() -> None:
    """The README's twenty lines are the installed and tested package's, word for word."""
    source = (ROOT / "plugins" / "adaptgan-example" / "adaptgan_example.py").read_text()
    (shown,) = re.findall(r"```python\n(\"\"\".*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert shown == source
    assert len([line for line in source.splitlines() if line.strip()]) <= 20


def test_documents_name_no_command_that_is_not_there() -> None:
    for path in [*DOCS.rglob("*.md"), ROOT / "README.md"]:
        for name in re.findall(r"^\s*(?:\.venv/bin/)?adaptgan (\w+)", path.read_text(), flags=re.MULTILINE):
            assert name in COMMANDS, f"{path.name}: adaptgan {name}"


def test_the_workflow_files_agree_with_each_other() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]  # nothing is fetched
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", pin) for pin in pins)
    assert {"torch==2.15.0", "torchvision==0.29.2"} <= set(pins)


def test_the_modules_that_every_command_imports_are_light() -> None:
    assert sys.version_info >= (3, 11)
    for path in (ROOT / "adaptgan" / "cli").glob("*.py"):
        heavy = re.findall(
            r"^(?:import|from) (torch|numpy|pydantic|yaml|rich|mlflow)\b", path.read_text(), re.MULTILINE
        )
        assert not heavy, f"{path.name} imports {heavy} at its top"
