"""`adaptgan plugins`: whose code runs, what it offers and hooks into, what is blocked or failed, and why."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adaptgan.cli.common import AsJson

if TYPE_CHECKING:
    from adaptgan.plugins import Plugin, Plugins


def command(
    name: Annotated[
        str | None, typer.Argument(help="A plugin or distribution: show all that is known of it; none: list them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show every plugin: where it is from, what it offers, which hooks it implements, and whether it is loaded."""
    from adaptgan.plugins import plugins

    found = plugins()
    chosen = list(found.known.values()) if name is None else _named(found, name)
    described = [_described(plugin) | (_detail(found, plugin) if name else {}) for plugin in chosen]
    if as_json:
        typer.echo(json.dumps({"plugins": described, **_concerns(found)}, indent=1, ensure_ascii=False))
    elif name:
        typer.echo("\n\n".join(_detail_text(plugin) for plugin in described))
    else:
        typer.echo(_text(described, _concerns(found)))


def _named(found: Plugins, name: str) -> list[Plugin]:
    from adaptgan.errors import ComponentError, nearest
    from adaptgan.trust import normal

    known = list(found.known.values())
    chosen = [plugin for plugin in known if normal(name) in (normal(plugin.name), normal(plugin.distribution))]
    if not chosen:
        names = {name for plugin in known for name in (plugin.name, plugin.distribution)}
        raise ComponentError(
            f"There is no plugin and no distribution of plugins called {name!r}. {nearest(name, names)}"
        )
    return chosen


def _described(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "builtin": plugin.builtin,
        "status": "blocked" if plugin.blocked else "failed" if plugin.failure else "loaded",
        "cause": f"{plugin.blocked}. {plugin.remedy}" if plugin.blocked else plugin.failure,
        "components": list(plugin.components),
        "hooks": list(plugin.hooks),
        "must_succeed": list(plugin.must_succeed),
        "decides": list(plugin.decides),
        "module": plugin.module,
        "file": plugin.file,
    }


def _concerns(found: Plugins) -> dict[str, Any]:
    conflicts = found.components.conflicts.items()
    return {
        "conflicts": [{"kind": kind, "name": name, "claimed_by": claims} for (kind, name), claims in conflicts],
        "not_installed": [{"list": where, "name": name} for where, name in found.strangers],
        "problem": found.policy.problem,
    }


def _detail(found: Plugins, plugin: Plugin) -> dict[str, Any]:
    """What its distribution and its components say of themselves; nothing of a blocked one is imported for it."""
    specs = {f"{spec.kind}/{spec.name}": spec.summary for spec in found.components.specs()}
    return {
        "metadata": _metadata(plugin.distribution),
        "components": {name: specs.get(name, "") for name in plugin.components},
        "commands": _commands(found, plugin),
    }


def _metadata(distribution: str) -> dict[str, str]:
    import importlib.metadata

    try:
        given = importlib.metadata.metadata(distribution)
    except importlib.metadata.PackageNotFoundError:
        return {}

    def lines(*fields: str) -> str:
        """The values of the first of these fields that has some, each to its first line."""
        values = next((values for field in fields if (values := given.get_all(field))), [])
        return "; ".join(value.strip().splitlines()[0] for value in values if value.strip())

    return {
        "summary": lines("Summary"),
        "author": lines("Author", "Author-email", "Maintainer", "Maintainer-email"),
        "license": lines("License-Expression", "License"),
        "home page": lines("Home-page", "Project-URL"),
        "requires": lines("Requires-Dist"),
    }


def _commands(found: Plugins, plugin: Plugin) -> list[str]:
    """The commands that it adds, as it adds them to an empty command line."""
    from typer.main import get_command_name

    empty = typer.Typer()
    for implementation in found.manager.hook.adaptgan_register_commands.get_hookimpls():
        if implementation.plugin_name == plugin.name and "app" in implementation.argnames:
            implementation.function(empty)
    commands = [
        one.name or get_command_name(getattr(one.callback, "__name__", "")) for one in empty.registered_commands
    ]
    return commands + [str(group.name) for group in empty.registered_groups if isinstance(group.name, str)]


