"""The documentation is complete and true: hooks, components, links, and the README's examples."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest
import yaml

import adaptgan
import adaptgan.testing
from adaptgan import hookspecs
from adaptgan.cli import COMMANDS
from adaptgan.components import KINDS
from adaptgan.plugins import plugins
from tests.docs.pages import DOCS, EXAMPLES, HOOKS, ROOT, generator

OWN = [spec for spec in plugins().components.specs() if spec.distribution == "adaptgan"]
TESTS = {path: path.read_text() for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)}


@pytest.mark.parametrize("name", generator().PAGES)
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == generator().PAGES[name](), "run `python docs/generate.py`"


def test_no_page_of_a_hook_that_is_gone() -> None:
    assert {path.stem for path in (DOCS / "hooks").glob("*")} == set(HOOKS)
    assert {path.stem for path in EXAMPLES.glob("adaptgan_*")} == set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_its_page_and_an_example_that_a_test_runs(hook: str) -> None:
    assert f"[`{hook}`](hooks/{hook}.md)" in (DOCS / "hooks.md").read_text()
    facts = generator().facts(hook)
    assert facts.keys() - {"Given"} == {"summary", "Called", "Ranks", "Care", "Errors"}
    page, example = (DOCS / "hooks" / f"{hook}.md").read_text(), (EXAMPLES / f"{hook}.py").read_text()
    assert generator().signature(hook) in page
    assert all(name in page for name in inspect.signature(getattr(hookspecs, hook)).parameters)
    assert f"def {hook}(" in example and f"```python\n{example}```" in page
    driver = (ROOT / "tests" / "docs" / "test_hook_examples.py").read_text()
    assert f"\ndef test_{hook.removeprefix('adaptgan_')}(" in driver, "no test drives its example"
    assert sum(hook in text for text in TESTS.values()) >= 1


@pytest.mark.parametrize("spec", OWN, ids=lambda spec: f"{spec.kind}-{spec.name}")
def test_every_component_and_option_is_documented_and_named_in_a_test(spec: object) -> None:
    kind, name, attribute = spec.kind, spec.name, spec.target.split(":")[1]  # type: ignore[attr-defined]
    assert f"{{ #{kind}-{name} }}" in (DOCS / "components.md").read_text()
    section = (DOCS / "components.md").read_text().split(f"{{ #{kind}-{name} }}\n")[1].split("\n##")[0]
    for option in plugins().components.schema(spec).options:  # type: ignore[arg-type]
        row = re.search(rf"^\| `{option.name}` \| .* \| .* \| (.+) \|$", section, flags=re.MULTILINE)
        assert row and option.help and option.help.split("|")[0].strip() in row.group(0).replace("\\|", "|"), (
            option.name
        )
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


def test_every_public_name_is_documented_and_explained() -> None:
    table = public()
    assert set(adaptgan.__all__) == table["adaptgan"]
    assert {name for name in adaptgan.testing.__all__ if not name.startswith("check_") and name != "CHECKS"} < (
        table["adaptgan.testing"]
    )
    for module, names in table.items():
        for name in names - {"__version__", "PLUGIN_API", "SUPPORTED_API", "KINDS"}:
            thing = getattr(importlib.import_module(module), name)
            if isinstance(thing, type) or inspect.isfunction(thing):
                assert inspect.getdoc(thing), f"{module}.{name}"


def test_each_kind_of_component_has_a_check_that_the_authors_page_names() -> None:
    page = (DOCS / "plugins.md").read_text()
    for kind in KINDS:
        assert f"`{adaptgan.testing.CHECKS[kind].__name__}`" in page


def public() -> dict[str, set[str]]:
    """The table of docs/versioning.md: names by module."""
    section = (DOCS / "versioning.md").read_text().split("## What is public")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(adaptgan[a-z_.]*)` \| (.*) \|$", section, flags=re.MULTILINE)
    return {module: set(re.findall(r"`(\w+)`", names)) for module, names in rows}


EXAMPLE_SOURCES = [
    *sorted(EXAMPLES.rglob("*.py")),
    *sorted((ROOT / "plugins").rglob("*.py")),
    *sorted((ROOT / "adaptgan" / "stages" / "templates" / "plugin").rglob("*.py*")),
]


@pytest.mark.parametrize("path", EXAMPLE_SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_authors_begin_with_imports_only_what_is_public(path: Path) -> None:
    table = public()
    found = re.findall(
        r"^ *from (adaptgan(?:\.[\w.]+)?) import (?:\(([^)]*)\)|([\w, ]+))", path.read_text(), flags=re.MULTILINE
    )
    for module, *listed in found:
        known = table.get(module, set()) | ({*adaptgan.testing.__all__} if module == "adaptgan.testing" else set())
        for name in filter(None, "".join(listed).replace("\n", "").split(",")):
            assert name.strip() in known, f"{module}.{name.strip()} is not in docs/versioning.md"


def test_the_code_in_documents_can_be_read_and_what_it_imports_is_there() -> None:
    for path in [*DOCS.rglob("*.md"), ROOT / "README.md"]:
        for block in re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL):
            if block.startswith("adaptgan_"):
                continue  # the signature of a hook
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "adaptgan":
                    module = importlib.import_module(node.module or "")
                    missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                    assert not missing, f"{path.name}: {node.module} has no {missing}"


def test_documents_name_no_command_that_is_not_there() -> None:
    for path in [*DOCS.rglob("*.md"), ROOT / "README.md"]:
        for name in re.findall(r"^\s*(?:\.venv/bin/)?adaptgan (\w[\w-]*)", path.read_text(), flags=re.MULTILINE):
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
