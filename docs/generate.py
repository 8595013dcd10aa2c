"""Writes docs/components.md, docs/hooks.md and docs/hooks/ from the code and docs/examples; tests hold them to it."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from adaptgan import hookspecs
from adaptgan.components import KINDS, ComponentSpec, Registry
from adaptgan.data.batch import Batch, Side
from adaptgan.methods.base import Method, Phase
from adaptgan.plugins import ERROR_HOOKS, Plugins
from adaptgan.stages.base import Stage
from adaptgan.testing import CHECKS
from adaptgan.testing import plugin as testing_plugin
from adaptgan.training.run import Run

HERE = Path(__file__).parent

COMPONENTS_HEAD = """# Components

What `params.yaml` can name. A component is written `name`, or `{name: …, option: …}`; an option that is itself a
component nests the same way. `adaptgan components KIND NAME` shows the same on the command line, third parties'
included.

<!-- written by docs/generate.py; change the signature or the docstring instead -->
"""

HOOKS_HEAD = """# Hooks

A hook is a function that adaptgan calls at a moment of a run; a plugin implements it to look on, or to have a hand in
it. This is for what is no component: a tracker, a watchdog, a notification, a command.

```python
from adaptgan import hookimpl


@hookimpl(observes=True)
def adaptgan_on_losses(run, step, means):
    print(step, means)
```

- Name the arguments that you use; leave out the others.
- Third parties' run before the built-ins, the plugin registered last first. Hook wrappers are refused.
- One that raises is named in a warning, its plugin is left out from then on, and the run goes on. What must not be
  passed over says `@hookimpl(must_succeed=True)`: then its error stops the run. `--strict-plugins` makes any failure an
  error.
- `run.halt = "why"` ends a training in good order: after a checkpoint, with that message.
- `@hookimpl(observes=True)` promises that results do not depend on it: an upgrade of the plugin then re-runs nothing.

<!-- written by docs/generate.py; change adaptgan/hookspecs.py instead -->

"""

HOOK_PAGE = """# {name}

<!-- written by docs/generate.py; change adaptgan/hookspecs.py or docs/examples/{name}.py instead -->

{summary}

```python
{signature}
```

| | |
|---|---|
| called | {called} |
| ranks | {ranks} |
| given | {given} |
| take care | {care} |
| when it raises | {errors} |

## An example

```python
{code}
```

