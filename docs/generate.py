"""Writes docs/components.md and docs/hooks.md from the registry and hookspecs.py; tests hold them up to date."""

from __future__ import annotations

import inspect
import json
import os
import re
from pathlib import Path

from adaptgan import hookspecs
from adaptgan.components import KINDS, ComponentSpec, Registry
from adaptgan.plugins import Plugins

HERE = Path(__file__).parent

COMPONENTS_HEAD = """# Components

What `params.yaml` can name. A component is written `name`, or `{name: …, option: …}`; an option that is itself a
component nests the same way. `adaptgan components KIND NAME` shows the same on the command line, third parties'
included.

<!-- written by docs/generate.py; change the signature or the docstring instead -->
"""

HOOKS_HEAD = """# Hooks

Every hook a plugin can implement. An implementation carries `@adaptgan.hookimpl` and may leave out the arguments that
it does not use. Third parties' run before the built-ins, the last registered first. One that raises is named in a
warning and left out from then on, and the others go on; an `AdaptganError` passes through: a plugin may stop a run on
purpose. `--strict-plugins` makes any failure an error. Hook wrappers are refused.

<!-- written by docs/generate.py; change adaptgan/hookspecs.py instead -->
"""


def components_page() -> str:
    """The components that come with adaptgan, by kind."""
    registry = Plugins(strict=True).components
    parts = [COMPONENTS_HEAD]
    for kind, meaning in KINDS.items():
        specs = [spec for spec in registry.specs(kind) if spec.distribution == "adaptgan"]
        parts.append(f"\n## {kind}\n\n{meaning[0].upper()}{meaning[1:]}.\n")
        parts += [_component(registry, spec) for spec in specs]
        if not specs:
            parts.append("\nNone is built in; plugins can add some.\n")
    return "".join(parts)


def _component(registry: Registry, spec: ComponentSpec) -> str:
    lines = [f"\n### {spec.name} {{ #{spec.kind}-{spec.name} }}\n", f"{spec.summary[0].upper()}{spec.summary[1:]}."]
    if spec.paper:
        lines.append(f"Paper: {spec.paper}.")
    options = registry.schema(spec).options
    if options:
        lines += ["", "| option | type | default | |", "|---|---|---|---|"]
    for option in options:
        kind = option.nested.kind if option.nested else ""
        shown = f"[{option.type}](#{kind})" if kind else f"`{option.type}`"
        value = option.nested.default if option.nested else option.default
        default = "required" if option.required else f"`{json.dumps(value, ensure_ascii=False, default=_plain)}`"
        lines.append(" | ".join(["", f"`{option.name}`", _cell(shown), _cell(default), _cell(option.help), ""]).strip())
    return "\n".join(lines) + "\n"


def _plain(value: object) -> object:
    """A default that JSON does not know: a record as its options, anything else as text."""
    fields = getattr(value, "__dataclass_fields__", None)
    return {name: getattr(value, name) for name in fields} if fields else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def hooks_page() -> str:
    """The hooks, in the order and under the headings of hookspecs.py."""
    source = inspect.getsource(hookspecs)
    parts = [HOOKS_HEAD]
    for match in re.finditer(r"^# (.+)$|^def (adaptgan_\w+)", source, flags=re.MULTILINE):
        heading, name = match.groups()
        if heading:
            parts.append(f"\n## {heading.rstrip('.')}\n")
            continue
        function = getattr(hookspecs, name)
        signature = str(inspect.signature(function)).replace("'", "").replace("-> None", "").strip()
        parts.append(f"\n### {name}\n\n```python\n{name}{signature}\n```\n\n{inspect.getdoc(function)}\n")
    return "".join(parts)


PAGES = {"components.md": components_page, "hooks.md": hooks_page}

if __name__ == "__main__":
    os.environ["ADAPTGAN_DISABLE_PLUGINS"] = ""
    for name, page in PAGES.items():
        (HERE / name).write_text(page())
