"""`new-plugin`: a whole package around one component, ready to install, test and train with.

The template beside this file has cookiecutter's form (cookiecutter.json, folders and files named in braces, shared
parts under `templates`), so that its users can render it as they are used to; the command itself needs jinja2 alone.
Suffixes that other programs go by when they walk through folders (`.py`, `dvc.yaml`) are put on when it is rendered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptgan.components import KINDS
from adaptgan.errors import AdaptganError, ComponentError, ParamsError, nearest
from adaptgan.files import staged

if TYPE_CHECKING:
    import jinja2

TEMPLATE = Path(__file__).parent / "templates" / "plugin"
_TOP = "{{cookiecutter.distribution}}"
_PREFIX = "adaptgan-"
_LONGEST = 30
"""Characters of a name: lines that hold it twice stay within 120."""


def new_plugin(name: str, kind: str = "method", out: Path | None = None) -> Iterator[str]:
    """Write a package that provides one component.

    Args:
        name: letters, digits and single hyphens, a letter first; `adaptgan-` before it may be left out.
        kind: what the component is, one of `KINDS`.
        out: the package's folder, new or empty; `adaptgan-NAME` here by default.

    Yields:
        Lines for a person: what was written, and what to do next.

    Raises:
        ParamsError: the name cannot be a package's.
        ComponentError: there is no such kind, or the component's name is taken.
        AdaptganError: the folder is not empty.
    """
    if kind not in KINDS:
        raise ComponentError(f"--kind {kind}: there is no such kind of component. {nearest(kind, KINDS)}")
    values = context(checked(name), kind)
    _refuse_taken(kind, values)
    out = out or Path(values["distribution"])
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise AdaptganError(f"{out}: this is there already and not empty. Name another folder with --out.")
    with staged(out) as folder:
        for path, text in sorted(render(values).items()):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
            if text.startswith("#!"):
                (folder / path).chmod(0o755)
    yield f"wrote {out}: the {kind} {values['component']!r}, its tests and its pipeline"
    yield f"Next: cd {out} && pip install -e '.[dev]' && pytest; README.md tells the rest."


def checked(name: str) -> str:
    """The name in lower case, without `adaptgan-`.

    Raises:
        ParamsError: it is not of letters, digits and hyphens, or too long.
    """
    short = name.lower().removeprefix(_PREFIX)
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", short):
        suggestion = re.sub(r"[^a-z0-9]+", "-", short).strip("-0123456789")
        hint = f" Try {suggestion!r}." if suggestion else ""
        raise ParamsError(
            f"{name!r} cannot name a plugin: expected letters (a-z), digits and single hyphens, a letter first.{hint}"
        )
    if len(short) > _LONGEST:
        raise ParamsError(f"{name!r} cannot name a plugin: it has {len(short)} characters, {_LONGEST} is the most.")
    return short


def context(name: str, kind: str) -> dict[str, Any]:
    """The template's variables, as cookiecutter.json derives them from these two and the running version."""
    from adaptgan import __version__

    values: dict[str, Any] = {}
    given = {"name": name, "kind": kind, "adaptgan": ".".join(__version__.split(".")[:2])}
    variables = _variables()
    environment = _environment(variables)
    for key, default in variables.items():
        if key in given:
            values[key] = given[key]
        elif isinstance(default, str):
            values[key] = environment.from_string(default).render(cookiecutter=values)
        else:
            values[key] = default
    return values


def render(values: dict[str, Any]) -> dict[str, str]:
    """The package's files, by their path in it."""
    environment = _environment(values)
    files = {}
    for path in sorted((TEMPLATE / _TOP).rglob("*")):
        if path.is_file():
            place = path.relative_to(TEMPLATE / _TOP).as_posix()
            target = environment.from_string(place).render(cookiecutter=values)
            files[target] = environment.get_template(place).render(cookiecutter=values)
    return files


def _variables() -> dict[str, Any]:
    variables: dict[str, Any] = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    return variables


def _environment(values: dict[str, Any]) -> jinja2.Environment:
    """Set up as cookiecutter sets it up for this template."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATE / _TOP, TEMPLATE / "templates"]),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
        **values["_jinja2_env_vars"],
    )


def _refuse_taken(kind: str, values: dict[str, Any]) -> None:
    from adaptgan.plugins import components

    for spec in components().specs(kind):
        if spec.name == values["component"] and spec.distribution != values["distribution"]:
            raise ComponentError(
                f"{values['name']!r} is taken: {spec.distribution} has a {kind} {spec.name!r}, and two claims to one "
                f"name are an error. Choose another, such as {'my-' + values['name']!r}."
            )