def _text(listed: list[dict[str, Any]], concerns: dict[str, Any]) -> str:
    from adaptgan.cli.components_command import table

    columns = ("plugin", "distribution", "version", "status")
    rows = [tuple(plugin[key] for key in ("name", *columns[1:])) for plugin in listed]
    head, rule, *lines = table(columns, rows).splitlines()
    shown = [head, rule]
    for line, plugin in zip(lines, listed, strict=True):
        shown += [line, *_facts(plugin)]
    if concerns["problem"]:
        shown += ["", f"{concerns['problem']} Nothing but what is built in is loaded."]
    if concerns["conflicts"]:
        shown += ["", "Conflicts (using one of these names is an error until one claimant is removed or blocked):"]
        shown += [f"  {c['kind']} {c['name']}: {' and '.join(c['claimed_by'])}" for c in concerns["conflicts"]]
    shown += [f"\nNot installed: {one['name']!r}, which {one['list']} names." for one in concerns["not_installed"]]
    if any(plugin["status"] == "failed" for plugin in listed):
        shown += ["", "Block a plugin in params.yaml: `plugins: {block: [<plugin or distribution>]}`."]
    if any(not plugin["builtin"] for plugin in listed):
        shown += ["", "All about one: `adaptgan plugins NAME`."]
    return "\n".join(shown)


def _facts(plugin: dict[str, Any]) -> list[str]:
    """The indented lines under a plugin's row."""
    components = ", ".join(plugin["components"])
    if plugin["builtin"] and plugin["components"]:
        components = f"{len(plugin['components'])}, see `adaptgan components`"
    facts = {
        "why": plugin["cause"],
        "components": components,
        "hooks": ", ".join(_short(hook) for hook in _events(plugin)),
        "from": "" if plugin["builtin"] else plugin["file"] or f"module {plugin['module']}, not imported",
    }
    return [_fact(key, value) for key, value in facts.items() if value]


def _wide() -> int:
    """How many characters a line may have. Where there is no terminal none is broken, so that they can be searched."""
    return max(shutil.get_terminal_size().columns, 40) if sys.stdout.isatty() else 1_000_000


def _fact(key: str, value: str) -> str:
    first = f"    {key:<11} "
    return textwrap.fill(
        value, _wide(), initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
    )


def _events(plugin: dict[str, Any]) -> list[str]:
    """Its hooks, less those that register what is shown by itself."""
    return [hook for hook in plugin["hooks"] if not hook.startswith("adaptgan_register_")]


def _short(hook: str) -> str:
    return hook.removeprefix("adaptgan_")


def _detail_text(plugin: dict[str, Any]) -> str:
    lines = [f"{plugin['name']}: {plugin['distribution']} {plugin['version']}, {plugin['status']}"]
    facts = {"why": plugin["cause"], **plugin["metadata"], "module": plugin["module"], "file": plugin["file"]}
    lines += [_fact(key, value) for key, value in facts.items() if value]
    if plugin["status"] == "blocked":
        lines.append(_fact("offers", "unknown: it is not imported"))
    lines += _block("components", plugin["components"])
    lines += _block("hooks", {_short(hook): _role(plugin, hook) for hook in _events(plugin)})
    lines += _block("commands", dict.fromkeys(plugin["commands"], ""))
    return "\n".join(lines)


def _role(plugin: dict[str, Any], hook: str) -> str:
    """What an implementation means for those who run it."""
    from adaptgan.plugins import TRAINING_HOOKS

    roles = []
    if hook in plugin["must_succeed"]:
        roles.append("stops the run when it fails")
    if hook in plugin["decides"]:
        roles.append("its version is part of the fingerprint")
    elif hook in TRAINING_HOOKS:
        roles.append("only observes, by its own account")
    return "; ".join(roles)


def _block(title: str, entries: dict[str, str]) -> list[str]:
    if not entries:
        return []
    width = max(len(name) for name in entries)
    return ["", f"    {title}", *(f"        {name:<{width}}  {text}".rstrip() for name, text in entries.items())]