`docs/examples/{name}.py` is a whole plugin, which the tests install and run in real stages.
[All hooks](../hooks.md).
"""

ORDER = (
    (0, "adaptgan_register_components", "every command finds its plugins"),
    (0, "adaptgan_register_commands", "every command line"),
    (0, "adaptgan_before_stage", ""),
    (1, "adaptgan_load_state", "only where a checkpoint is resumed"),
    (1, "adaptgan_before_train", ""),
    (3, "adaptgan_on_step_end", "each step; the next four when they are due"),
    (3, "adaptgan_on_samples", ""),
    (3, "adaptgan_on_losses", ""),
    (3, "adaptgan_save_state", "a checkpoint; after the last step it waits for the scores"),
    (3, "adaptgan_on_checkpoint", ""),
    (1, "adaptgan_on_evaluated", ""),
    (1, "adaptgan_save_state", "the last checkpoint"),
    (1, "adaptgan_on_checkpoint", ""),
    (1, "adaptgan_after_train", ""),
    (0, "adaptgan_after_stage", ""),
)
"""A training from start to end: indentation, hook, remark; tests/docs/test_hook_calls.py holds it to a real one."""

COLUMNS = "| hook | when | ranks | may stop the run |\n|---|---|---|---|\n"

RANKS = {"all": "all processes of a torchrun; look at `run.rank` before writing", "0": "rank 0 alone"}


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
    lines = [f"\n### {spec.name} {{ #{spec.kind}-{spec.name} }}\n", f"{_sentence(spec.summary)}."]
    if spec.deprecated:
        lines.append(f"Deprecated: {spec.deprecated}.")
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


def facts(hook: str) -> dict[str, str]:
    """What hookspecs.py says of a hook: its first paragraph as `summary`, then `Called`, `Ranks`, `Care`, …"""
    summary, _, rest = (inspect.getdoc(getattr(hookspecs, hook)) or "").partition("\n\n")
    found = re.findall(r"^(\w+): ((?:.*(?:\n    .*)*))", rest, flags=re.MULTILINE)
    return {"summary": _joined(summary), **{name: _joined(text) for name, text in found}}


def _joined(text: str) -> str:
    return " ".join(text.split())


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def signature(hook: str) -> str:
    """As hookspecs.py writes it."""
    shown = str(inspect.signature(getattr(hookspecs, hook))).replace("'", "").replace(" -> None", "").strip()
    return f"{hook}{shown}"


def hooks_page() -> str:
    """The table of hooks under the headings of hookspecs.py, the order of a run, and what hooks are given."""
    parts = [HOOKS_HEAD.rstrip() + "\n"]
    for match in re.finditer(r"^# (.+)$|^def (adaptgan_\w+)", inspect.getsource(hookspecs), flags=re.MULTILINE):
        heading, name = match.groups()
        if heading:
            parts.append(f"\n## {heading.rstrip('.')}\n\n{COLUMNS}")
        else:
            known = facts(name)
            when = known["summary"].split(". ")[0].rstrip(".")
            row = f"[`{name}`](hooks/{name}.md)", when, known["Ranks"], _may_stop(name)
            parts.append(f"| {' | '.join(map(_cell, row))} |\n")
    parts.append("\n## A training, from start to end\n\n```text\n")
    for level, name, remark in ORDER:
        parts.append(f"{'  ' * level}{name:<{34 - 2 * level}}{remark}".rstrip() + "\n")
    parts.append(
        "```\n\nIf it fails or is stopped: `adaptgan_on_train_error`, then `adaptgan_on_stage_error`; neither\n"
        "`adaptgan_after_train` nor `adaptgan_after_stage`. The other stages have the hooks of stages alone.\n"
    )
    return "".join([*parts, _attributes(Stage, "stage"), _attributes(Run, "run")])


def _may_stop(hook: str) -> str:
    if hook.startswith("adaptgan_register"):
        return "no; it is left out"
    return "no" if hook in ERROR_HOOKS else "with `must_succeed`"


def _attributes(record: type, name: str) -> str:
    """A section on what a record holds."""
    first = (inspect.getdoc(record) or "").splitlines()[0]
    return f"\n## What `{name}` tells {{ #{name} }}\n\n{first}\n\n{_table(_documented(record), f'{name}.')}"


def _documented(record: type) -> dict[str, str]:
    """The attributes of a class by its docstring, or by the texts below them."""
    doc = inspect.getdoc(record) or ""
    found = re.findall(r"^    (\w+): ((?:.*(?:\n        .*)*))", doc, flags=re.MULTILINE)
    if not found:
        (node,) = ast.parse(inspect.getsource(record)).body
        for field, below in itertools.pairwise(getattr(node, "body", [])):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                found.append((ast.unparse(field.target), str(below.value.value)))
    return {attribute: _sentence(_joined(text)) for attribute, text in found}


def _table(rows: Mapping[str, str], prefix: str = "") -> str:
    lines = ["| attribute | |", "|---|---|", *(f"| `{prefix}{name}` | {_cell(text)} |" for name, text in rows.items())]
    return "\n".join(lines) + "\n"


def _kinds() -> str:
    """The kinds of components and the check of each."""
    rows = [f"| [`{k}`](components.md#{k}) | {_cell(v)} | `{CHECKS[k].__name__}` |" for k, v in KINDS.items()]
    return "\n".join(["| kind | what it is | its check |", "|---|---|---|", *rows]) + "\n"


def _fixtures() -> str:
    """What adaptgan.testing.plugin gives to the tests of a plugin."""
    tree = ast.parse(inspect.getsource(testing_plugin))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    fixtures = [node for node in functions if any("fixture" in ast.unparse(mark) for mark in node.decorator_list)]
    rows = [f"| `{node.name}` | {_cell((ast.get_docstring(node) or '').splitlines()[0])} |" for node in fixtures]
    return "\n".join(["| fixture | |", "|---|---|", *rows]) + "\n"


RECORDS = {record.__name__: record for record in (Batch, Method, Phase, Side)}


def filled(page: str) -> str:
    """A page with the files and tables that its comments ask for, as they are now."""

    def content(match: re.Match[str]) -> str:
        what, name = match.groups()
        if what == "file":
            shown = f"```python\n{(HERE.parent / name).read_text()}```\n"
        elif name == "KINDS":
            shown = _kinds()
        elif name == "fixtures":
            shown = _fixtures()
        else:
            shown = _table(_documented(RECORDS[name]))
        return f"<!-- {what} {name} -->\n\n{shown}\n<!-- end -->"

    return re.sub(r"<!-- (file|table) (\S+) -->\n.*?<!-- end -->", content, (HERE / page).read_text(), flags=re.DOTALL)


def hook_page(hook: str) -> str:
    """One hook: signature, when, where, what of it, and an example that the tests run."""
    known = facts(hook)
    code = (HERE / "examples" / f"{hook}.py").read_text()
    arguments = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    given = [f"[`{name}`](../hooks.md#{name})" for name in arguments if name in ("stage", "run")]
    errors = _sentence(known["Errors"])
    if _may_stop(hook).startswith("with"):
        errors = f"It is named in a warning, its plugin is left out from then on, and the run goes on. {errors}"
    return HOOK_PAGE.format(
        name=hook,
        summary=known["summary"],
        signature=signature(hook),
        called=_cell(_sentence(known["Called"])),
        ranks=RANKS[known["Ranks"]],
        given=_cell("; ".join([*given, *filter(None, [known.get("Given", "")])]) or "nothing"),
        care=_cell(_sentence(known["Care"])),
        errors=_cell(errors),
        code=code.rstrip(),
    )


HOOKS = [name for name in vars(hookspecs) if name.startswith("adaptgan_")]

PAGES = {
    "components.md": components_page,
    "hooks.md": hooks_page,
    **{page: functools.partial(filled, page) for page in ("plugins.md", "versioning.md", "writing-a-method.md")},
    **{f"hooks/{hook}.md": functools.partial(hook_page, hook) for hook in HOOKS},
}

if __name__ == "__main__":
    os.environ["ADAPTGAN_DISABLE_PLUGINS"] = ""
    for name, page in PAGES.items():
        (HERE / name).write_text(page())
