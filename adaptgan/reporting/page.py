"""The page itself: a template, a style and a script of this package, made into one file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup, escape

from adaptgan.reporting import formats
from adaptgan.reporting.entries import few_labelled

_FILTERS = ("percent", "points", "number", "significant", "duration", "count", "join")


def render(context: Mapping[str, Any], template: str = "report.html.j2") -> str:
    """The page as HTML; everything in `context` is escaped, and nothing it needs is left outside.

    Raises:
        jinja2.UndefinedError: the template asks for something that the context does not have.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("adaptgan.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in _FILTERS:
        environment.filters[name] = getattr(formats, name)
    environment.filters["few_labelled"] = few_labelled
    environment.filters["code"] = _code
    folder = files("adaptgan.reporting") / "templates"
    # Our own files, not data: they may stand as they are.
    own = {name: Markup((folder / name).read_text("utf-8")) for name in ("report.css", "report.js")}
    page = environment.get_template(template).render(
        {**context, "style": own["report.css"], "script": own["report.js"]}
    )
    return page + "\n"


def _code(text: str) -> Markup:
    """Escaped text in which what stands between backticks is set as code."""
    # Only our own tags are added, to text that is escaped already.
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
