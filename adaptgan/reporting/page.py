"""The page itself: a template, a style and a script of this package, made into one file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from adaptgan.reporting import formats

_FILTERS = ("percent", "points", "number", "significant", "duration", "count", "join")


def render(context: Mapping[str, Any]) -> str:
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
    folder = files("adaptgan.reporting") / "templates"
    # Our own files, not data: they may stand as they are.
    own = {name: Markup((folder / name).read_text("utf-8")) for name in ("report.css", "report.js")}
    page = environment.get_template("report.html.j2").render(
        {**context, "style": own["report.css"], "script": own["report.js"]}
    )
    return page + "\n"
