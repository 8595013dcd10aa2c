"""`adaptgan plugins`: what is loaded, blocked, failed, and who claims the same name."""

from __future__ import annotations

import json
from typing import Any

import typer

from adaptgan.cli.common import AsJson


def command(as_json: AsJson = False) -> None:
    """Show every plugin, how it is, and conflicting claims to a component's name."""
    from adaptgan.plugins import plugins

    found = plugins()
    listed: list[dict[str, Any]] = []
    for plugin in found.known.values():
        status = "blocked" if plugin.blocked else "failed" if plugin.failure else "loaded"
        listed.append(
            {
                "name": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "builtin": plugin.builtin,
                "status": status,
                "cause": plugin.failure,
                "components": found.components_of(plugin.name) if status == "loaded" else [],
            }
        )
    conflicts = [
        {"kind": kind, "name": name, "claimed_by": claims}
        for (kind, name), claims in found.components.conflicts.items()
    ]
    if as_json:
        typer.echo(json.dumps({"plugins": listed, "conflicts": conflicts}, indent=1, ensure_ascii=False))
    else:
        typer.echo(_text(listed, conflicts))


def _text(listed: list[dict[str, Any]], conflicts: list[dict[str, Any]]) -> str:
    from adaptgan.cli.components_command import table

    rows = [
        (p["name"], p["distribution"], p["version"], p["status"], str(len(p["components"])), p["cause"]) for p in listed
    ]
    lines = [table(("plugin", "distribution", "version", "status", "components", "cause"), rows)]
    if conflicts:
        lines += ["", "Conflicts (using one of these names is an error until one claimant is removed or blocked):"]
        lines += [f"  {c['kind']} {c['name']}: {' and '.join(c['claimed_by'])}" for c in conflicts]
    if any(p["status"] == "failed" for p in listed):
        lines += ["", "Block a plugin with ADAPTGAN_DISABLE_PLUGINS=<plugin or distribution>[,…]."]
    return "\n".join(lines)
